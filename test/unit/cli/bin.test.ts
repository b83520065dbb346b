import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SECRET, StandIn } from './stand-in.ts';

const BIN = fileURLToPath(new URL('../../../cli/bin.ts', import.meta.url));

let api: StandIn;
beforeEach(async () => {
  api = new StandIn();
  await api.listen();
});
afterEach(() => api.close());

function start(argv: string[], origin = api.origin) {
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', RIPCORD_API: origin, RIPCORD_API_KEY: SECRET };
  return spawn(process.execPath, [BIN, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

const LINE = `${JSON.stringify({ instance_id: 'ins_1', seq: 0, at: 0, source: 'out', text: 'up' })}\n`;

test('the program runs as it is, and its exit code is the command’s', async () => {
  api.on('GET /accounts/me', { json: { account_id: 'acc_1', handle: 'alice', hotkey: null } });
  expect(await once(start(['whoami']), 'close')).toEqual([0, null]);
  expect(await once(start(['nonsense']), 'close')).toEqual([2, null]);
  expect(await once(start(['whoami'], 'http://127.0.0.1:1'), 'close')).toEqual([3, null]);
}, 20_000);

test('Ctrl-C ends what follows, with 130', async () => {
  api.on('GET /chutes/alice/hello/logs?follow=1', { stream: (response) => void response.write(LINE) });
  const child = start(['logs', 'alice/hello', '-f']);
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([130, null]);
}, 20_000);

test('a reader that leaves ends it quietly', async () => {
  api.on('GET /chutes/alice/hello/logs?follow=1', {
    stream: (response) => {
      let seq = 0;
      const timer = setInterval(() => response.write(LINE.replace('"seq":0', `"seq":${(seq += 1)}`)), 5);
      response.on('close', () => clearInterval(timer));
    },
  });
  const child = start(['logs', 'alice/hello', '-f']);
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await once(child.stdout, 'data');
  child.stdout.destroy();
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(err).toBe('');
}, 20_000);
