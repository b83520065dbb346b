/** The life of an instance in a container, on an engine that holds every request against Docker's document. */
import http from 'node:http';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../../dev/ports.ts';
import { sweep } from '../../../miner-agent/runtimes/container/sweep.ts';
import { until } from '../../harness/until.ts';
import { DIGEST, HASTY, IMAGE, SERVER, Stage, get, up } from './stage.ts';

vi.setConfig({ testTimeout: 20_000 });

const node = (script: string) => ({ command: [process.execPath, '-e', script] });
const PRIVATE = `private.example/app@${DIGEST}`;
const VOLUMES = `volumes.example/app@${DIGEST}`;
const OTHER = `lying.example/app@${DIGEST}`;

let stage: Stage;
beforeEach(async () => {
  stage = new Stage({
    [IMAGE]: { ...node(SERVER), layers: [1000, 3000] },
    [PRIVATE]: { ...node(SERVER), login: { username: 'u', password: 'hunter2' } },
    [VOLUMES]: { ...node(SERVER), volumes: ['/data'] },
    [OTHER]: { ...node(SERVER), digest: `sha256:${'b'.repeat(64)}` },
  });
  await stage.engine.listen();
});
afterEach(async () => {
  const { problems } = stage.engine;
  await stage.close();
  expect(problems).toEqual([]);
});

test('an image is pulled, started, called through its relay, heard, and gone without a trace', async () => {
  const containers = await stage.containers();
  const started = await stage.make(containers);
  const endpoint = await up(started);
  expect(await get(endpoint, '/x')).toBe('hello /x');
  await until('its first lines', () => started.lines.includes('out: first byte') && started.lines.includes('err: on stderr'));
  expect(started.progress.slice(0, 8)).toEqual([
    'pulling',
    'pulling',
    'pulling',
    'pulling 25 %',
    'pulling 50 %',
    'pulling 60 %',
    'pulling 100 %',
    'pulling 100 %',
  ]);
  expect(stage.engine.names().toSorted()).toEqual(['ripcord-ins_1', 'ripcord-ins_1-relay']);
  await started.runtime.stop(2_000);
  await started.runtime.stop(0);
  expect(stage.engine.names()).toEqual([]);
  expect(started.ended).toEqual([]);
  // The next instance of the same image pulls nothing.
  stage.engine.requests.length = 0;
  await (await stage.make(containers)).runtime.prepare();
  expect(stage.engine.requests.filter((r) => r.includes('/images/create'))).toEqual([]);
});

test('volumes of an image get no disk of the machine', async () => {
  await up(await stage.make(await stage.containers(), { image: VOLUMES }));
  const { body } = stage.engine.created.find(({ name }) => name === 'ripcord-ins_1') ?? {};
  expect(Object.keys(body?.HostConfig.Tmpfs ?? {})).toEqual(['/tmp', '/data']);
});

describe('a pull', () => {
  test.each([
    ['of a tag', { image: 'registry.example/team/app:latest' }, /not named by its digest/],
    ['of something else', { image: `no image@${DIGEST}` }, /is no image reference/],
    ['of an image that is nowhere', { image: `registry.example/none@${DIGEST}` }, /cannot be pulled: manifest for .* not found/],
    ['of a private image without credentials', { image: PRIVATE }, /authentication required; no credentials for private.example/],
    ['that brings another image', { image: OTHER }, /does not have the digest/],
  ])('%s fails', async (_what, config, message) => {
    const { runtime } = await stage.make(await stage.containers(), config);
    await expect(runtime.prepare()).rejects.toThrow(message);
  });

  test('takes the credentials of its registry, which nobody else gets to use', async () => {
    const containers = await stage.containers();
    const registries = [
      { server: 'other.example', username: 'x', password: 'y' },
      { server: 'private.example', username: 'u', password: 'hunter2' },
    ];
    const owner = await stage.make(containers, { image: PRIVATE }, { secrets: { env: { TOKEN: 'deep' }, registries } });
    await up(owner);
    expect(stage.engine.created.at(-1)?.body.Env).toContain('TOKEN=deep');
    expect(JSON.stringify([owner.lines, owner.progress, stage.engine.requests])).not.toMatch(/hunter2|deep/);
    // The image is here now. An account that has no credentials is told what it would be told anywhere.
    const other = await stage.make(containers, { image: PRIVATE }, { account: 'another' });
    await expect(other.runtime.prepare()).rejects.toThrow(/authentication required/);
  });

  test('that says nothing any more is given up', async () => {
    stage.engine.faults.push({ match: /POST \/images\/create/, times: 1, how: 'hang' });
    const { runtime } = await stage.make(await stage.containers(HASTY));
    await expect(runtime.prepare()).rejects.toThrow('cannot be pulled: the registry sent nothing');
  });
});

describe('a start that fails says why', () => {
  const start = async (script: string, config = {}) => {
    const image = `registry.example/bad@sha256:${'c'.repeat(64)}`;
    const bad = new Stage({ [image]: node(script) });
    await bad.engine.listen();
    const started = await bad.make(await bad.containers(), { image, ...config });
    return { bad, started };
  };

  test('by exit code and last line', async () => {
    const { bad, started } = await start(`console.error('CUDA out of luck'); process.exit(3)`);
    await expect(up(started)).rejects.toThrow('exit code 3: CUDA out of luck');
    expect(started.ended).toEqual(['exit code 3: CUDA out of luck']);
    await bad.close();
  });

  test('by memory', async () => {
    const { bad, started } = await start(`console.log('loading'); setInterval(() => {}, 1000)`);
    const failing = up(started);
    await until('it runs', () => started.lines.includes('out: loading'));
    bad.engine.killForMemory('ripcord-ins_1');
    await expect(failing).rejects.toThrow('out of memory (limit 512 MiB), exit code 137: loading');
    await bad.close();
  });

  test('by its health', async () => {
    const { bad, started } = await start(`setInterval(() => {}, 1000)`, { start_timeout: 1 });
    await expect(up(started)).rejects.toThrow(/not healthy after 1 s/);
    await bad.close();
  });

  test('by what the engine says', async () => {
    const { bad, started } = await start('', { entrypoint: ['/nowhere/x'] });
    await expect(up(started)).rejects.toThrow(/the container engine says: exec: .*ENOENT/);
    await started.runtime.stop(0);
    expect(bad.engine.names()).toEqual([]);
    await bad.close();
  });
});

describe('an engine that fails', () => {
  test.each([
    [
      'refuses a container',
      /POST \/containers\/create/,
      { status: 500, message: 'no space left on device' },
      'the container engine says: no space left on device',
    ],
    ['cuts the connection', /POST \/containers\/create/, 'cut' as const, /cannot be reached \(ECONNRESET\)/],
    ['does not answer', /POST \/containers\/.*\/start/, 'hang' as const, 'the container engine does not answer'],
  ])('%s: the start fails, and nothing is left', async (_what, match, how, message) => {
    const started = await stage.make(await stage.containers(how === 'hang' ? HASTY : {}));
    await started.runtime.prepare();
    stage.engine.faults.push({ match, times: 1, how });
    await expect(started.runtime.start()).rejects.toThrow(message);
    await started.runtime.stop(0);
    expect(stage.engine.names()).toEqual([]);
  });

  test('a name that is taken is a clear failure', async () => {
    const started = await stage.make(await stage.containers());
    await started.runtime.prepare();
    stage.engine.faults.push({ match: /containers\/create/, times: 1, how: { status: 409, message: 'Conflict. The name is in use' } });
    await expect(started.runtime.start()).rejects.toThrow('the container engine says: Conflict. The name is in use');
  });

  test('connections that break do not end an instance, and its output goes on', async () => {
    const started = await stage.make(await stage.containers());
    const endpoint = await up(started);
    await until('its first line', () => started.lines.includes('out: first byte'));
    await stage.engine.lose(false);
    await until('the log is taken up', () => started.lines.some((l) => l.includes('lines may be missing')));
    expect(await get(endpoint, '/still')).toBe('hello /still');
    expect(started.ended).toEqual([]);
  });

  test('an engine that stays away ends the instance', async () => {
    const started = await stage.make(await stage.containers());
    await up(started);
    await stage.engine.lose(true);
    await until('it is told', () => started.ended.length > 0);
    expect(started.ended).toEqual([expect.stringMatching(/^the container engine failed: the container engine cannot be reached/)]);
    await stage.engine.listen();
  });

  test('an engine that hangs ends the instance', async () => {
    const started = await stage.make(await stage.containers(HASTY));
    await up(started);
    stage.engine.faults.push({ match: /GET \/containers\/.*\/json/, times: 1000, how: 'hang' });
    await until('it is told', () => started.ended.length > 0);
    expect(started.ended).toEqual(['the container engine failed: the container engine does not answer']);
  });

  test('a container removed behind its back ends the instance', async () => {
    const containers = await stage.containers();
    const started = await stage.make(containers);
    await up(started);
    await containers.engine.remove('ripcord-ins_1');
    await until('it is told', () => started.ended.length > 0);
    expect(started.ended[0]).toMatch(/removed from outside|exit code 137/);
  });

  test('a relay that dies ends the instance', async () => {
    const started = await stage.make(await stage.containers());
    await up(started);
    process.kill(stage.engine.pidOf('ripcord-ins_1-relay'), 'SIGKILL');
    await until('it is told', () => started.ended.length > 0);
    expect(started.ended).toEqual(['the relay of the instance ended']);
  });

  test('nothing starts beside a container that it did not remove', async () => {
    const containers = await stage.containers();
    const first = await stage.make(containers);
    await up(first);
    stage.engine.faults.push({ match: /DELETE \/containers/, times: 7, how: { status: 500, message: 'device busy' } });
    await first.runtime.stop(0);
    expect(first.lines.filter((l) => l.includes('nothing starts before it does'))).toHaveLength(2);
    const next = await stage.make(containers);
    await expect(next.runtime.prepare()).rejects.toThrow('the container engine says: device busy');
    await up(await stage.make(containers));
    expect(stage.engine.names().toSorted()).toEqual(['ripcord-ins_3', 'ripcord-ins_3-relay']);
  });

  test('a removal it refuses is tried again', async () => {
    const started = await stage.make(await stage.containers());
    await up(started);
    stage.engine.faults.push({ match: /DELETE \/containers/, times: 2, how: { status: 409, message: 'removal in progress' } });
    await started.runtime.stop(0);
    expect(stage.engine.names()).toEqual([]);
  });
});

test('what a crashed agent left is removed at the next start; what is of another stays', async () => {
  const before = await stage.containers();
  await up(await stage.make(before));
  const other = await stage.containers({ dataFolder: join(stage.folder, 'd2') });
  await up(await stage.make(other));
  expect(await (await stage.containers()).reap()).toEqual(['ins_1']);
  expect(stage.engine.names().every((name) => name.startsWith('ripcord-ins_2'))).toBe(true);
});

test('a stop in the middle of a start leaves nothing', async () => {
  const started = await stage.make(await stage.containers());
  await started.runtime.prepare();
  const starting = started.runtime.start().catch((error: unknown) => error);
  await started.runtime.stop(0);
  await starting;
  expect(stage.engine.names()).toEqual([]);
});

test('a port of its loopback leads to the agent', async () => {
  const port = await freePort();
  const server = http.createServer((q, r) => r.end(`agent ${q.url}`));
  const started = await stage.make(
    await stage.containers(),
    {},
    { forwards: [{ port, accept: (socket) => server.emit('connection', socket) }] },
  );
  await up(started);
  expect(await get({ url: new URL(`http://127.0.0.1:${port}`), socketPath: null }, '/job')).toBe('agent /job');
});

test('GPUs need a safe toolkit and a device', async () => {
  const gpu = { count: 1, min_vram_gb: 16, include: [], exclude: [] };
  const device = { id: 'GPU-1', kind: 'gpu' as const, name: 'H100', memoryMb: 81_920 };
  const old = await stage.make(await stage.containers({ toolkit: '1.17.7' }), { gpu }, { devices: [device] });
  await expect(old.runtime.prepare()).rejects.toThrow(/toolkit has known holes; update nvidia-container-toolkit to 1.17.8/);
  const none = await stage.make(await stage.containers({ toolkit: '1.17.8' }), { gpu });
  await expect(none.runtime.prepare()).rejects.toThrow('the GPUs that would fit are in use');
  const facts = await stage.facts();
  const podman = await stage.containers({ toolkit: '1.18.0', facts: { ...facts, name: 'podman', version: '5.3.2' } });
  await expect((await stage.make(podman, { gpu }, { devices: [device] })).runtime.prepare()).rejects.toThrow('5.4 or newer does');
  const fine = await stage.make(await stage.containers({ toolkit: '1.18.0' }), { gpu }, { devices: [device] });
  await up(fine);
  expect(stage.engine.created.at(-1)?.body.HostConfig.DeviceRequests).toEqual([
    { Driver: 'nvidia', DeviceIDs: ['GPU-1'], Capabilities: [['gpu']] },
  ]);
});

describe('disk', () => {
  test('a cache whose files are not the agent’s is emptied by a container', async () => {
    const containers = await stage.containers();
    const cache = await containers.takeCache('none', 'acc');
    mkdirSync(join(cache, 'model', 'deep'), { recursive: true });
    await sweep(containers, cache);
    expect(readdirSync(cache)).toEqual([]);
    expect(stage.engine.created.map((c) => c.body.User)).toEqual(['65534:65534']);
    expect(stage.engine.names()).toEqual([]);
  });

  test('old images of ours go when there is little; the machine’s own stay; none left is a failure', async () => {
    let free = 100e9;
    const containers = await stage.containers({ freeBytes: async () => free });
    const first = await stage.make(containers);
    await up(first);
    await first.runtime.stop(0);
    stage.engine.images.add('somebody/else:latest');
    free = 1e9;
    const second = await stage.make(containers, { disk_gb: 5 });
    await expect(second.runtime.prepare()).rejects.toThrow(/it needs more disk than is free: 5 GB/);
    expect([...stage.engine.images].toSorted()).toEqual(['ripcord.invalid/relay:latest', 'somebody/else:latest']);
  });

  test('a container that fills more than it may is ended', async () => {
    const image = `registry.example/fat@sha256:${'d'.repeat(64)}`;
    const fat = new Stage({
      [image]: node(`${SERVER}; const fs = require('node:fs'); fs.writeFileSync(process.env.FILL + '/x', Buffer.alloc(5e6, 1));`),
    });
    await fat.engine.listen();
    const containers = await fat.containers();
    const cache = await containers.takeCache('none', 'acc');
    const limits = vi.spyOn(containers, 'limitsOf').mockReturnValue({ ...containers.limitsOf({ memory_mb: 64 } as never), diskGb: 0.001 });
    const started = await fat.make(containers, { image, env: { FILL: cache } });
    await up(started).catch(() => {});
    await until('it is told', () => started.ended.length > 0);
    expect(started.ended).toEqual(['it filled more than the 0.001 GB of disk it may (disk_gb)']);
    expect(existsSync(cache)).toBe(true);
    limits.mockRestore();
    await fat.close();
  });
});
