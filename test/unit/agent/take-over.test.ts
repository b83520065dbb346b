/** A newer agent asks an older one of the same data folder to leave, and waits for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LogRings } from '../../../miner-agent/control/log-rings.ts';
import { ControlServer } from '../../../miner-agent/control/server.ts';
import type { Status } from '../../../miner-agent/control/status.ts';
import { AGENT_VERSION } from '../../../miner-agent/inventory.ts';
import { releaseFolder, takeFolder } from '../../../miner-agent/runtimes/leftovers.ts';
import { takeOver } from '../../../miner-agent/take-over.ts';

let dataFolder: string;
let server: ControlServer | undefined;
let status: Status;
let drained: number;
beforeEach(() => {
  dataFolder = mkdtempSync(join(tmpdir(), 'ripcord-take-'));
  server = undefined;
  drained = 0;
  const inventory = { agentVersion: '0', platform: 'x', runtimes: [], devices: [], region: 'x' };
  const machine = { hotkey: '5F', name: 'rig', api: 'https://edge', data: dataFolder, inventory };
  const work = { instances: [], offers: 0, reasons: [], served: { calls: 0, failed: 0, tokens_out: 0 } };
  const wishes = { maintenance: false, draining: false, pin: [], forbid: [] };
  status = {
    at: 0,
    started_at: 0,
    pid: 1,
    version: AGENT_VERSION,
    link: { state: 'up', detail: '', since: 0 },
    ...machine,
    ...work,
    ...wishes,
  };
});
afterEach(() => {
  server?.close();
  rmSync(dataFolder, { recursive: true, force: true });
});

/** An agent has the folder; told to drain it leaves. */
async function holder(): Promise<void> {
  expect(takeFolder(dataFolder)).toBeNull();
  const kept = { maintenance: false, pin: [], forbid: [] };
  server = new ControlServer(dataFolder, {
    logs: new LogRings(),
    status: () => status,
    drain: () => {
      drained++;
      setImmediate(() => releaseFolder(dataFolder));
      return { instances: 0, within_ms: 0 };
    },
    maintenance: () => kept,
    reloadWishes: () => kept,
    offers: () => [],
  });
  await server.listen();
}

const take = (waits: string[] = [], signal = new AbortController().signal) =>
  takeOver({ dataFolder, waits: (detail) => waits.push(detail), signal });

test('a folder that nobody has is taken at once', async () => {
  expect(await take()).toBeNull();
});

test('of several that start at once on what a crash left, one has it', async () => {
  writeFileSync(join(dataFolder, 'agent.lock'), JSON.stringify({ pid: 2 ** 30, startedAt: '1', instance: 'agent' }));
  const module = new URL('../../../miner-agent/runtimes/leftovers.ts', import.meta.url).href;
  const script = `import(${JSON.stringify(module)}).then(({ takeFolder }) => {
    console.log('ready');
    process.stdin.once('data', () => console.log(JSON.stringify(takeFolder(${JSON.stringify(dataFolder)}))));
  });`;
  const agents = Array.from({ length: 4 }, () => spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] }));
  const line = async ({ stdout }: (typeof agents)[number]) => String((await once(stdout, 'data'))[0]).trim();
  await Promise.all(agents.map(line));
  const told = agents.map(line);
  for (const { stdin } of agents) stdin.write('go');
  const pids = await Promise.all(told);
  const winner = agents[pids.indexOf('null')]?.pid;
  expect(pids.toSorted()).toEqual([String(winner), String(winner), String(winner), 'null']);
  expect(readdirSync(dataFolder)).toEqual(['agent.lock']);
  for (const agent of agents) agent.kill();
});

test('an older agent is asked to drain, and followed', async () => {
  await holder();
  status = { ...status, version: '0.0.9' };
  const waits: string[] = [];
  expect(await take(waits)).toBeNull();
  expect([drained, waits]).toEqual([1, [expect.stringMatching(/\(0\.0\.9\) leaves; this one starts when its calls have ended/)]]);
});

test.each([AGENT_VERSION, '99.0.0'])('one of version %s is left alone', async (version) => {
  await holder();
  status = { ...status, version };
  expect(await take()).toMatch(/^another agent \(pid \d+\) uses .*; end it with ripcord-miner drain/);
  expect(drained).toBe(0);
});

test('one that leaves is waited for and not asked again; a signal ends the waiting', async () => {
  await holder();
  status = { ...status, draining: true };
  const aborter = new AbortController();
  const waiting = take([], aborter.signal);
  setImmediate(() => aborter.abort());
  expect(await waiting).toMatch(/still uses/);
  expect(drained).toBe(0);
  const second = take();
  releaseFolder(dataFolder);
  expect(await second).toBeNull();
});

test('one that does not answer is not waited for', async () => {
  expect(takeFolder(dataFolder)).toBeNull();
  expect(await take()).toMatch(/^another agent/);
});
