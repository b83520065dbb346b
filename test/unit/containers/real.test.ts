/**
 * The same runtime on a real engine, with an image that tries to get out. Runs where RIPCORD_ENGINE_SOCKET names the socket of
 * a Docker Engine or Podman on this machine and `cc` is there; else it is skipped. Podman must take 127.0.0.1:5055 for an
 * insecure registry (registries.conf); Docker does so by itself. `docs/decisions/0019-containers.md` has what ran.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Containers } from '../../../miner-agent/runtimes/container/containers.ts';
import { WATCH_TIMES } from '../../../miner-agent/runtimes/container/container.ts';
import { probeEngine } from '../../../miner-agent/runtimes/container/probe.ts';
import type { EngineFacts } from '../../../miner-agent/runtimes/container/probe.ts';
import { sweep } from '../../../miner-agent/runtimes/container/sweep.ts';
import { startRegistry } from '../../harness/engine/registry.ts';
import type { Registry } from '../../harness/engine/registry.ts';
import { until } from '../../harness/until.ts';
import { Stage, get, up } from './stage.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const SOCKET = process.env['RIPCORD_ENGINE_SOCKET'];
const LOGIN = { username: 'u', password: 'hunter2' };
const secrets = (host: string) => ({ env: {}, registries: [{ server: host, ...LOGIN }] });

/** What may be done inside; on Podman also what its default seccomp profile lets through. */
const ALLOWED = ['write /tmp', 'write /cache', 'connect the proxy'];
const PODMAN = ['new user namespace', 'keyctl'];

describe.skipIf(SOCKET === undefined)('on a real engine (RIPCORD_ENGINE_SOCKET)', () => {
  let stage: Stage;
  let facts: EngineFacts;
  let containers: Containers;
  let registry: Registry;
  let config: { image: string; port: number };

  beforeAll(async () => {
    stage = new Stage();
    const found = await probeEngine(SOCKET ?? null);
    if (found === null) throw new Error(`no container engine answers at ${SOCKET}`);
    facts = found;
    const folder = join(stage.folder, 'image');
    mkdirSync(folder);
    execFileSync('cc', ['-static', '-O1', '-w', '-o', join(folder, 'escape'), fileURLToPath(new URL('./escape.c', import.meta.url))]);
    registry = await startRegistry({ folder, files: ['escape'], entrypoint: ['/escape'], login: LOGIN, port: 5055 });
    containers = await stage.containers({ facts, watchTimes: { ...WATCH_TIMES, outputMs: 3_000 } });
    config = { image: registry.image, port: 8000 };
  });
  afterAll(async () => {
    await stage.close();
    await registry.close();
  });

  test('a hostile image gets nowhere', async () => {
    const env = { BOMB: '1', HOST_PORT: '5055' };
    const started = await stage.make(
      containers,
      { ...config, env, egress: ['example.com'], memory_mb: 1024, start_timeout: 30 },
      { secrets: secrets(registry.host) },
    );
    const endpoint = await up(started);
    expect(await get(endpoint, '/')).toBe('ok');
    await until('its last line', () => started.lines.includes('out: serving'));
    const lines = started.lines.map((line) => line.replace('out: ', ''));
    const done = lines.filter((line) => line.endsWith(': DONE')).map((line) => line.replace(': DONE', ''));
    expect(done.filter((what) => facts.name === 'docker' || !PODMAN.includes(what))).toEqual(ALLOWED);
    expect(lines).toEqual(
      expect.arrayContaining([
        'uid: 65534 gid: 65534',
        'NoNewPrivs:\t1',
        'Seccomp:\t2',
        'CapEff:\t0000000000000000',
        'CapBnd:\t0000000000000000',
      ]),
    );
    expect(lines.find((line) => line.startsWith('fork bomb'))).toMatch(/stopped after 40\d\d by/);
    await started.runtime.stop(1_000);
    const cache = await containers.takeCache('none', 'acc');
    expect(readdirSync(cache)).toEqual(['x']);
    await sweep(containers, cache);
    expect(readdirSync(cache)).toEqual([]);
    expect(await containers.engine.withLabel('ripcord.agent')).toEqual([]);
  });

  test('a private image is not given away, though it is here', async () => {
    const other = await stage.make(containers, config, { account: 'another' });
    await expect(other.runtime.prepare()).rejects.toThrow(/cannot be pulled/);
  });

  test('too much memory is told', async () => {
    const started = await stage.make(
      containers,
      { ...config, env: { EAT: '1' }, memory_mb: 64, start_timeout: 30 },
      { secrets: secrets(registry.host) },
    );
    await expect(up(started)).rejects.toThrow(/out of memory \(limit 64 MiB\), exit code 137/);
  });

  test('a program that is not there is told', async () => {
    const started = await stage.make(containers, { ...config, entrypoint: ['/nowhere'] }, { secrets: secrets(registry.host) });
    await expect(up(started)).rejects.toThrow(/nowhere|No such file/);
  });

  test('what a crash left is removed', async () => {
    const started = await stage.make(containers, config, { secrets: secrets(registry.host) });
    await up(started);
    expect(await (await stage.containers({ facts })).reap()).toHaveLength(3);
    await until('it is told', () => started.ended.length > 0);
    expect(await containers.engine.withLabel('ripcord.agent')).toEqual([]);
  });
});
