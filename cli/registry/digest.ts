/**
 * Which image a tag names today: one HEAD of its manifest, with the token the registry sends for on the way. After the OCI
 * distribution spec 1.1 and Docker's token authentication. Every reply is bounded; a password goes to https alone, or to
 * this machine.
 */
import { createHash } from 'node:crypto';
import type { ImageName } from '#protocol';
import { EXIT, Failure, interrupted } from '../failure.ts';
import { readBounded } from '../reply.ts';
import { challengeOf, type Challenge } from './challenge.ts';
import type { Login } from './login.ts';

const TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const TIMEOUT_MS = 15_000;
const REDIRECTS = 3;
/** Bytes of a manifest, as registries bound them, and of a token. */
const MANIFEST_BYTES = 4 * 1024 * 1024;
const TOKEN_BYTES = 64 * 1024;

export interface Asking {
  name: ImageName;
  login: Login | null;
  signal: AbortSignal;
}

/** The digest of the manifest (or index of several platforms) that the tag, else `latest`, names. Throws a `Failure`. */
export async function digestOf(asking: Asking): Promise<string> {
  const { name } = asking;
  const url = new URL(`${originOf(name.host)}/v2/${name.repository}/manifests/${name.tag ?? 'latest'}`);
  let authorization: string | null = null;
  let reply = await ask('HEAD', url, authorization, asking);
  if (reply.status === 401) {
    authorization = await meet(challengeOf(reply.headers.get('www-authenticate')), asking);
    if (authorization !== null) reply = await ask('HEAD', url, authorization, asking);
  }
  if (!reply.ok) throw refusal(reply, asking);
  const type = (reply.headers.get('content-type') ?? '').split(';', 1)[0]?.trim() ?? '';
  if (!TYPES.includes(type)) throw notImage(asking, `${name.host} gives ${type === '' ? 'nothing' : type.slice(0, 80)} for it`);
  const told = reply.headers.get('docker-content-digest');
  if (told !== null && DIGEST.test(told)) return told;
  return digestOfBody(await ask('GET', url, authorization, asking), asking);
}

/** Few registries leave the header out; the digest is that of the manifest's bytes then. */
async function digestOfBody(reply: Response, asking: Asking): Promise<string> {
  if (!reply.ok) throw refusal(reply, asking);
  const text = await readBounded(reply, (error) => broken(error, asking), MANIFEST_BYTES);
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** The `Authorization` a challenge asks for; null when there is nothing to send. */
async function meet(challenge: Challenge | null, asking: Asking): Promise<string | null> {
  const basic =
    asking.login === null ? null : `Basic ${Buffer.from(`${asking.login.username}:${asking.login.password}`).toString('base64')}`;
  if (challenge === null || challenge.scheme === 'basic') return basic;
  const realm = URL.canParse(challenge.realm ?? '') ? new URL(challenge.realm ?? '') : null;
  if (realm === null || !isSafe(realm))
    throw new Failure(EXIT.refused, 'registry_refused', `${asking.name.host} sends for a token to where none is fetched from.`, {
      hint: 'It has to be an https address.',
    });
  if (challenge.service !== null) realm.searchParams.set('service', challenge.service);
  realm.searchParams.set('scope', challenge.scope ?? `repository:${asking.name.repository}:pull`);
  const reply = await ask('GET', realm, basic, asking);
  if (!reply.ok) throw refusal(reply, asking);
  const token = tokenOf(await readBounded(reply, (error) => broken(error, asking), TOKEN_BYTES));
  if (token === null) throw new Failure(EXIT.refused, 'registry_refused', `${asking.name.host} gives no token.`);
  return `Bearer ${token}`;
}

function tokenOf(text: string): string | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof body !== 'object' || body === null) return null;
  const token: unknown = 'token' in body ? body.token : 'access_token' in body ? body.access_token : null;
  return typeof token === 'string' && /^[\x21-\x7e]+$/.test(token) ? token : null;
}

/** Follows redirects by itself: what authorises stays with the origin it was made for. */
async function ask(method: 'HEAD' | 'GET', url: URL, authorization: string | null, asking: Asking): Promise<Response> {
  let at = url;
  for (let left = REDIRECTS; ; left--) {
    const own = authorization !== null && at.origin === url.origin ? { authorization } : {};
    const reply = await fetched(method, at, { accept: TYPES.join(', '), ...own }, asking);
    const location = reply.status >= 300 && reply.status < 400 ? reply.headers.get('location') : null;
    if (location === null) return reply;
    await reply.body?.cancel();
    if (!URL.canParse(location, at.href) || left === 0) throw notImage(asking, `${asking.name.host} redirects without end`);
    at = new URL(location, at);
    if (!isSafe(at)) throw notImage(asking, `${asking.name.host} redirects to where nothing is fetched from`);
  }
}

async function fetched(method: string, url: URL, headers: Record<string, string>, asking: Asking): Promise<Response> {
  try {
    return await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      signal: AbortSignal.any([asking.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
  } catch (error) {
    throw broken(error, asking);
  }
}

function refusal(reply: Response, { name, login }: Asking): Failure {
  const what = shown(name);
  switch (reply.status) {
    case 401:
    case 403:
      return new Failure(
        EXIT.refused,
        'registry_denied',
        `${name.host} does not show ${what} to ${login === null ? 'everybody' : login.username}.`,
        {
          hint: `Is the name right? For a private image run docker login ${name.host}, or give --registry-user and the password on stdin.`,
        },
      );
    case 404:
      return new Failure(EXIT.refused, 'no_image', `${name.host} has no ${what}.`, {
        hint: 'Are its name and tag right, and was it pushed?',
      });
    case 429: {
      const after = /^\d{1,6}$/.exec(reply.headers.get('retry-after') ?? '')?.[0];
      return new Failure(
        EXIT.refused,
        'registry_busy',
        `${name.host} takes no more requests from here${after === undefined ? ' for now' : ` for ${after} s`}.`,
        {
          hint: `It allows more to who logs in: docker login ${name.host}. Or give the image by its digest.`,
          extra: after === undefined ? {} : { retry_after: Number(after) },
        },
      );
    }
    default:
      return new Failure(EXIT.unreachable, 'registry_unreachable', `${name.host} answered ${reply.status} for ${what}.`, {
        hint: 'Try again, or give the image by its digest: host/repository@sha256:….',
      });
  }
}

function notImage({ name }: Asking, why: string): Failure {
  return new Failure(EXIT.refused, 'no_image', `${shown(name)} is no image: ${why}.`, { hint: 'Is its host the registry itself?' });
}

function broken(error: unknown, { name, signal }: Asking): Failure {
  if (error instanceof Failure) return error;
  if (signal.aborted) return interrupted();
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.name) : 'unknown';
  return new Failure(EXIT.unreachable, 'registry_unreachable', `${name.host} cannot be reached (${why}).`, {
    hint: 'Is the registry of the image right? Without a network give the image by its digest.',
  });
}

function shown({ repository, tag }: ImageName): string {
  return `${repository}:${tag ?? 'latest'}`;
}

function originOf(host: string): string {
  if (host === 'docker.io') return 'https://registry-1.docker.io';
  return `${isHere(host.replace(/:\d+$/, '')) ? 'http' : 'https'}://${host}`;
}

function isSafe(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isHere(url.hostname));
}

/** This machine, where registries speak plain HTTP. */
function isHere(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
