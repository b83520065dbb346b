/** References to images: by digest only, since a tag is whatever its registry says today. Pure. */
import type { RegistryCredential, Secrets } from '#protocol';
import { StartFailed } from '../runtime.ts';

export interface Image {
  /** Host of the registry, `docker.io` where none is named. */
  registry: string;
  /** As both engines name it: `docker.io/library/alpine@sha256:…`. */
  name: string;
  digest: string;
}

const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
/** The first part is a registry only if it looks like a host: with a dot, a port, or `localhost`. Else it is a user of Docker's. */
const HOST = `(?:localhost|${LABEL}(?:\\.${LABEL})+|${LABEL}(?=:))(?::[0-9]{1,5})?`;
const TAG = '(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?';
const REFERENCE = new RegExp(`^(?:(${HOST})/)?(${PART}(?:/${PART})*)${TAG}@(sha256:[0-9a-f]{64})$`);

/** Throws `StartFailed` for a tag or what is no reference. */
export function parseImage(reference: string): Image {
  if (!reference.includes('@'))
    throw new StartFailed(`the image ${shown(reference)} is not named by its digest; deploy again: ripcord deploy turns a tag into one`);
  const [, host, path = '', digest = ''] = REFERENCE.exec(reference) ?? [];
  if (path === '') throw new StartFailed(`${shown(reference)} is no image reference`);
  const registry = host?.toLowerCase() ?? DOCKER;
  const repository = registry === DOCKER && !path.includes('/') ? `library/${path}` : path;
  return { registry, name: `${registry}/${repository}@${digest}`, digest };
}

const DOCKER = 'docker.io';
const DOCKER_NAMES = [DOCKER, 'index.docker.io', 'registry-1.docker.io'];

/** The credential meant for this image's registry, and no other's. */
export function credentialFor(image: Image, secrets: Secrets): RegistryCredential | null {
  const names = image.registry === DOCKER ? DOCKER_NAMES : [image.registry];
  return secrets.registries.find((r) => names.includes(r.server)) ?? null;
}

/** The value of `X-Registry-Auth`: JSON in base64url with its padding, without which engines read nothing. */
export function registryAuth(image: Image, credential: RegistryCredential): string {
  const serveraddress = image.registry === DOCKER ? 'https://index.docker.io/v1/' : image.registry;
  const { username, password } = credential;
  const text = Buffer.from(JSON.stringify({ username, password, serveraddress })).toString('base64url');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

function shown(reference: string): string {
  return JSON.stringify(reference.slice(0, 120));
}
