import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processesOf, runStart } from '../harness/start-command.ts';

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'ripcord-start-'));
});
afterEach(() => rm(data, { recursive: true, force: true }));

test.each([
  ['an unknown flag', ['--nope'], '--nope'],
  ['a stray word', ['now'], 'now'],
  ['a port that is no number', ['--port', 'http'], '--port'],
  ['a port out of range', ['--port', '65536'], '--port'],
  ['an epoch that is not whole slots', ['--epoch-seconds', '95'], '--epoch-seconds'],
])('%s is wrong use', async (_, args, named) => {
  const start = runStart(['--data', data, ...args]);
  expect(await start.exit).toBe(2);
  expect(start.stderr().trim().split('\n')).toHaveLength(1);
  expect(start.stderr()).toContain(named);
  expect(await readdir(data)).toEqual([]);
});

test('a taken port is refused before anything is started', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const start = runStart(['--data', data, '--port', String(port)]);
  expect(await start.exit).toBe(4);
  expect(start.stderr()).toContain(String(port));
  expect(processesOf(data)).toEqual([]);
  other.close();
});

test('a folder with other files is refused and left alone, even with --fresh', async () => {
  await writeFile(join(data, 'thesis.txt'), 'years of work');
  const start = runStart(['--data', data, '--port', '0', '--fresh']);
  expect(await start.exit).toBe(5);
  expect(await readFile(join(data, 'thesis.txt'), 'utf8')).toBe('years of work');
});

test.each([
  ['broken', '{"workerd":'],
  [
    'of a newer workerd',
    JSON.stringify({
      workerd: '1.29990101.0',
      edgeSecret: 'a'.repeat(64),
      internalToken: 'b'.repeat(64),
      postgresPassword: 'c'.repeat(32),
    }),
  ],
])('a data folder that is %s is refused', async (_, state) => {
  await writeFile(join(data, 'state.json'), state);
  const start = runStart(['--data', data, '--port', '0']);
  expect(await start.exit).toBe(5);
  expect(start.stderr().trim().split('\n')).toHaveLength(1);
  expect(start.stderr()).not.toContain('aaaa');
});

test('a Postgres cluster of another release is refused', async () => {
  const state = { workerd: '1.20200101.0', edgeSecret: 'a'.repeat(64), internalToken: 'b'.repeat(64), postgresPassword: 'c'.repeat(32) };
  await writeFile(join(data, 'state.json'), JSON.stringify(state));
  await mkdir(join(data, 'postgres'));
  await writeFile(join(data, 'postgres', 'PG_VERSION'), '9\n');
  const start = runStart(['--data', data, '--port', '0']);
  expect(await start.exit).toBe(5);
  expect(start.stderr()).toContain('Postgres 9');
});

test('a file where the data folder should be is refused', async () => {
  const file = join(data, 'file');
  await writeFile(file, '');
  const start = runStart(['--data', file, '--port', '0']);
  expect(await start.exit).toBe(5);
});
