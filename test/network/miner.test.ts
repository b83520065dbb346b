/** Two miners from empty folders: they share the calls, refuse what they were not told to run, die under load, and come back. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../cli/client.ts';
import { deployFolder } from '../../cli/deploy.ts';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import { freePort } from '../../dev/ports.ts';
import { deployEcho, writeEcho, type Echo } from '../harness/echo.ts';
import { StandInEngine } from '../harness/engine/stand-in.ts';
import { rawRequest, type RawReply } from '../harness/http.ts';
import { bundleMiner, startMiner, type Miner } from '../harness/miner.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { closedStory } from '../harness/story.ts';
import { until } from '../harness/until.ts';
import { knownEvent, knownEvents } from './chutes/echo/known.ts';

let network: TestNetwork;
let bundle: string;
let echo: Echo;
const miners: Miner[] = [];

beforeAll(async () => {
  network = await startNetwork({ chutes: [], agents: 0 });
  const packed = network.folder.folder('bundle');
  bundle = await bundleMiner(packed);
  expect(readdirSync(packed)).toEqual(['ripcord-miner.mjs']);
  miners.push(start(0), start(1));
  await Promise.all(miners.map((miner) => miner.says('link', ({ state }) => state === 'up')));
  echo = await deployEcho(network, { min: 2, max: 2, concurrency: 32, public: true });
  await bothLive();
});
afterAll(async () => {
  await Promise.all(miners.map((miner) => miner.clear()));
  await network?.close();
});

/** Each has room for one program, so that the chute's two instances lie with two miners. */
function start(index: number): Miner {
  const folder = network.folder.file('miners', String(index));
  mkdirSync(folder, { recursive: true });
  const flags = ['--name', `miner-${index}`, '--max-instances', '1', '--allow-account', 'demo', '--drain', '5'];
  return startMiner(bundle, folder, network.api, flags);
}

interface InstanceItem {
  instance_id: string;
  hotkey: string;
  state: string;
}

async function instances(): Promise<InstanceItem[]> {
  return ((await (await network.request(`/chutes/${echo.name}`)).json()) as { instances: InstanceItem[] }).instances;
}

/** Both miners serve, and calls that name either instance find it. */
async function bothLive(): Promise<Map<string, string>> {
  return until(
    'both miners serve',
    async () => {
      const live = (await instances()).filter(({ state }) => state === 'live');
      if (new Set(live.map(({ hotkey }) => hotkey)).size < 2) throw new Error(JSON.stringify(live));
      const asked = live.map(({ instance_id }) => network.request(echo.at('/hold'), { headers: { 'x-ripcord-instance': instance_id } }));
      return (await Promise.all(asked)).every(({ ok }) => ok) ? new Map(live.map((i) => [i.hotkey, i.instance_id])) : null;
    },
    { deadlineMs: 60_000 },
  );
}

const ask = (path: string, more: { method?: string; headers?: Record<string, string>; body?: string } = {}) =>
  rawRequest(network.api + echo.at(path), { ...more, headers: { authorization: `Bearer ${network.key}`, ...more.headers } }).reply;

async function call(path = '/hold?ms=20'): Promise<{ status: number; ms: number; pid: number; body: string }> {
  const started = performance.now();
  const reply = await ask(path);
  await reply.over;
  const body = reply.body().toString();
  const pid = reply.status === 200 ? (JSON.parse(body) as { pid: number }).pid : 0;
  return { status: reply.status, ms: Math.round(performance.now() - started), pid, body };
}

/** Calls without pause, so many at a time, until it is stopped. */
function load(width: number): { stop(): Promise<Awaited<ReturnType<typeof call>>[]>; count(): number } {
  const done: Awaited<ReturnType<typeof call>>[] = [];
  let going = true;
  const one = async () => {
    while (going) done.push(await call());
  };
  const all = Promise.all(Array.from({ length: width }, one));
  return {
    count: () => done.length,
    async stop() {
      going = false;
      await all;
      return done;
    },
  };
}

test('both take their share of the calls', async () => {
  const replies = await Promise.all(Array.from({ length: 60 }, () => call('/hold?ms=5')));
  const byPid = Object.values(Object.groupBy(replies, ({ pid }) => pid)).map((of) => of?.length ?? 0);
  console.log(`  ${byPid.join(' and ')} of 60 calls`);
  expect(byPid).toHaveLength(2);
  expect(Math.min(...byPid)).toBeGreaterThan(5);
  expect(miners.every((miner) => miner.events.some(({ event }) => event === 'served'))).toBe(true);
});

test('they are in the public list of miners', async () => {
  await until('both are listed', async () => {
    const { items } = (await (await network.request('/miners')).json()) as { items: { hotkey: string; connected: number }[] };
    return miners.every(({ hotkey }) => items.some((item) => item.hotkey === hotkey && item.connected === 1));
  });
});

test("a stranger's command is not run, and both sides are told why", async () => {
  const stranger = new Client({ api: network.api, hotkey: hotkeyOf('52'.repeat(32)) });
  await stranger.signUp('stranger');
  const folder = network.folder.folder('stranger');
  writeEcho(folder, { name: 'tool', max: 2 });
  await deployFolder(stranger, folder);
  for (const miner of miners) {
    expect(await miner.says('skip', ({ chute }) => chute === 'stranger/tool')).toMatchObject({
      reason: expect.stringMatching(/nobody allowed it; allow it with --allow-account stranger or --allow-code [0-9a-f]{64}/) as string,
    });
  }
  expect((await stranger.chute('stranger/tool')).instances).toEqual([]);
  await stranger.deleteChute('stranger/tool');
});

describe('a miner is killed under load', () => {
  let going: ReturnType<typeof load>;
  let streams: { reply: RawReply; before: number; begun: boolean }[];
  let unsafe: RawReply[];
  let killedMs = 0;

  beforeAll(async () => {
    // What was busy before is remembered for some seconds by whoever picks.
    await until('both get calls', async () => {
      const replies = await Promise.all(Array.from({ length: 12 }, () => call()));
      return new Set(replies.map(({ pid }) => pid)).size === 2;
    });
    going = load(8);
    // Streams that have begun, streams that have not, and calls that may not be sent twice, on either miner.
    const begun = await Promise.all(Array.from({ length: 12 }, () => ask('/events?n=300&ms=10')));
    await Promise.all(begun.map((reply) => reply.until(300)));
    const silent = Array.from({ length: 12 }, () => ask('/events?n=20&first=700&tag=silent'));
    const once = Array.from({ length: 12 }, (_, i) => ask(`/hold?ms=700&tag=once-${i}`, { method: 'POST', body: 'x' }));
    await Promise.all(Array.from({ length: 12 }, (_, i) => echo.has(`once-${i}`)));
    await until(
      'the engines have all',
      async () => (await echo.engines()).reduce((n, { order }) => n + order.filter((tag) => tag === 'silent').length, 0) === 12,
    );
    const sofar = begun.map((reply) => ({ reply, before: reply.body().length, begun: true }));
    const killed = performance.now();
    await miners[0]?.kill();
    streams = [...sofar, ...(await Promise.all(silent)).map((reply) => ({ reply, before: 0, begun: false }))];
    unsafe = await Promise.all(once);
    await Promise.all([...streams.map(({ reply }) => reply.over), ...unsafe.map((reply) => reply.over)]);
    killedMs = Math.round(performance.now() - killed);
  });

  test('no call fails that had no byte yet', async () => {
    const replies = await going.stop();
    const slowest = Math.max(...replies.map(({ ms }) => ms));
    console.log(`  ${replies.length} calls went on, the slowest took ${slowest} ms; the last stream ended after ${killedMs} ms`);
    expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
    const silent = streams.filter(({ begun }) => !begun);
    for (const { reply } of silent) expect([reply.status, reply.body().toString()]).toEqual([200, knownEvents(20)]);
  });

  test('a stream that had begun ends in a typed miner_lost event: no byte twice, no false end', async () => {
    const begun = streams.filter((stream) => stream.begun).map(({ reply }) => reply);
    const whole = knownEvents(300);
    const lost = begun.filter((reply) => reply.body().toString() !== whole);
    console.log(`  ${lost.length} of ${begun.length} streams were on the miner that died`);
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.length).toBeLessThan(begun.length);
    for (const reply of lost) {
      const body = reply.body().toString();
      const cut = body.lastIndexOf('data: {"error"');
      expect(whole.startsWith(body.slice(0, cut))).toBe(true);
      expect(body.slice(0, cut)).toMatch(/\n\n$/);
      expect(body).not.toContain('[DONE]');
      const { error } = JSON.parse(body.slice(cut + 'data: '.length)) as { error: { code: string; request_id: string } };
      expect(error).toMatchObject({ code: 'miner_lost', request_id: reply.headers['x-request-id'] });
      const story = await closedStory(network, error.request_id);
      expect(story).toMatchObject({
        state: 'failed',
        code: 'miner_lost',
        attempts: [{ outcome: 'failed', miner_hotkey: miners[0]?.hotkey }],
      });
      expect(story.attempts).toHaveLength(1);
      expect(story.attempts[0]?.bytes).toBeLessThanOrEqual(cut);
      expect(story.attempts[0]?.bytes).toBeGreaterThanOrEqual(knownEvent(0).length);
    }
  });

  test('a call that may not be sent twice ends as outcome_unknown, and was sent once', async () => {
    const failed = unsafe.filter(({ status }) => status !== 200);
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.length).toBeLessThan(unsafe.length);
    for (const reply of failed) expect(JSON.parse(reply.body().toString())).toMatchObject({ status: 502, code: 'outcome_unknown' });
    const seen = (await echo.engines()).flatMap(({ order }) => order.filter((tag) => tag.startsWith('once-')));
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('it comes back in its folder, ends what it left, and serves again', async () => {
    const [first] = miners.splice(0, 1, start(0));
    expect(first?.hotkey).toBe(miners[0]?.hotkey);
    await miners[0]?.says('reaped');
    const live = await bothLive();
    const reply = await network.request(echo.at('/hold'), { headers: { 'x-ripcord-instance': live.get(first?.hotkey ?? '') ?? '' } });
    expect(reply.status).toBe(200);
    await until('no program is left over', async () => (await echo.engines()).length === 2);
  });
});

test('a miner that is told to end finishes its calls; callers notice nothing', async () => {
  const going = load(8);
  const streams = await Promise.all(Array.from({ length: 8 }, () => ask('/events?n=150&ms=10')));
  await Promise.all(streams.map((reply) => reply.until(300)));
  expect(await miners[1]?.stop()).toBe(0);
  expect(await Promise.all(streams.map((reply) => reply.over))).toEqual(streams.map(() => 'end'));
  for (const reply of streams) expect(reply.body().toString()).toBe(knownEvents(150));
  const replies = await going.stop();
  expect(replies.filter(({ status }) => status !== 200)).toEqual([]);
  expect(miners[1]?.events.at(-1)).toMatchObject({ event: 'left' });
});

test('an image runs where a container engine answers; what a crashed agent left of it is removed', async () => {
  const image = `registry.example/app@sha256:${'a'.repeat(64)}`;
  const program = `require('node:http').createServer((q, r) => r.end('image ' + q.url)).listen(process.env.PORT, '127.0.0.1')`;
  const engine = new StandInEngine(network.folder.file('engine.sock'), { [image]: { command: [process.execPath, '-e', program] } });
  await engine.listen();
  const config = network.folder.file('containers.toml');
  writeFileSync(config, `engine_socket = ${JSON.stringify(engine.socket)}\n`);
  const folder = network.folder.folder('miners', 'containers');
  const up = () => startMiner(bundle, folder, network.api, ['--name', 'containers', '--config', config, '--drain', '5']);
  let miner = up();
  try {
    const chute = network.folder.folder('imaged');
    writeFileSync(join(chute, 'chute.toml'), `name = "imaged"\nimage = "${image}"\nport = ${await freePort()}\nmin = 1\n`);
    await deployFolder(new Client({ api: network.api, key: network.key }), chute);
    const reply = await until('it serves', async () => {
      const tried = await network.request('/call/demo/imaged/x');
      return tried.ok && tried.text();
    });
    expect(reply).toBe('image /x');
    expect(engine.names()).toHaveLength(2);
    const instance = engine.created[0]?.body.Labels['ripcord.instance'];
    await miner.kill();
    miner = up();
    await miner.says('reaped', (event) => event.instance === instance);
    expect(engine.problems).toEqual([]);
  } finally {
    await miner.clear();
    await engine.close();
  }
});
