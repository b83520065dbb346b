import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { rentAsk, rentCall, rentSettlement } from '../../../functions/chute/rent-call.ts';
import type { RentRow } from '../../../functions/chute/state.ts';
import { bountyOf, urgencyOf } from '../../../functions/chute/urgency.ts';
import { Payer, type How } from './payer.ts';
import { IDLE_MS, T0, World } from './world.ts';

const MOST = 3_000_000;
const MINUTE = BOUNDS.earlyFailureMs;

describe('urgency', () => {
  test.each([
    ['at once', { unmetMs: 0, waiting: 0, cold: false }, 100],
    ['a missing extra', { unmetMs: 60_000, waiting: 0, cold: false }, 200],
    ['nothing serves', { unmetMs: 60_000, waiting: 0, cold: true }, 400],
    ['a call waits for nothing that serves', { unmetMs: 0, waiting: 1, cold: true }, 300],
    ['calls wait beside what serves', { unmetMs: 10_000, waiting: 5, cold: false }, 350],
    ['all of it', { unmetMs: 3_600_000, waiting: 500, cold: true }, 1000],
  ])('%s', (_name, want, urgency) => {
    expect(urgencyOf(want)).toBe(urgency);
  });
});

describe('the curve', () => {
  test.each([
    [MOST, 0, 0],
    [MOST, -5, 0],
    [MOST, 100_000, 1_000_000],
    [MOST, 300_000, MOST],
    [MOST, 9e9, MOST],
    [10, 100_000, 3],
    [0, 300_000, 0],
  ])('of %d after %d ms', (most, waitedMs, bounty) => {
    expect(bountyOf(most, waitedMs, 300_000)).toBe(bounty);
  });
});

function cold(part: Parameters<World['deploy']>[1] = {}): { world: World; payer: Payer } {
  const world = new World();
  world.deploy('a', { bounty: MOST, max: 3, ...part });
  return { world, payer: new Payer(world) };
}

function wait(world: World, call: string): void {
  world.enqueue(call, { deadlineMs: 3_600_000 });
}

function board(world: World): number {
  return world.take('post').at(-1)?.offer?.bounty_nanousd ?? -1;
}

function grant(world: World, name: string): { instance: string; bounty: number } {
  const answer = world.claim(name, 'a');
  if (answer.kind !== 'grant') throw new Error(answer.code);
  return { instance: answer.instance, bounty: answer.bounty ?? 0 };
}

describe('what is offered', () => {
  test('grows while a call waits, stands while none does, and is gone once something serves', () => {
    const { world } = cold();
    wait(world, 'c1');
    expect(board(world)).toBe(0);
    world.pass(100_000);
    expect(board(world)).toBe(1_000_000);
    world.do(world.core.leave('c1', world.now));
    world.pass(50_000);
    expect(board(world)).toBe(1_000_000);
    // Nobody came for so long that calls are sent away: they count for as long as they may need to come again.
    for (let k = 0; k < 10; k++) {
      wait(world, `c2-${k}`);
      world.pass(BOUNDS.sentAwayMs);
    }
    expect(board(world)).toBe(2_000_000);
    world.pass(100_000);
    expect(world.core.describe(world.now)).toMatchObject({ bounty: 2_000_000, waiting: 0 });
    world.live('m1', 'a');
    world.do(world.core.load('m1', [{ instance: 'ins_1', busy: 1 }], world.now));
    wait(world, 'c3');
    wait(world, 'c4');
    world.pass(10_000);
    expect(world.core.describe(world.now)).toMatchObject({ bounty: 0, need: 2 });
  });

  test('by a warm-up too, but not for instances that only min asks for', () => {
    const { world } = cold({ min: 1 });
    world.pass(100_000);
    expect(board(world)).toBe(0);
    world.do(world.core.warm(600_000, world.now));
    world.pass(600_000);
    expect(board(world)).toBe(MOST);
  });

  test('to one at a time', () => {
    const { world } = cold();
    for (let k = 0; k < 3; k++) wait(world, `c${k}`);
    world.pass(100_000);
    expect(grant(world, 'm1').bounty).toBe(1_000_000);
    expect(grant(world, 'm2').bounty).toBe(0);
    world.report('m1', 'ins_1', 'a', 'failed');
    world.pass(50_000);
    expect(grant(world, 'm3').bounty).toBe(1_500_000);
  });
});

describe('what is paid', () => {
  test('what was frozen with the grant, when the instance has been live for a minute', () => {
    const { world, payer } = cold();
    wait(world, 'c1');
    world.pass(100_000);
    const { instance, bounty } = grant(world, 'm1');
    expect(bounty).toBe(1_000_000);
    expect(world.claim('m1', 'a')).toMatchObject({ instance, bounty });
    expect(world.core.bountyHeld(instance)).toBe(0);
    payer.answer();
    expect(world.core.bountyHeld(instance)).toBe(bounty);
    world.pass(20_000);
    world.report('m1', instance, 'a', 'live');
    world.do(world.core.leave('c1', world.now));
    world.pass(MINUTE - 1);
    payer.answer();
    expect(payer.bounties()).toEqual({});
    world.pass(1);
    payer.answer();
    expect(payer.bounties()).toEqual({ [instance]: bounty });
    world.pass(10 * MINUTE);
    payer.answer();
    expect([...world.rows.values()].filter((row) => row.kind === 'rent')).toEqual([]);
    expect([...payer.periods.keys()]).toEqual([`${instance}/bounty`]);
  });

  test.each<[string, (world: World, instance: string) => void, number]>([
    ['nothing for a grant that is not used', (w) => w.pass(BOUNDS.grantMs), 0],
    ['nothing for a start that fails', (w, i) => w.report('m1', i, 'a', 'failed'), 0],
    ['nothing for an early end', (w, i) => (w.report('m1', i, 'a', 'live'), w.pass(MINUTE - 1), w.report('m1', i, 'a', 'stopped')), 0],
    [
      'nothing for one that drains itself',
      (w, i) => (w.report('m1', i, 'a', 'live'), w.report('m1', i, 'a', 'draining'), w.pass(MINUTE)),
      0,
    ],
    [
      'nothing for an agent that is gone',
      (w, i) => (w.report('m1', i, 'a', 'live'), w.do(w.core.gone('m1', w.now)), w.pass(2 * MINUTE)),
      0,
    ],
    ['all of it where a socket was cut for a moment', (w, i) => (w.report('m1', i, 'a', 'live'), cut(w, i), w.pass(2 * MINUTE)), 1_000_000],
    [
      'all of it where the owner deploys something else meanwhile',
      (w, i) => (w.report('m1', i, 'a', 'live'), w.deploy('b', { bounty: MOST }), w.live('m2', 'b')),
      1_000_000,
    ],
    [
      'all of it where the owner ends the chute meanwhile',
      (w, i) => (w.report('m1', i, 'a', 'live'), w.do(w.core.remove(w.now))),
      1_000_000,
    ],
    ['nothing where it ends before the start', (w) => w.do(w.core.remove(w.now)), 0],
  ])('%s', (_name, happen, paid) => {
    const { world, payer } = cold();
    wait(world, 'c1');
    world.pass(100_000);
    const { instance } = grant(world, 'm1');
    payer.answer();
    happen(world, instance);
    payer.answer();
    expect(payer.bounties()[instance]).toBe(paid);
    expect([...world.rows.values()].filter((row) => row.kind === 'rent' && row.value.instance === instance)).toEqual([]);
  });

  function cut(world: World, instance: string): void {
    world.do(world.core.gone('m1', world.now));
    world.pass(5_000);
    world.report('m1', instance, 'a', 'live');
  }

  test('an account that cannot pay leaves the grant, without a bounty; nothing is stopped for it', () => {
    const { world, payer } = cold();
    payer.poor = true;
    wait(world, 'c1');
    world.pass(100_000);
    const { instance } = grant(world, 'm1');
    payer.answer();
    expect(world.core.bountyHeld(instance)).toBe(0);
    world.report('m1', instance, 'a', 'live');
    world.pass(2 * MINUTE);
    payer.poor = false;
    payer.answer();
    expect(payer.bounties()).toEqual({});
    expect(world.states()).toEqual({ [instance]: 'live' });
    expect(world.core.describe(world.now)).toMatchObject({ unpaidSince: null });
  });
});

describe('in an hour no more than a whole one is paid, whoever calls, warms and starts', () => {
  /** A stranger lets it grow as large as it gets, has an own agent start it, and lets it go cold. Nano-USD it was promised. */
  function round(world: World, payer: Payer, name: string): number {
    world.do(world.core.warm(BOUNDS.bountyMs, world.now));
    world.pass(BOUNDS.bountyMs - 1);
    const { instance, bounty } = grant(world, name);
    payer.answer();
    world.report(name, instance, 'a', 'live');
    world.pass(MINUTE);
    payer.answer();
    world.rebuild();
    world.report(name, instance, 'a', 'stopped');
    world.pass(IDLE_MS);
    return bounty;
  }

  test('the second comes to what has grown back, also after an eviction', () => {
    const { world, payer } = cold();
    const first = round(world, payer, 'm1');
    expect(first).toBeGreaterThan(MOST * 0.99);
    const since = world.now;
    const second = round(world, payer, 'm2');
    const share = (IDLE_MS + BOUNDS.bountyMs) / BOUNDS.bountyEachMs;
    expect(world.now - since).toBeLessThan(BOUNDS.bountyEachMs / 4);
    expect(second).toBeGreaterThan(MOST * share * 0.9);
    expect(second).toBeLessThan(MOST * share * 1.25);
    for (let k = 0; k < 20; k++) round(world, payer, `n${k}`);
    const hours = (world.now - T0) / BOUNDS.bountyEachMs;
    const paid = Object.values(payer.bounties()).reduce((sum, nanousd) => sum + nanousd, 0);
    expect(paid).toBeLessThanOrEqual(MOST * (1 + hours));
  });

  test('after an hour it is whole again, and a start that came to nothing takes none of it', () => {
    const { world, payer } = cold();
    world.do(world.core.warm(BOUNDS.bountyMs, world.now));
    world.pass(BOUNDS.bountyMs - 1);
    const { instance } = grant(world, 'm0');
    world.report('m0', instance, 'a', 'failed');
    payer.answer();
    expect(round(world, payer, 'm1')).toBeGreaterThan(MOST * 0.99);
    world.pass(BOUNDS.bountyEachMs);
    expect(round(world, payer, 'm2')).toBeGreaterThan(MOST * 0.99);
  });
});

type Step =
  | { kind: 'pass'; ms: number }
  | { kind: 'claim' | 'live' | 'failed' | 'gone' | 'evict' | 'call' }
  | { kind: 'answer'; how: How[] };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat({ max: 90_000 }) }),
  fc.record({
    kind: fc.constantFrom('claim' as const, 'live' as const, 'failed' as const, 'gone' as const, 'evict' as const, 'call' as const),
  }),
  fc.record({
    kind: fc.constant('answer' as const),
    how: fc.array(fc.constantFrom<How>('answered', 'lost before', 'lost after'), { maxLength: 6 }),
  }),
);

test('whatever is lost or evicted, every bounty that was held is paid whole or given back, once, and no row stays', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 50 }), (steps) => {
      const { world, payer } = cold();
      const promised: Record<string, number> = {};
      let instance = '';
      let calls = 0;
      for (const one of structuredClone(steps)) {
        if (one.kind === 'pass') world.pass(one.ms);
        else if (one.kind === 'call') wait(world, `c${calls++}`);
        else if (one.kind === 'answer') payer.answer(() => one.how.shift() ?? 'answered');
        else if (one.kind === 'evict') {
          world.take('rent');
          world.take('settle');
          world.rebuild();
        } else if (one.kind === 'gone') world.do(world.core.gone('m1', world.now));
        else if (one.kind === 'claim') {
          const answer = world.claim('m1', 'a');
          if (answer.kind !== 'grant') continue;
          instance = answer.instance;
          promised[instance] ??= answer.bounty ?? 0;
        } else if (instance !== '') world.report('m1', instance, 'a', one.kind);
      }
      world.do(world.core.gone('m1', world.now));
      for (let k = 0; k < 5; k++) {
        payer.answer();
        world.pass(MINUTE);
      }
      for (const [key, nanousd] of Object.entries(payer.bounties())) expect([0, promised[key]]).toContain(nanousd);
      expect([...payer.periods.values()].filter((row) => row === null)).toEqual([]);
      expect([...world.rows.values()].filter((row) => row.kind === 'rent')).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test('at the account it is one call for an instance, of one sum, whenever it is said', async () => {
  const { world } = cold();
  wait(world, 'c1');
  world.pass(100_000);
  grant(world, 'm1');
  const said = world.take('rent')[0]?.rent as RentRow;
  const call = await rentCall(said);
  expect(await rentCall({ ...said, start: said.start + 5, end: 1, held: true })).toBe(call);
  expect(await rentCall({ ...said, instance: 'ins_9' })).not.toBe(call);
  const terms = { version: 'bounty', discountBps: 0, price: { per_request: 1_000_000, per_instance_second: 0 } };
  expect(rentAsk(said, call)).toMatchObject({ bounty: true, terms });
  expect(rentSettlement({ ...said, end: said.start + 1 }, call)).toMatchObject({
    call,
    status: 200,
    outcome: 'completed',
    hotkey: 'hot-m1',
  });
});
