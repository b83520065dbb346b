import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../../cli/failure.ts';
import { challengeOf } from '../../../cli/registry/challenge.ts';
import { pinImage, type Pinning } from '../../../cli/registry/pin.ts';
import { basic, DIGEST, Registry } from './stand-in.ts';

const registry = new Registry();
const other = new Registry();
beforeAll(() => Promise.all([registry.listen(), other.listen()]));
afterAll(() => Promise.all([registry.close(), other.close()]));

const alone: Pinning = { login: null, env: { HOME: mkdtempSync(join(tmpdir(), 'home-')) }, signal: new AbortController().signal };
const pin = (pinning: Partial<Pinning> = {}, image = `${registry.host}/alice/app:1.0`) => pinImage(image, { ...alone, ...pinning });

async function failure(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => new Error('it was pinned'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof Failure) return error;
  throw error;
}

describe('a tag becomes a digest', () => {
  test('by the token that the registry sends for', async () => {
    registry.turn({});
    expect(await pin()).toBe(`${registry.host}/alice/app@${DIGEST}`);
    expect(registry.seen.map(({ method, url, authorization }) => [method, url, authorization])).toEqual([
      ['HEAD', '/v2/alice/app/manifests/1.0', null],
      ['GET', '/token?service=registry.test&scope=repository%3Aalice%2Fapp%3Apull', null],
      ['HEAD', '/v2/alice/app/manifests/1.0', 'Bearer good'],
    ]);
    expect(registry.seen[0]?.accept.split(', ')).toEqual([
      'application/vnd.oci.image.index.v1+json',
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.oci.image.manifest.v1+json',
      'application/vnd.docker.distribution.manifest.v2+json',
    ]);
  });

  test('where nobody is asked who he is', async () => {
    registry.turn({ challenge: null });
    expect(await pin()).toContain(DIGEST);
    expect(registry.seen).toHaveLength(1);
  });

  test('under the other name of a token', async () => {
    registry.turn({ token: { access_token: 'good' } });
    expect(await pin()).toContain(DIGEST);
  });

  test('from the bytes where the header is missing or nonsense', async () => {
    for (const digest of [null, 'sha256:short', 'sha512:00']) {
      registry.turn({ digest });
      expect(await pin()).toContain(DIGEST);
    }
  });

  test('with the login of docker login, for a token and as it is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'docker-'));
    const auth = Buffer.from('alice:pass:word').toString('base64');
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } }, credsStore: 'desktop' }));
    for (const challenge of ['bearer', 'basic']) {
      registry.turn({ login: 'alice:pass:word', challenge });
      expect(await pin({ env: { DOCKER_CONFIG: folder } })).toContain(DIGEST);
    }
    registry.turn({ login: 'bob:b' });
    expect(await pin({ env: { DOCKER_CONFIG: folder }, login: { username: 'bob', password: 'b' } })).toContain(DIGEST);
  });

  test.each([['not JSON'], ['[]'], ['{"auths":{"x":5}}'], ['{"auths":{"HOST":{"auth":"bm9jb2xvbg=="}}}']])(
    'a config file of Docker that is %s is none',
    async (text) => {
      const folder = mkdtempSync(join(tmpdir(), 'docker-'));
      writeFileSync(join(folder, 'config.json'), text.replace('HOST', registry.host));
      registry.turn({});
      expect(await pin({ env: { DOCKER_CONFIG: folder } })).toContain(DIGEST);
      expect(registry.seen.map((s) => s.authorization)).toEqual([null, null, 'Bearer good']);
    },
  );

  test('behind a redirect, which gets no token of another', async () => {
    other.turn({ challenge: null });
    registry.turn({ redirect: `http://${other.host}/moved` });
    expect(await pin()).toBe(`${registry.host}/alice/app@${DIGEST}`);
    expect(other.seen).toEqual([expect.objectContaining({ method: 'HEAD', url: '/moved', authorization: null })]);
  });

  test.each([
    [`nginx@${DIGEST}`, `docker.io/library/nginx@${DIGEST}`],
    [`vllm/vllm-openai:v1@${DIGEST}`, `docker.io/vllm/vllm-openai@${DIGEST}`],
    [`GHCR.io/alice/app@${DIGEST}`, `ghcr.io/alice/app@${DIGEST}`],
  ])('%s has one already: nobody is asked', async (image, pinned) => expect(await pin({}, image)).toBe(pinned));
});

describe('refuses', () => {
  test.each([
    ['an image that is not there', { status: 404 }, 'no_image', /has no alice\/app:1\.0/, /pushed/],
    ['an image of others', { login: 'bob:b' }, 'registry_denied', /does not show alice\/app:1\.0 to everybody/, /docker login/],
    ['basic where nobody logged in', { challenge: 'basic', login: 'bob:b' }, 'registry_denied', /everybody/, /--registry-user/],
    ['403', { status: 403 }, 'registry_denied', /does not show/, /docker login/],
    ['too many requests', { status: 429, headers: { 'retry-after': '37' } }, 'registry_busy', /for 37 s/, /docker login/],
    [
      'too many requests, for who knows how long',
      { status: 429, headers: { 'retry-after': 'soon' } },
      'registry_busy',
      /for now/,
      /digest/,
    ],
    ['a registry that fails', { status: 503 }, 'registry_unreachable', /answered 503/, /again/],
    ['a page', { type: 'text/html' }, 'no_image', /is no image: .* gives text\/html/, /registry itself/],
    ['a manifest of old', { type: 'application/vnd.docker.distribution.manifest.v1+json' }, 'no_image', /manifest\.v1/, /registry/],
    ['a manifest without end', { digest: null, manifest: 'x'.repeat(5 * 1024 * 1024) }, 'reply_too_large', /4194304/, null],
    ['a token without end', { token: 'x'.repeat(100_000) }, 'reply_too_large', /65536/, null],
    ['a token that is none', { token: { token: 'a\nb' } }, 'registry_refused', /no token/, null],
    ['a token that is not JSON', { token: 'good' }, 'registry_refused', /no token/, null],
    ['a token server that is busy', { tokenStatus: 429 }, 'registry_busy', /for now/, null],
    [
      'a token from where it is not safe',
      { challenge: 'Bearer realm="http://192.0.2.1/token"' },
      'registry_refused',
      /none is fetched/,
      /https/,
    ],
    ['a challenge of another kind', { challenge: 'Negotiate' }, 'registry_denied', /everybody/, null],
    ['a redirect to where it is not safe', { redirect: 'http://192.0.2.1/moved' }, 'no_image', /redirects to where/, null],
    ['a redirect to a file', { redirect: 'file:///etc/passwd' }, 'no_image', /redirects to where/, null],
    ['a redirect without end', { redirect: '/v2/alice/app/manifests/1.0' }, 'no_image', /without end/, null],
  ] as const)('%s', async (_name, turned, code, words, hint) => {
    registry.turn(turned);
    const { code: got, message, detail } = await failure(pin());
    expect({ code: got, message }).toEqual({ code, message: expect.stringMatching(words) as string });
    if (hint !== null) expect(detail.hint).toMatch(hint);
  });

  test('a wrong password, and never shows it', async () => {
    registry.turn({ login: 'bob:b' });
    const { code, message, detail } = await failure(pin({ login: { username: 'bob', password: 'hunter2' } }));
    expect({ code, message }).toEqual({ code: 'registry_denied', message: `${registry.host} does not show alice/app:1.0 to bob.` });
    expect(JSON.stringify([message, detail])).not.toContain('hunter2');
    expect(registry.seen[1]?.authorization).toBe(basic('bob:hunter2'));
  });

  test('a registry that is not there', async () => {
    const { code, exit } = await failure(pin({}, '127.0.0.1:1/alice/app:1.0'));
    expect({ code, exit }).toEqual({ code: 'registry_unreachable', exit: 3 });
  });

  test('a registry that says nothing, once it is interrupted', async () => {
    registry.turn({ silent: true });
    const aborter = new AbortController();
    const pinned = failure(pin({ signal: aborter.signal }));
    await expect.poll(() => registry.seen.length).toBe(1);
    aborter.abort();
    expect((await pinned).code).toBe('interrupted');
  });
});

describe('what a registry wants', () => {
  const none = { realm: null, service: null, scope: null };
  test.each([
    [
      'Bearer realm="https://a/t",service="s",scope="repository:x:pull"',
      { scheme: 'bearer', realm: 'https://a/t', service: 's', scope: 'repository:x:pull' },
    ],
    ['bearer realm=https://a/t', { ...none, scheme: 'bearer', realm: 'https://a/t' }],
    ['Basic realm="x"', { ...none, scheme: 'basic', realm: 'x' }],
    ['Basic', { ...none, scheme: 'basic' }],
    ['Negotiate, Bearer realm="https://a/t"', { ...none, scheme: 'bearer', realm: 'https://a/t' }],
    ['Bearer service="s"', null],
    ['Digest realm="x"', null],
    ['', null],
    [null, null],
  ])('%s', (header, challenge) => expect(challengeOf(header)).toEqual(challenge));
});
