/** The whole flow of a judge against an edge over real HTTP whose miners fail, stall and lie. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from '../../../validator-cron/config.ts';
import { makeBench, type Bench } from '../../../validator-cron/bench.ts';
import { tick } from '../../../validator-cron/tick.ts';
import { ALICE, anAgent, anInstance, BOB } from './made.ts';
import { BEACON } from './stand-in-beacon.ts';
import { chats, json, StandInEdge, type Answer } from './stand-in-edge.ts';

let edge: StandInEdge;
let bench: Bench;

beforeEach(async () => {
  edge = await StandInEdge.start();
  const config = readConfig({ API_ORIGIN: edge.origin, JUDGE_SEED: '11'.repeat(32), API_KEY: 'rk_test' });
  bench = { ...makeBench(config, null, new AbortController().signal), beacon: BEACON };
});
afterEach(() => edge[Symbol.asyncDispose]());

const now = Date.now();
/** Well inside an epoch, so that one epoch is scored. */
const at = now - (now % 3_600_000) + 600_000;

test('an honest miner is called, pinged and scored', async () => {
  edge.agents = [anAgent('agt_1', ALICE, [anInstance()])];
  edge.rtt.set('agt_1', 12);
  edge.answers.set('ins_1', chats);

  expect(await tick(bench, now)).toMatchObject({ calls: { agents: 1, observations: 2, ok: 2 }, failures: [] });

  expect(edge.calls).toEqual([{ path: '/v1/chat/completions', instance: 'ins_1', key: 'Bearer rk_test' }]);
  expect([...edge.observations.values()].map((o) => [o.type, o.ok, o.judge, o.call])).toEqual([
    ['canary', true, bench.config.hotkey.ss58, 'call-1'],
    ['rtt', true, bench.config.hotkey.ss58, null],
  ]);
});

test('a tick that runs twice leaves the same rows', async () => {
  edge.agents = [anAgent('agt_1', ALICE, [anInstance()])];
  edge.answers.set('ins_1', chats);
  await Promise.all([tick(bench, now), tick(bench, now)]);
  expect(edge.observations.size).toBe(2);
});

test('an engine without chat is asked to embed', async () => {
  edge.agents = [anAgent('agt_1', ALICE, [anInstance()])];
  edge.answers.set('ins_1', (reply, request) => {
    if (request.url === '/v1/embeddings') json(reply, 200, { data: [{ embedding: [0.5] }] });
    else json(reply, 404, {});
  });
  await tick(bench, now);
  expect([...edge.observations.values()].find((o) => o.type === 'canary')).toMatchObject({
    ok: true,
    reason: 'answered',
  });
});

const hostile: Record<string, Answer> = {
  bad_status: (reply) => json(reply, 500, {}),
  bad_shape: (reply) => json(reply, 200, { choices: 'all' }),
  cut_short: (reply) => reply.end('data: {"choices":[{"delta":{"content":"t"}}]}\n\n'),
  too_much: (reply) => {
    const flood = Buffer.alloc(64 * 1024, 'x');
    reply.on('error', () => {});
    const pour = () => {
      while (!reply.destroyed && reply.write(flood));
      if (!reply.destroyed) reply.once('drain', pour);
    };
    pour();
  },
  edge_failed: (reply) => void reply.destroy(),
  busy: (reply) => json(reply, 429, {}, { 'x-ripcord-error': 'no_capacity' }),
};

test('each miner’s failing is its own and gets its reason', async () => {
  const kinds = Object.keys(hostile);
  edge.agents = [
    anAgent(
      'agt_1',
      ALICE,
      kinds.map((kind) => anInstance({ instance: kind })),
    ),
    anAgent('agt_2', BOB, [anInstance({ instance: 'good' })]),
  ];
  for (const [kind, answer] of Object.entries(hostile)) edge.answers.set(kind, answer);
  edge.answers.set('good', chats);
  edge.rtt.set('agt_2', 5);

  await tick(bench, at);

  const seen = [...edge.observations.values()];
  expect(Object.fromEntries(seen.filter((o) => o.type === 'canary').map((o) => [o.instance, o.reason]))).toEqual({
    ...Object.fromEntries(kinds.map((kind) => [kind, kind])),
    good: 'answered',
  });
  expect(seen.find((o) => o.type === 'rtt' && o.agent === 'agt_1')?.reason).toBe('silent');
});

test('a redirect is not followed with the key', async () => {
  edge.agents = [anAgent('agt_1', ALICE, [anInstance()])];
  edge.answers.set('ins_1', (reply) => reply.writeHead(307, { location: '/elsewhere' }).end());
  await tick(bench, now);
  expect(edge.calls.map((c) => c.path)).not.toContain('/elsewhere');
  expect([...edge.observations.values()].find((o) => o.type === 'canary')?.reason).toBe('bad_status');
});

test.for<{ what: string; answer: Answer }>([
  { what: 'breaks', answer: (reply) => json(reply, 500, {}) },
  { what: 'talks nonsense', answer: (reply) => reply.end('<html>') },
  { what: 'hangs up', answer: (reply) => void reply.destroy() },
  { what: 'lists agents without end', answer: (reply) => reply.end(`{"items":[],"next":"${'x'.repeat(2_000_000)}"}`) },
])('an edge that $what ends that part of the tick, with its reason', async ({ answer }) => {
  edge.broken.set('/audit/agents', answer);
  const { calls, challenges, failures } = await tick(bench, now);
  expect(calls).toBeNull();
  expect(challenges).not.toBeNull();
  expect(failures).toEqual([{ part: 'calls', reason: expect.stringContaining('/audit/agents answered') }]);
});

test('an edge of which nothing works is a failed tick', async () => {
  for (const path of ['/audit/agents', '/audit/targets', '/audit/transcripts', '/epochs'])
    edge.broken.set(path, (reply) => json(reply, 503, {}));
  await expect(tick(bench, now)).rejects.toThrow('answered 503');
});

test('nobody there is a tick with nothing to do', async () => {
  expect(await tick(bench, at)).toMatchObject({ calls: { agents: 0, observations: 0 }, challenges: { due: 0 }, verdicts: { judged: 0 } });
});

test.for([
  [{ API_ORIGIN: 'ftp://x' }, 'API_ORIGIN'],
  [{ JUDGE_SEED: 'abc' }, 'JUDGE_SEED'],
  [{ SELF_ORIGIN: 'nowhere' }, 'SELF_ORIGIN'],
  [{ CHAIN_URL: 'http://x.test' }, 'NETUID'],
  [{ EPOCH_SECONDS: '90' }, 'EPOCH_SECONDS'],
] as const)('a config with %o is refused by name, without its value', ([wrong, name]) => {
  const env = { API_ORIGIN: 'http://x.test', JUDGE_SEED: '11'.repeat(32), API_KEY: 'k', ...wrong };
  expect(() => readConfig(env)).toThrow(name);
});
