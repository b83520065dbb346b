/** doctor against an edge of a few lines: the ways to it that a whole network cannot break. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runAgent } from '../../../miner-agent/agent.ts';
import { paintFor, type Cli } from '../../../miner-agent/commands/cli.ts';
import { checkConfig, readConfig } from '../../../miner-agent/config.ts';
import { addDoctor } from '../../../miner-agent/doctor/command.ts';
import { createHotkeyFile, loadHotkey } from '../../../miner-agent/identity/hotkey.ts';
import { startProxy, type ProxyWish, type TestProxy } from '../../harness/proxy.ts';
import { SocketEdge } from '../agent/socket-edge.ts';

interface Found {
  id: string;
  status: string;
  cause: string;
  fix: string;
}

let folder: string;
let edge: SocketEdge;
let proxies: TestProxy[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ripcord-doctor-'));
  edge = await new SocketEdge().start();
  proxies = [];
  vi.stubEnv('DOCKER_HOST', 'tcp://nowhere');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const proxy of proxies) await proxy.close();
  await edge.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Of a miner whose config has these lines; null: of one without any. */
function flagsOf(lines: string[] | null): string[] {
  if (lines === null) return ['--no-config'];
  const keyFile = join(folder, 'hotkey');
  if (!existsSync(keyFile)) createHotkeyFile(keyFile);
  const file = join(folder, `${randomUUID()}.toml`);
  writeFileSync(file, [`hotkey = "${keyFile}"`, `data = "${join(folder, 'data')}"`, ...lines].join('\n'));
  return ['--config', file];
}

async function run(lines: string[] | null, ...flags: string[]): Promise<{ code: number; out: string }> {
  let [code, out] = [-1, ''];
  const cli: Cli = {
    write: (text) => (out += text),
    terminal: false,
    columns: () => 80,
    rows: () => 24,
    paint: paintFor(false, {}),
    signal: new AbortController().signal,
  };
  const program = new Command();
  addDoctor(program, cli, (ended) => (code = ended));
  await program.parseAsync(['doctor', ...flagsOf(lines), ...flags], { from: 'user' });
  return { code, out };
}

async function doctor(lines: string[] | null, ...flags: string[]): Promise<{ code: number; of: (id: string) => Found | undefined }> {
  const { code, out } = await run(lines, '--json', ...flags);
  const { checks } = JSON.parse(out) as { checks: Found[] };
  return { code, of: (id) => checks.find((check) => check.id === id) };
}

async function through(wish: ProxyWish = {}): Promise<string[]> {
  edge.claimedOrigin = 'http://edge.example';
  const proxy = await startProxy({ port: Number(new URL(edge.origin).port), ...wish });
  proxies.push(proxy);
  return [`api = "http://edge.example"`, `proxy = "${proxy.url}"`];
}

test('before init: the config is what fails, and the exit code is 1', async () => {
  const { code, of } = await doctor(null);
  expect([code, of('config')]).toEqual([1, expect.objectContaining({ status: 'FAIL', fix: 'ripcord-miner init' })]);
  expect(of('hotkey')).toMatchObject({ status: 'SKIP' });
  const plain = await run(null);
  expect(plain.out).toMatch(/^FAIL {2}config/);
  expect(plain.out).not.toContain('\x1b');
});

test('what is given is used: an edge without a hotkey is looked at, and only the hotkey is missing', async () => {
  const { code, of } = await doctor(null, '--api', edge.origin);
  expect([code, of('config')]).toEqual([
    1,
    expect.objectContaining({ status: 'FAIL', cause: expect.stringMatching(/^--hotkey is missing/) }),
  ]);
  for (const id of ['name', 'route', 'websocket']) expect(of(id)).toMatchObject({ status: 'PASS' });
  for (const id of ['hotkey', 'hotkey_accepted']) expect(of(id)).toMatchObject({ status: 'SKIP' });
  const wrong = await doctor(null, '--api', 'edge.example');
  expect(wrong.of('route')).toMatchObject({ status: 'SKIP', cause: 'no edge is named: give --api' });
});

test('a config with a word that it does not know is told with what was meant', async () => {
  const { of } = await doctor(['apy = "x"']);
  expect(of('config')).toMatchObject({ status: 'FAIL', cause: expect.stringContaining('did you mean api?') });
});

test('no route to the edge', async () => {
  const { code, of } = await doctor(['api = "http://127.0.0.1:9"']);
  expect(code).toBe(1);
  expect(of('route')).toMatchObject({ status: 'FAIL', cause: expect.stringMatching(/^not_connected: .*ECONNREFUSED/) });
  expect(of('hotkey_accepted')).toMatchObject({ status: 'FAIL', cause: expect.stringMatching(/^not_connected/) });
});

test('an edge that does not speak a version of this agent: doctor says so, and the agent leaves with it', async () => {
  edge.versions = [9];
  const lines = [`api = "${edge.origin}"`];
  const { of } = await doctor(lines);
  expect(of('protocol')).toMatchObject({ status: 'FAIL', cause: expect.stringMatching(/^old_version: the edge speaks 9/) });
  edge.refusesUpgrade = 426;
  const config = checkConfig(readConfig({ config: flagsOf(lines)[1] ?? '' }));
  const options = { config, hotkey: loadHotkey(config.hotkeyFile), tell: () => {}, signal: new AbortController().signal };
  await expect(runAgent(options)).rejects.toThrow(/Update ripcord-miner/);
});

test('an edge of another origin is not the one that was dialled', async () => {
  edge.claimedOrigin = 'https://other.example';
  const { of } = await doctor([`api = "${edge.origin}"`]);
  expect(of('hotkey_accepted')).toMatchObject({ status: 'FAIL', cause: expect.stringMatching(/^refused: .*https:\/\/other\.example/) });
});

test('what is no edge is told as that', async () => {
  const server = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const { of } = await doctor([`api = "http://127.0.0.1:${port}"`]);
  expect(of('hotkey_accepted')).toMatchObject({
    status: 'FAIL',
    cause: expect.stringMatching(/^not_connected: what answers is no Ripcord edge/),
  });
  server.close();
});

test('a proxy that lets silent tunnels live, and one that cuts them', async () => {
  const [kind, hasty] = [await through(), await through({ idleMs: 500 })];
  const [well, ill] = await Promise.all([doctor(kind), doctor(hasty)]);
  expect(well.of('proxy')).toMatchObject({ status: 'PASS' });
  expect([ill.code, ill.of('proxy')]).toEqual([
    1,
    expect.objectContaining({ status: 'FAIL', cause: expect.stringMatching(/^socket_cut: /) }),
  ]);
}, 20_000);

test('a proxy that wants a password', async () => {
  const { of } = await doctor(await through({ credentials: 'user:sesame' }));
  expect(of('proxy')).toMatchObject({ status: 'FAIL', cause: expect.stringMatching(/^not_connected: .*\(407\)/) });
});

test('--deep holds a session where no agent runs', async () => {
  const { of } = await doctor([...(await through({ idleMs: 500 }))], '--deep');
  expect(of('websocket')).toMatchObject({ status: 'FAIL', cause: expect.stringMatching(/^socket_cut: a session did not live/) });
});
