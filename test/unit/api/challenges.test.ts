/** What the edge makes of a judge's asks: which object gets what, who is refused and why. Objects, record and beacon stand in. */
import { Hono } from 'hono';
import { beforeEach, expect, test, vi } from 'vitest';
import { challengesApi } from '../../../functions/api/challenges.ts';
import { BeaconError } from '../../../functions/beacon/client.ts';
import type { ChallengeOrder } from '../../../functions/calls/ports.ts';
import type { Env } from '../../../functions/env.ts';
import { errorResponse } from '../../../functions/errors.ts';
import { agentIdOf, makeId } from '../../../functions/gate/ids.ts';
import { CHALLENGE_LIMITS, DEVELOPMENT, QUICKNET, challengeId, isDue, slotOf } from '#protocol/challenge/index.ts';
import { JUDGING_LIMITS } from '#protocol/judging.ts';

const state = vi.hoisted(() => ({
  judge: 'judge',
  since: new Map<string, number>(),
  live: [] as { agent: string; kinds: string[]; instance: { instance: string } }[],
  pulse: null as Error | null,
  agents: [] as { id: string; hotkey: string; inventory: unknown }[],
}));
const RANDOMNESS = '5a'.repeat(32);

vi.mock('../../../functions/api/judge-of.ts', () => ({ signedJudge: async () => state.judge }));
vi.mock('../../../functions/api/live-instances.ts', () => ({ liveInstances: async () => Map.groupBy(state.live, (l) => l.agent) }));
vi.mock('../../../functions/beacon/client.ts', async (original) => ({
  ...(await original<object>()),
  openBeacon: () => ({
    chain: QUICKNET,
    pulse: async (round: number) => {
      if (state.pulse !== null) throw state.pulse;
      return { round, randomness: RANDOMNESS, signature: '' };
    },
  }),
}));
vi.mock('#db', () => ({
  connect: () => ({}),
  firstSeen: async () => state.since,
  seenSince: async () => state.since,
  listAgents: async () => state.agents,
}));

const asked: { object: string; orders: ChallengeOrder[] }[] = [];
let down: string[] = [];
const miner = {
  idFromName: (name: string) => name,
  get: (object: string) => ({
    challenge: async (orders: ChallengeOrder[]) => {
      if (down.some((id) => object.includes(id))) throw new Error('reset');
      asked.push({ object, orders });
      return orders.map(({ id }) => ({ id, state: 'started', why: '' }));
    },
  }),
};
const env = { EDGE_SECRET: 'ab'.repeat(32), NETWORK: 'development', MINER: miner } as unknown as Env;

const app = new Hono<{ Bindings: Env; Variables: { requestId: string } }>();
app.route('/', challengesApi);
app.onError((error) => errorResponse(error, 'problem', 'call-1'));

// Within a slot for good.
vi.useFakeTimers({ toFake: ['Date'], now: 1_900_000_005_000 });
const slot = () => slotOf(DEVELOPMENT, Date.now());
const [first, second] = await Promise.all(['a', 'b'].map((name) => agentIdOf('5M', name, env)));

beforeEach(() => {
  Object.assign(state, { judge: crypto.randomUUID(), since: new Map(), live: [], pulse: null, agents: [] });
  asked.length = 0;
  down = [];
});

async function ask(asks: { kind: string; target: string }[]) {
  const body = JSON.stringify({ slot: slot(), asks });
  const reply = await app.request('https://edge.test/audit/challenges', { method: 'POST', body }, env);
  return { status: reply.status, json: (await reply.json()) as { code?: string; items: { id: string; state: string; why: string }[] } };
}

test('asks go to the objects of their agents together, and are answered in their order', async () => {
  const instance = await makeId('ins', env);
  state.live = [{ agent: second ?? '', kinds: ['fs'], instance: { instance } }];
  const targets = [`${first}/0`, instance, `${first}/1`, `${second}/0`, 'ins_unknown', `${first}/0`];
  const asks = targets.map((target) => ({ kind: target.startsWith('ins_') ? 'fs' : 'pow.mm', target }));
  down = [second ?? ''];
  const { json } = await ask(asks);
  const ids = asks.map(({ kind, target }) => challengeId(kind as 'fs', target, slot()));
  expect(json.items).toEqual(
    ['', 'unavailable', '', 'unavailable', 'no_target', ''].map((why, at) => ({
      id: ids[at],
      state: why === '' ? 'started' : 'refused',
      why,
    })),
  );
  expect(asked.map(({ object, orders }) => [object, orders.map((o) => o.target)])).toEqual([
    [`miner/${first}/0`, targets.slice(0, 3).filter((t) => t !== instance)],
  ]);
});

test('the schedule says what is due, by the draw of the slot and by when the target was first seen', async () => {
  const target = `${first}/0`;
  const { slotSeconds, newcomer } = DEVELOPMENT.cadence;
  for (const age of [0, newcomer[0] ?? 1, 7]) {
    asked.length = 0;
    const since = slot() - age * slotSeconds;
    state.since = new Map([[target, since]]);
    await ask([{ kind: 'pow.mem', target }]);
    const scheduled = isDue(DEVELOPMENT, slot(), RANDOMNESS, { target, what: 'device', since }, 'pow.mem');
    expect(asked[0]?.orders).toMatchObject([{ scheduled, judge: state.judge }]);
    if (age === newcomer[0]) expect(scheduled).toBe(true);
  }
});

test('one judge asks so many out of turn in an hour; what is due is not counted', async () => {
  const many = (from: number) =>
    Array.from({ length: JUDGING_LIMITS.asks }, (_, at) => ({ kind: 'pow.mem', target: `${first}/${from + at}` }));
  let allowed = 0;
  let refused = 0;
  // Every second slot apart from its newcomers' has some that are due by the draw; they pass anyway.
  for (let from = 0; refused === 0; from += JUDGING_LIMITS.asks) {
    const { json } = await ask(many(from));
    allowed += asked.flatMap((a) => a.orders).filter((o) => !o.scheduled).length;
    refused = json.items.filter((item) => item.why === 'budget').length;
    asked.length = 0;
    expect(from).toBeLessThan(2 * CHALLENGE_LIMITS.repeatsPerJudgeHour);
  }
  expect(allowed).toBeGreaterThanOrEqual(CHALLENGE_LIMITS.repeatsPerJudgeHour);
  expect(allowed).toBeLessThan(CHALLENGE_LIMITS.repeatsPerJudgeHour + 10);
  const due = `${first}/due`;
  state.since = new Map([[due, slot() - DEVELOPMENT.cadence.slotSeconds]]);
  expect((await ask([{ kind: 'pow.mem', target: due }])).json.items).toMatchObject([{ state: 'started' }]);
});

test('without the draw of the slot nothing is asked', async () => {
  state.pulse = new BeaconError('not_yet', 'Round 7 of the beacon is not out.');
  expect(await ask([{ kind: 'pow.mm', target: `${first}/0` }])).toMatchObject({ status: 503, json: { code: 'unavailable' } });
  expect(asked).toEqual([]);
});

test('pages of targets are of whole agents and of a bounded length', async () => {
  const devices = Array.from({ length: 64 }, (_, at) => ({ id: `d${at}`, kind: 'cpu', name: 'c', memoryMb: 1 }));
  const inventory = { agentVersion: '1', platform: 'l', runtimes: [], devices, region: 'x' };
  state.agents = Array.from({ length: 20 }, (_, at) => ({ id: `agt_${String(at).padStart(2, '0')}`, hotkey: '5M', inventory }));
  const reply = await app.request('https://edge.test/audit/targets', {}, env);
  const { items, next } = (await reply.json()) as { items: { agent: string }[]; next: string };
  expect(items.length).toBe(7 * 64);
  expect(items.length).toBeLessThanOrEqual(JUDGING_LIMITS.targetsPage);
  expect(next).toBe('agt_06');
});
