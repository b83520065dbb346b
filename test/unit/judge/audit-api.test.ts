/** The audit routes: who may write, what is taken, what is told. Objects and record stand in as their ports say. */
import { secretFromSeed, getPublicKey } from '@scure/sr25519';
import { Hono } from 'hono';
import { beforeEach, expect, test, vi } from 'vitest';
import { auditApi } from '../../../functions/api/audit.ts';
import { challengesApi } from '../../../functions/api/challenges.ts';
import { turn } from '../../../functions/api/live-instances.ts';
import { minersApi } from '../../../functions/api/miners.ts';
import type { Env } from '../../../functions/env.ts';
import { errorResponse } from '../../../functions/errors.ts';
import { agentIdOf } from '../../../functions/gate/ids.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { observationId, type Observation, type Score, type StoredObservation } from '../../../functions/protocol/audit.ts';
import { hotkeyFromSeed, signedHeaders, type Hotkey } from '../../../validator-cron/hotkey.ts';

const record = vi.hoisted(() => ({
  agents: [] as { id: string; hotkey: string; inventory: unknown; lastSeenAt: Date }[],
  observations: new Map<string, StoredObservation>(),
  scores: [] as (Score & { judge: string })[],
}));

vi.mock('#db', () => ({
  connect: () => ({}),
  hasPermit: async () => false,
  listAgents: async () => record.agents,
  listAgentsOf: async (_: unknown, hotkey: string) => record.agents.filter((a) => a.hotkey === hotkey),
  listMiners: async () => [{ hotkey: MINER, agents: 2, devices: 3, lastSeenAt: new Date(5), attempts: 4, completed: 3, tokensOut: 9 }],
  readStandings: async () => new Map([[MINER, { uid: 7, coldkey: '5C', incentive: 99, jailed: null }]]),
  readEmission: async () => ({ last: 1n, total: 2n, epochs: 3 }),
  listAnswering: async () => new Map([[MINER, ['agt_quiet']]]),
  insertObservations: async (_: unknown, items: StoredObservation[]) => items.forEach((o) => record.observations.set(o.id, o)),
  listObservations: async (_: unknown, { types }: { types?: string[] }) =>
    [...record.observations.values()].filter((o) => types?.includes(o.type) ?? true),
  insertScores: async (_: unknown, judge: string, items: Score[]) => record.scores.push(...items.map((s) => ({ ...s, judge }))),
  newestEpoch: async () => record.scores.at(-1)?.epoch ?? null,
  readScores: async (_: unknown, ask: { epoch: number }) => record.scores.filter((s) => s.epoch === ask.epoch),
}));

vi.stubGlobal('scheduler', { wait: () => new Promise(() => {}) });

const ORIGIN = 'https://edge.test';
const judge = hotkeyFromSeed('33'.repeat(32));
const stranger = hotkeyFromSeed('44'.repeat(32));
const MINER = encodeSs58(getPublicKey(secretFromSeed(new Uint8Array(32).fill(5))));

const spent = new Set<string>();
const accounts = {
  spendNonce: async (nonce: string) =>
    spent.has(nonce) ? { ok: false, code: 'nonce_used' } : (spent.add(nonce), { ok: true, handle: null }),
};
const snapshots = { snapshot: vi.fn() };
const facts = {
  agent: 'agt',
  hotkey: MINER,
  connected: true,
  inventory: inventoryOf('eu'),
  instances: [{ instance: 'ins_1', chute: 'cht_1', version: 'v', state: 'live', busy: 1, slots: 4 }],
};
const miners = { ping: async (): Promise<number | null> => 12.6, facts: async () => facts };

function inventoryOf(region: string) {
  return {
    agentVersion: '1',
    platform: 'linux',
    runtimes: ['process'],
    devices: [{ id: 'cpu', kind: 'cpu', name: 'cpu', memoryMb: 1 }],
    region,
  };
}

function namespaceOf(stub: unknown) {
  return { idFromName: (name: string) => name, get: () => stub };
}

let env: Env;
const app = new Hono<{ Bindings: Env; Variables: { requestId: string } }>();
app.route('/', auditApi).route('/', challengesApi).route('/', minersApi);
app.onError((error) => errorResponse(error, 'problem', 'call-1'));

beforeEach(() => {
  record.agents = [];
  record.observations.clear();
  record.scores = [];
  snapshots.snapshot.mockResolvedValue(chute());
  // A new Market per test: what is kept for a few seconds belongs to one.
  env = {
    EDGE_SECRET: 'ab'.repeat(32),
    PUBLIC_ORIGIN: ORIGIN,
    JUDGES: `${judge.ss58}, 5other`,
    ACCOUNT: namespaceOf(accounts),
    CHUTE: namespaceOf(snapshots),
    MINER: namespaceOf(miners),
    MARKET: namespaceOf({ listings: async () => [{ chute: 'cht_1' }] }),
  } as unknown as Env;
});

function chute(of: object = {}) {
  const instance = {
    instance: 'ins_1',
    agent: 'agt_1',
    hotkey: MINER,
    version: 'v',
    slots: 4,
    busy: 0,
    region: 'eu',
    state: 'live',
    open: true,
    liveSince: 0,
  };
  const config = { template: 'openai', health: '/health', cords: [] };
  return {
    chute: 'cht_1',
    name: 'demo/chat',
    public: true,
    config,
    instances: [instance, { ...instance, instance: 'ins_2', state: 'draining' }],
    ...of,
  };
}

async function get(path: string) {
  const reply = await app.request(ORIGIN + path, {}, env);
  return { status: reply.status, json: await reply.json<Record<string, unknown>>() };
}

function signed(hotkey: Hotkey, path: string, json: unknown, of: { timestampMs?: number } = {}): Request {
  const body = new TextEncoder().encode(JSON.stringify(json));
  const nonceHex = crypto.randomUUID().replaceAll('-', '');
  const headers = signedHeaders(hotkey, {
    origin: ORIGIN,
    method: 'POST',
    target: path,
    body,
    timestampMs: Date.now(),
    nonceHex,
    ...of,
  });
  return new Request(ORIGIN + path, {
    method: 'POST',
    body,
    headers: { ...headers, 'content-length': String(body.length) },
  });
}

async function post(request: Request) {
  const reply = await app.request(request, {}, env);
  return { status: reply.status, json: await reply.json<Record<string, unknown>>() };
}

function observation(of: Partial<Observation> = {}): Observation {
  const at = Date.now();
  const round = Math.floor(at / 60_000) * 60;
  const id = observationId({ judge: judge.ss58, type: 'canary', round, target: 'ins_1' });
  const seen = { value_ms: 9, first_byte_ms: 3, tokens: 2, call: 'call-1', compared: null };
  return {
    id,
    type: 'canary',
    agent: 'agt_1',
    hotkey: MINER,
    instance: 'ins_1',
    epoch: round - 60,
    round,
    ok: true,
    reason: 'answered',
    at,
    ...seen,
    ...of,
  };
}

const posts = [
  ['/audit/challenges', { type: 'rtt', agent: 'agt_1', id: 'obs_1' }],
  ['/audit/observations', { items: [observation()] }],
  ['/audit/scores', { items: [] }],
] as const;

test.for(posts)('%s: a hotkey that is no judge is refused before its signature is looked at', async ([path, json]) => {
  const before = spent.size;
  expect(await post(signed(stranger, path, json))).toMatchObject({ status: 403, json: { code: 'insufficient_scope' } });
  expect(spent.size).toBe(before);
});

test.for(posts)('%s: who only says to be a judge is refused', async ([path, json]) => {
  expect((await post(signed({ ...stranger, ss58: judge.ss58 }, path, json))).status).toBe(401);
  expect((await post(new Request(ORIGIN + path, { method: 'POST', body: JSON.stringify(json) }))).status).toBe(401);
});

test('a request is good once, for its time and for its body', async () => {
  const request = signed(judge, '/audit/observations', { items: [observation()] });
  const again = request.clone();
  expect((await post(request)).status).toBe(200);
  expect(await post(again)).toMatchObject({ status: 409, json: { code: 'nonce_used' } });

  expect((await post(signed(judge, '/audit/observations', {}, { timestampMs: Date.now() - 40_000 }))).status).toBe(401);
  const { headers } = signed(judge, '/audit/observations', { items: [observation()] });
  const other = new Request(`${ORIGIN}/audit/observations`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ items: [observation({ tokens: 1 })] }),
  });
  expect((await post(other)).status).toBe(401);
});

test('an observation is stored under the judge that signed', async () => {
  await post(signed(judge, '/audit/observations', { items: [observation()] }));
  expect((await get('/audit/observations?epoch=0')).json).toEqual({
    items: [{ ...observation(), at: expect.any(Number), judge: judge.ss58 }],
    next: null,
  });
});

test('both steps of a trial are stored, and found by their type', async () => {
  const pace = { tokens: 60, ms: 2_000 };
  const { round } = observation();
  const step = (type: 'load' | 'interfere', of: Partial<Observation>) =>
    observation({ type, id: observationId({ judge: judge.ss58, type, round, target: 'ins_1' }), round, ...of });
  const load = step('load', { ok: false, reason: 'loaded', compared: { from: 1, step: 250, tokens: [1, 2], proofs: ['chl_1'] } });
  const decided = step('interfere', {
    reason: 'interferes',
    compared: { end: 'together', device: 'agt_1/gpu0', idle: 9, loaded: 5, before: pace, during: pace },
  });
  expect((await post(signed(judge, '/audit/observations', { items: [observation(), load, decided] }))).status).toBe(200);
  expect((await get('/audit/observations?epoch=0&types=load,interfere')).json).toMatchObject({ items: [load, decided] });
  expect((await get('/audit/observations?epoch=0&types=load,nothing')).status).toBe(400);
});

test.for<[string, Partial<Observation>]>([
  ['another judge’s id', { id: observationId({ judge: stranger.ss58, type: 'canary', round: 1, target: 'ins_1' }) }],
  ['a canary without an instance', { instance: null }],
  ['an ok that the reason does not say', { ok: false }],
  ['a time long ago', { at: Date.now() - 3_600_000 }],
  ['a time ahead', { at: Date.now() + 3_600_000 }],
  ['an epoch to come', { epoch: Math.floor(Date.now() / 1000) + 600 }],
  ['a reason of its own', { reason: 'ugly' as 'empty' }],
])('not taken: %s', async ([, of]) => {
  expect((await post(signed(judge, '/audit/observations', { items: [observation(of)] }))).status).toBe(400);
  expect(record.observations.size).toBe(0);
});

test('too many at once, or too large, is refused', async () => {
  expect((await post(signed(judge, '/audit/observations', { items: Array.from({ length: 257 }, () => observation()) }))).status).toBe(400);
  expect((await post(signed(judge, '/audit/observations', { items: 'x'.repeat(300_000) }))).status).toBe(413);
});

test('an agent is pinged only if the edge knows its id', async () => {
  const agent = await agentIdOf(MINER, 'box', env);
  expect((await post(signed(judge, '/audit/challenges', { type: 'rtt', agent, id: 'obs_1' }))).json).toEqual({
    id: 'obs_1',
    rtt_ms: 13,
  });
  expect((await post(signed(judge, '/audit/challenges', { type: 'rtt', agent: `${agent.slice(0, -1)}0`, id: 'obs_1' }))).status).toBe(404);
});

const parts = { share: 7_000_001, capacity: 7, use: 0, quality: 1, tests: 1, calls: 1, latency: 1, clean: true };

test('scores are published with their parts; a round ahead of the clock is not taken', async () => {
  expect((await get('/audit/scores')).json).toEqual({ items: [], epoch: null });
  const round = Math.floor(Date.now() / 60_000) * 60;
  const score = { hotkey: MINER, epoch: round, round, score: 7, parts };
  expect((await post(signed(judge, '/audit/scores', { items: [score] }))).status).toBe(200);
  expect((await get('/audit/scores')).json).toEqual({ items: [{ ...score, judge: judge.ss58 }], epoch: round });
  expect((await post(signed(judge, '/audit/scores', { items: [{ ...score, round: round + 86_400 }] }))).status).toBe(400);
});

test('agents are listed with the live instances of public chutes', async () => {
  record.agents = [{ id: 'agt_1', hotkey: MINER, inventory: null, lastSeenAt: new Date() }];
  const instance = {
    instance: 'ins_1',
    chute: 'cht_1',
    name: 'demo/chat',
    version: 'v',
    template: 'openai',
    health: '/health',
    cords: [],
  };
  expect((await get('/audit/agents')).json).toEqual({
    items: [{ agent: 'agt_1', hotkey: MINER, instances: [instance] }],
    next: null,
  });
});

test.for<[string, () => void]>([
  ['of a chute that is not public', () => snapshots.snapshot.mockResolvedValue(chute({ public: false }))],
  ['of a chute that does not answer', () => snapshots.snapshot.mockRejectedValue(new Error('gone'))],
  ['of a chute that was deleted', () => snapshots.snapshot.mockResolvedValue(null)],
])('instances %s are not listed', async ([, given]) => {
  given();
  record.agents = [{ id: 'agt_1', hotkey: MINER, inventory: null, lastSeenAt: new Date() }];
  expect((await get('/audit/agents')).json).toMatchObject({ items: [{ instances: [] }] });
});

test('the Chutes are asked once for many readers', async () => {
  snapshots.snapshot.mockClear();
  for (let i = 0; i < 5; i++) await get('/audit/agents');
  expect(snapshots.snapshot).toHaveBeenCalledTimes(1);
});

test('miners are listed without waking their objects', async () => {
  const asked = vi.spyOn(miners, 'facts');
  expect((await get('/miners')).json).toEqual({
    items: [
      {
        hotkey: MINER,
        agents: 2,
        connected: 2,
        devices: 3,
        instances: 1,
        attempts: 4,
        completed: 3,
        seen_at: 5,
        last_score: null,
        uid: 7,
        coldkey: '5C',
        weight: 99,
        gated: null,
      },
    ],
    next: null,
  });
  expect(asked).not.toHaveBeenCalled();
});

test('one miner’s page says what its agents say; the record where they do not answer', async () => {
  record.agents = [{ id: 'agt_1', hotkey: MINER, inventory: inventoryOf('us'), lastSeenAt: new Date(5) }];
  const page = (await get(`/miners/${MINER}`)).json;
  expect(page).toMatchObject({
    uid: 7,
    emission: { last_rao: '1', total_rao: '2', epochs: 3 },
    agents: [{ connected: true, region: 'eu', running: 1, instances: [{ instance: 'ins_1', slots: 4, busy: 1 }] }],
  });
  vi.spyOn(miners, 'facts').mockRejectedValueOnce(new Error('gone'));
  expect((await get(`/miners/${MINER}`)).json).toMatchObject({
    agents: [{ connected: null, region: 'us', running: 1 }],
  });
});

test('no such miner', async () => {
  expect((await get(`/miners/${MINER}`)).status).toBe(404);
  expect((await get('/miners/nobody')).status).toBe(404);
});

test.for(['/audit/observations', '/audit/observations?epoch=x', '/audit/scores?epoch=-1'])('%s is not valid', async (path) => {
  expect((await get(path)).status).toBe(400);
});

test('of more chutes than are asked at once, every one has its turn', () => {
  const chutes = Array.from({ length: 25 }, (_, i) => i);
  const seen = Array.from({ length: 3 }, (_, round) => turn(chutes, round, 10));
  expect(seen.map((part) => part.length)).toEqual([10, 10, 10]);
  expect(new Set(seen.flat()).size).toBe(25);
  expect(turn(chutes, 7, 25)).toEqual(chutes);
});
