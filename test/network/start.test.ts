import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Demo } from '../../dev/demo.ts';
import { processesOf, runStart, type StartCommand } from '../harness/start-command.ts';
import { until } from '../harness/until.ts';

// One network lives through the whole file: each test finds what the one before left.
let data: string;
let start: StartCommand;
let first: Demo;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'ripcord-start-'));
  start = runStart(['--data', data, '--port', '0']);
  first = await start.ready;
}, 60_000);

afterAll(async () => {
  start.signal('SIGINT');
  await start.exit;
  await rm(data, { recursive: true, force: true });
}, 30_000);

test('it prints one JSON object when every demo chute answers', async () => {
  expect(JSON.parse(start.stdout())).toEqual(first);
  expect(first.chutes.map(({ name }) => name).toSorted()).toEqual(['demo/chat', 'demo/embed', 'demo/image']);
  expect(first.agents).toHaveLength(1);
  expect((await chat(first)).status).toBe(200);
});

test('secrets are in no command line, and the files that hold them are the owner’s', async () => {
  const commands = processesOf(data).map(({ command }) => command);
  expect(commands.join('\n')).not.toMatch(/postgresql:\/\/|[0-9a-f]{32}/);
  expect((await stat(join(data, 'state.json'))).mode & 0o077).toBe(0);
});

test('a second start on the same folder is refused', async () => {
  const second = runStart(['--data', data, '--port', '0']);
  expect(await second.exit).toBe(5);
  expect(second.stderr()).toContain('in use');
});

test.each([
  ['Postgres', / -D \S+\/postgres /],
  ['the edge', /workerd serve \S+\/edge\//],
  ['the agent', /miner-agent\/\S+ up /],
])(
  '%s is started again after kill -9',
  async (_, pattern) => {
    const { pid } = processesOf(data).find(({ command }) => pattern.test(command)) ?? { pid: 0 };
    process.kill(pid, 'SIGKILL');
    await until('another process', () => processesOf(data).some((one) => pattern.test(one.command) && one.pid !== pid));
    await until('an answered call', async () => (await chat(first)).ok, { deadlineMs: 30_000 });
  },
  60_000,
);

test('SIGINT leaves no process behind; a second start finds accounts, chutes and keys', async () => {
  start.signal('SIGINT');
  expect(await start.exit).toBe(0);
  expect(processesOf(data)).toEqual([]);
  start = runStart(['--data', data, '--port', new URL(first.api).port]);
  expect(await start.ready).toEqual(first);
}, 60_000);

test('when it is killed itself, nothing goes on without it', async () => {
  start.signal('SIGKILL');
  await start.exit;
  await until('no process', () => processesOf(data).length === 0);
  start = runStart(['--data', data, '--port', '0']);
  expect(await start.ready).toMatchObject({ key: first.key, account: first.account });
}, 60_000);

function chat({ api, key }: Demo): Promise<Response> {
  return fetch(`${api}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo/chat', max_tokens: 4, messages: [{ role: 'user', content: 'Hello' }] }),
    signal: AbortSignal.timeout(10_000),
  });
}
