/** `ripcord-miner` as its owner runs it: the real program from an empty home, from `init` to `drain`, each answer read as JSON. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../cli/client.ts';
import { deployFolder } from '../../cli/deploy.ts';
import { PidNotes } from '../../miner-agent/runtimes/leftovers.ts';
import { writeEcho } from '../harness/echo.ts';
import { bundleMiner } from '../harness/miner.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

let network: TestNetwork;
let home: string;
let bundle: string;
let up: { child: ChildProcess; over: Promise<Ran> } | null = null;

beforeAll(async () => {
  network = await startNetwork({ chutes: [], agents: 0 });
  home = network.folder.folder('owner');
  bundle = await bundleMiner(network.folder.folder('bundle'));
});
afterAll(async () => {
  up?.child.kill('SIGKILL');
  await up?.over;
  const data = join(home, '.ripcord', 'miner', 'rig');
  if (existsSync(data)) new PidNotes(data).reap();
  await network?.close();
});

function start(...argv: string[]): { child: ChildProcess; over: Promise<Ran> } {
  const args = [bundle, ...argv];
  // No container engine, and no PATH but the system's and this node.
  const env = { HOME: home, PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, DOCKER_HOST: 'unix:///nowhere.sock' };
  const child = spawn(process.execPath, args, { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  return { child, over: once(child, 'close').then(([code]) => ({ code: code as number | null, ...said })) };
}

async function json<T = Record<string, unknown>>(...argv: string[]): Promise<T> {
  const { code, out, err } = await start(...argv, '--json').over;
  if (code !== 0 || err !== '') throw new Error(`ripcord-miner ${argv.join(' ')} ended with ${code}: ${err}`);
  return JSON.parse(out) as T;
}

async function refused(...argv: string[]): Promise<{ code: number | null; error: { code: string; hint: string } }> {
  const { code, out, err } = await start(...argv, '--json').over;
  expect(out).toBe('');
  return { code, ...(JSON.parse(err) as { error: { code: string; hint: string } }) };
}

interface StatusSaid {
  running: boolean;
  agent: {
    maintenance: boolean;
    served: { calls: number };
    link: { state: string };
    instances: { instance: string; name: string; state: string }[];
  } | null;
  earnings: object | null;
}
interface WhySaid {
  running: boolean;
  foremost: string | null;
  reasons: { code: string; count: number }[];
  edge: string;
}
const status = () => json<StatusSaid>('status');
const offered = async () =>
  (await json<{ items: { name: string; code: string | null; expectedUsdHour: number | null }[] }>('offers')).items;

test('init finds what there is, makes a hotkey, and overwrites nothing', async () => {
  const made = await json('init', '--api', network.api, '--name', 'rig', '--new-hotkey', 'hk.json');
  expect(made).toMatchObject({
    api: network.api,
    name: 'rig',
    config: join(home, '.ripcord/miner.toml'),
    hotkey: expect.stringMatching(/^5/) as string,
    inventory: { cpus: expect.any(Number) as number, diskFreeMb: expect.any(Number) as number },
    engine: null,
    wallets: [],
  });
  expect([join(home, '.ripcord/miner.toml'), join(home, 'hk.json')].map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600]);
  expect(await refused('init')).toMatchObject({
    code: 2,
    error: { code: 'file_exists', hint: expect.stringContaining('--force') as string },
  });
});

test('without an agent there is the edge, a reason, and a place for wishes', async () => {
  const [stands, why, offers, drain, logs] = await Promise.all([
    status(),
    json<WhySaid>('why'),
    json('offers'),
    refused('drain'),
    refused('logs'),
  ]);
  expect(stands).toMatchObject({ running: false, agent: null, earnings: { pending_nanousd: '0' } });
  expect(why).toMatchObject({ running: false, foremost: 'not_connected', edge: 'answered' });
  expect(offers).toEqual({ running: false, items: [] });
  for (const { code, error } of [drain, logs]) expect([code, error.code]).toEqual([3, 'not_running']);
  expect(await json('maintenance', 'on')).toEqual({ maintenance: true, running: false });
});

test('up reads the config; maintenance holds offers back until it is off', async () => {
  up = start('up', '--allow-account', 'demo', '--drain', '5', '--json');
  await until('it is connected', async () => (await status()).agent?.link.state === 'up');
  const folder = network.folder.folder('tool');
  writeEcho(folder, { name: 'tool', min: 1, max: 1 });
  await deployFolder(new Client({ api: network.api, key: network.key }), folder);
  const offer = await until('the offer is seen', async () => (await offered()).find(({ name }) => name === 'demo/tool'), { everyMs: 200 });
  expect(offer).toMatchObject({ code: 'maintenance' });
  expect(await json<WhySaid>('why')).toMatchObject({ running: true, foremost: 'maintenance' });
  expect((await status()).agent).toMatchObject({ maintenance: true, instances: [] });

  expect(await json('maintenance', 'off')).toEqual({ maintenance: false, running: true });
  const live = await until('it is live', async () => (await status()).agent?.instances.find(({ state }) => state === 'live'), {
    everyMs: 200,
    deadlineMs: 30_000,
  });
  expect(live.name).toBe('demo/tool');
  expect((await network.request('/call/demo/tool/hold')).status).toBe(200);
  await until('the call is counted', async () => ((await status()).agent?.served.calls ?? 0) > 0);
});

test('logs have the first line; another instance has none', async () => {
  const { code, out } = await start('logs', 'demo/tool', '--json').over;
  expect(code).toBe(0);
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string; source: string });
  expect(lines[0]).toMatchObject({ name: 'demo/tool' });
  expect(await refused('logs', 'ins_none')).toMatchObject({ code: 1, error: { code: 'not_found' } });
});

test('pin and forbid are in force at once, and exclude each other', async () => {
  expect(await json('pin', 'demo/tool')).toMatchObject({ pin: ['demo/tool'], forbid: [], running: true });
  expect(await json('forbid', 'demo/tool')).toMatchObject({ pin: [], forbid: ['demo/tool'], running: true });
  await until('it is given up', async () => (await status()).agent?.instances.length === 0, { everyMs: 200, deadlineMs: 30_000 });
  await until('the offer is told as forbidden', async () => (await offered()).some(({ code }) => code === 'forbidden'), { everyMs: 200 });
  expect(await json('forbid', 'demo/tool', '--remove')).toMatchObject({ forbid: [] });
  expect(await json('forbid')).toMatchObject({ pin: [], forbid: [] });
  expect(await refused('pin', '../x')).toMatchObject({ code: 2, error: { code: 'invalid_name' } });
});

test('drain lets it leave, and status says so', async () => {
  expect(await json('drain', '--within', '1', '--wait')).toEqual({ instances: 0, within_ms: 1_000, left: true });
  const { code, out } = (await up?.over) ?? { code: null, out: '' };
  expect(code).toBe(0);
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event),
  ).toContain('left');
  expect(await status()).toMatchObject({ running: false, agent: null });
  expect(await json<WhySaid>('why')).toMatchObject({ running: false, foremost: 'not_connected' });
});

test('service writes a unit with the config, and takes it back', async () => {
  mkdirSync(join(home, '.config'), { recursive: true });
  const { unit } = await json<{ unit: string }>('service', 'install', '--print');
  expect(unit).toContain(`--config ${join(home, '.ripcord/miner.toml')}`);
  const { file } = await json<{ file: string }>('service', 'install');
  expect(file).toBe(join(home, '.config/systemd/user/ripcord-miner.service'));
  expect(await json('service', 'status')).toMatchObject({ installed: true });
  expect(await json('service', 'uninstall')).toMatchObject({ removed: true });
  expect(await refused('service', 'uninstall')).toMatchObject({ code: 1, error: { code: 'not_installed' } });
});
