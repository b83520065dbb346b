/** The deciders of containers, as tables. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ModelCache, sizeOf } from '../../../miner-agent/runtimes/container/cache.ts';
import { hostIn, isPublic } from '../../../miner-agent/runtimes/container/egress-rules.ts';
import { FrameReader } from '../../../miner-agent/runtimes/container/frames.ts';
import { credentialFor, parseImage, registryAuth } from '../../../miner-agent/runtimes/container/image.ts';
import { ownLimits } from '../../../miner-agent/runtimes/container/own-limits.ts';
import { engineSockets } from '../../../miner-agent/runtimes/container/probe.ts';
import { PullProgress } from '../../../miner-agent/runtimes/container/pull-progress.ts';
import { PulledImages } from '../../../miner-agent/runtimes/container/pulled.ts';
import { toolkitSafe } from '../../../miner-agent/runtimes/container/toolkit.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const folder = mkdtempSync(join(tmpdir(), 'rules-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('images', () => {
  test.each([
    ['alpine', 'docker.io', 'docker.io/library/alpine'],
    ['alpine:3.20', 'docker.io', 'docker.io/library/alpine'],
    ['vllm/vllm-openai', 'docker.io', 'docker.io/vllm/vllm-openai'],
    ['docker.io/a/b:1', 'docker.io', 'docker.io/a/b'],
    ['ghcr.io/a/b/c:v1', 'ghcr.io', 'ghcr.io/a/b/c'],
    ['localhost:5000/x', 'localhost:5000', 'localhost:5000/x'],
  ])('%s is of %s', (reference, registry, name) => {
    expect(parseImage(`${reference}@${DIGEST}`)).toEqual({ registry, name: `${name}@${DIGEST}`, digest: DIGEST });
  });
  test.each([
    'alpine',
    'alpine:latest',
    `../x@${DIGEST}`,
    `a b@${DIGEST}`,
    'x@sha256:12',
    `A/x@${DIGEST}`,
    `a/../b@${DIGEST}`,
    `./x@${DIGEST}`,
    `x?fromSrc=-@${DIGEST}`,
  ])('%s is refused', (reference) => {
    expect(() => parseImage(reference)).toThrow(/not named by its digest|is no image reference/);
  });

  test('credentials go to their registry only', () => {
    const registries = [
      { server: 'ghcr.io', username: 'a', password: 'b' },
      { server: 'index.docker.io', username: 'c', password: 'd' },
    ];
    const of = (reference: string) => credentialFor(parseImage(`${reference}@${DIGEST}`), { env: {}, registries })?.username ?? null;
    expect([of('ghcr.io/x/y'), of('alpine'), of('ghcr.io.evil.example/x')]).toEqual(['a', 'c', null]);
    const image = parseImage(`ghcr.io/x/y@${DIGEST}`);
    const auth = registryAuth(image, { server: 'ghcr.io', username: 'ü', password: 'p' });
    expect(auth.length % 4).toBe(0);
    expect(JSON.parse(Buffer.from(auth, 'base64url').toString())).toEqual({ username: 'ü', password: 'p', serveraddress: 'ghcr.io' });
  });
});

describe('the way out', () => {
  test.each([
    ['huggingface.co', true],
    ['HuggingFace.co.', true],
    ['cdn.hf.co', true],
    ['a.b.hf.co', true],
    ['hf.co', false],
    ['evilhf.co', false],
    ['huggingface.co.evil.example', false],
    ['', false],
  ])('host %s: %s', (host, allowed) => expect(hostIn(['huggingface.co', '*.hf.co'], host)).toBe(allowed));

  test.each([
    ['1.1.1.1', true],
    ['2606:4700::1111', true],
    ['10.1.2.3', false],
    ['127.0.0.1', false],
    ['169.254.169.254', false],
    ['172.16.0.1', false],
    ['172.32.0.1', true],
    ['192.168.1.1', false],
    ['100.64.0.1', false],
    ['0.0.0.0', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['fe80::1', false],
    ['fd00:ec2::254', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:a00:1', false],
    ['64:ff9b::a9fe:a9fe', false],
    ['2002:7f00:1::', false],
    ['2001:db8::1', false],
    ['ff02::1', false],
    ['not an address', false],
    ['fe80::1%eth0', false],
  ])('address %s: %s', (address, open) => expect(isPublic(address)).toBe(open));
});

test.each([
  ['1.17.7', false],
  ['1.17.8', true],
  ['1.17.10', true],
  ['1.18.0', true],
  ['1.9.9', false],
  ['2.0.0', true],
  ['', false],
  ['rubbish', false],
])('NVIDIA container toolkit %s is safe: %s', (version, safe) => expect(toolkitSafe(version)).toBe(safe));

describe('a pull', () => {
  test('counts bytes of layers, never back, and layers of unknown size as average', () => {
    const progress = new PullProgress();
    const line = (id: string, status: string, current?: number, total?: number) =>
      progress.add({ id, status, progressDetail: { current, total } });
    expect(line('a', 'Pulling fs layer')).toBe('pulling');
    expect(line('b', 'Pulling fs layer')).toBe('pulling');
    expect(line('c', 'Already exists')).toBe('pulling');
    expect(line('a', 'Downloading', 500, 1000)).toBe('pulling 25 %');
    expect(line('a', 'Download complete')).toBe('pulling 50 %');
    expect(line('b', 'Downloading', 0, 9000)).toBe('pulling 50 %');
    expect(line('b', 'Pull complete')).toBe('pulling 100 %');
    expect(progress.add({ status: 'Digest: x' })).toBe('pulling 100 %');
  });

  test('holds a bounded number of layers', () => {
    const progress = new PullProgress();
    for (let i = 0; i < 10_000; i++) progress.add({ id: `l${i}`, status: 'Downloading', progressDetail: { current: 1, total: 2 } });
    expect(progress.add({ id: 'l0', status: 'Pull complete' })).toBe('pulling 50 %');
  });
});

describe('frames of output', () => {
  const frame = (kind: number, text: string) => {
    const head = Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };

  test.each([1, 3, 8, 1000])('come apart however they are cut (%i bytes at a time)', (size) => {
    const seen = { out: '', err: '' };
    const reader = new FrameReader((source, bytes) => (seen[source] += bytes.toString()));
    const all = Buffer.concat([frame(1, 'hello '), frame(2, 'oh'), frame(1, ''), frame(1, 'world')]);
    for (let at = 0; at < all.length; at += size) reader.write(all.subarray(at, at + size));
    expect(seen).toEqual({ out: 'hello world', err: 'oh' });
  });

  test('many small ones in one piece cost no stack', () => {
    let bytes = 0;
    const reader = new FrameReader((_source, part) => (bytes += part.length));
    reader.write(Buffer.concat(Array.from({ length: 100_000 }, () => frame(1, '\n'))));
    expect(bytes).toBe(100_000);
  });
});

test('where an engine is looked for', () => {
  expect(engineSockets('unix:///x/y.sock', { DOCKER_HOST: 'unix:///z' })).toEqual(['/x/y.sock']);
  expect(engineSockets(null, { DOCKER_HOST: 'unix:///z.sock' })).toEqual(['/z.sock']);
  expect(engineSockets(null, { DOCKER_HOST: 'tcp://far:2375' })).toEqual([]);
  const usual = engineSockets(null, { XDG_RUNTIME_DIR: '/run/user/7' });
  expect(usual).toEqual(
    expect.arrayContaining([
      '/run/user/7/docker.sock',
      '/var/run/docker.sock',
      '/run/user/7/podman/podman.sock',
      '/run/podman/podman.sock',
    ]),
  );
});

test('the agent’s own limits bound those of its containers', () => {
  const file = join(folder, 'limits');
  writeFileSync(
    file,
    'Limit   Soft Limit  Hard Limit  Units\nMax processes             100      200      processes\nMax open files            1024      unlimited      files\n',
  );
  expect(ownLimits(file)).toEqual({ openFiles: 65_536, processes: 200 });
  expect(ownLimits(join(folder, 'none'))).toEqual({ openFiles: 65_536, processes: 32_768 });
});

test('an image that came with credentials is for those who have them', () => {
  const file = join(folder, 'images.json');
  const images = new PulledImages(file);
  images.used('private', 'a', true, 2);
  images.used('public', 'a', false, 1);
  const read = new PulledImages(file);
  expect([read.mayUse('private', 'a'), read.mayUse('private', 'b'), read.mayUse('public', 'b'), read.mayUse('local', 'a')]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect(read.oldestFirst()).toEqual(['public', 'private']);
  for (let i = 0; i < 1100; i++) read.used(`x${i}`, 'a', false, 10 + i);
  expect(read.oldestFirst()).toHaveLength(1024);
});

describe('model caches', () => {
  test('are one per account, and the oldest unused goes first', async () => {
    const cache = new ModelCache(join(folder, 'cache'), 15_000);
    const [a, b, c] = [await cache.of('a'), await cache.of('b'), await cache.of('c')];
    expect(new Set([a, b, c]).size).toBe(3);
    for (const [i, one] of [a, b, c].entries()) {
      mkdirSync(join(one, 'deep'));
      writeFileSync(join(one, 'deep', 'model'), Buffer.alloc(8192, 1));
      utimesSync(one, i + 1, i + 1);
    }
    const emptied: string[] = [];
    await cache.trim(new Set([a]), async (one) => void emptied.push(one));
    expect(emptied).toEqual([b, c]);
    expect(await sizeOf(a)).toBe(8192);
  });

  test('what is behind a link does not count, and is not followed', async () => {
    const place = join(folder, 'links');
    mkdirSync(place);
    symlinkSync('/', join(place, 'root'));
    expect(await sizeOf(place)).toBeLessThanOrEqual(4096);
  });
});
