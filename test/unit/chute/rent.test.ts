import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { rentAsk, rentCall, rentSettlement } from '../../../functions/chute/rent-call.ts';
import { untold } from '../../../functions/chute/rent.ts';
import type { RentRow } from '../../../functions/chute/state.ts';
import type { PriceVersion } from '../../../functions/prices/history.ts';
import { Payer, type How } from './payer.ts';
import { CHUTE, IDLE_MS, T0, World } from './world.ts';

const MINUTE = BOUNDS.rentMs;
const RENT: PriceVersion = {
  id: 'rent',
  price: { ...NO_PRICE, per_instance_second: 1_000_000 },
  feeBps: 1500,
  discountBps: 0,
  startsAt: T0,
  endsAt: null,
  note: '',
  createdAt: T0,
};
const FREE_AGAIN: PriceVersion = { ...RENT, id: 'free-again', price: NO_PRICE };

function rentedWorld(part: Parameters<World['deploy']>[1] = {}): { world: World; payer: Payer } {
  const world = new World();
  world.deploy('a', { min: 1, max: 3, ...part }, [RENT]);
  return { world, payer: new Payer(world) };
}

/** Time in small steps, with everything answered on the way. */
function live(world: World, payer: Payer, ms: number): void {
  for (let left = ms; left > 0; left -= 1000) {
    world.pass(Math.min(1000, left));
    payer.answer();
  }
}

describe('what is paid', () => {
  test('from going live, minute by minute, and what is left at the end', () => {
    const { world, payer } = rentedWorld();
    const grant = world.claim('m1', 'a');
    if (grant.kind !== 'grant') throw new Error(grant.code);
    world.report('m1', grant.instance, 'a', 'starting');
    world.pass(20_000);
    expect(world.take('rent')).toEqual([]);
    world.report('m1', grant.instance, 'a', 'live');
    expect(world.take('rent')).toMatchObject([
      { key: `${grant.instance}/${T0 + 20_000}`, rent: { start: T0 + 20_000, ms: MINUTE, owner: 'acc_owner', hotkey: 'hot-m1' } },
    ]);
    payer.answer();
    live(world, payer, 2 * MINUTE + 15_000);
    world.report('m1', grant.instance, 'a', 'stopped');
    payer.answer();
    live(world, payer, 60_000);
    expect(payer.paid()).toEqual({ [grant.instance]: 2 * MINUTE + 15_000 });
    expect([...payer.periods.values()].map((row) => (row?.end ?? 0) - (row?.start ?? 0))).toEqual([MINUTE, MINUTE, 15_000]);
    expect([...world.rows.values()].some((row) => row.kind === 'rent')).toBe(false);
  });

  test('a socket that is gone stops the clock, its return starts a new one', () => {
    const { world, payer } = rentedWorld();
    const instance = world.live('m1', 'a');
    live(world, payer, 10_000);
    world.do(world.core.gone('m1', world.now));
    live(world, payer, 5_000);
    world.report('m1', instance, 'a', 'live');
    live(world, payer, 7_000);
    world.do(world.core.remove(world.now));
    payer.answer();
    expect(payer.paid()).toEqual({ [instance]: 17_000 });
    expect([...world.rows.values()].filter((row) => row.kind !== 'stop')).toEqual([]);
  });

  test('nothing for a public chute, and nothing without such a price', () => {
    for (const [part, price] of [
      [{ public: true }, RENT],
      [{}, FREE_AGAIN],
    ] as const) {
      const world = new World();
      world.deploy('a', { min: 1, ...part }, [price]);
      world.live('m1', 'a');
      world.pass(3 * MINUTE);
      expect(world.take('rent')).toEqual([]);
    }
  });

  test('a price that comes later counts from then on, one that goes ends with its minute', () => {
    const world = new World();
    const payer = new Payer(world);
    world.deploy('a', { min: 1 }, [FREE_AGAIN, { ...RENT, startsAt: T0 + 10_000 }]);
    const instance = world.live('m1', 'a');
    live(world, payer, 30_000);
    world.do(world.core.setPrices([{ ...FREE_AGAIN, id: 'later', startsAt: T0 + 40_000 }], world.now));
    live(world, payer, 5 * MINUTE);
    expect(payer.paid()).toEqual({ [instance]: MINUTE });
  });

  test('a period keeps the terms it was opened with', () => {
    const { world, payer } = rentedWorld();
    world.live('m1', 'a');
    payer.answer();
    const dearer = { ...RENT, id: 'dearer', price: { ...NO_PRICE, per_instance_second: 9 }, startsAt: T0 + 1000 };
    world.do(world.core.setPrices([dearer], world.now));
    live(world, payer, 2 * MINUTE);
    expect([...payer.periods.values()].map((row) => row?.terms.version)).toEqual(['rent', 'dearer', undefined]);
  });

  test('an object that was away for long catches up without a gap', () => {
    const { world, payer } = rentedWorld();
    const instance = world.live('m1', 'a');
    payer.answer();
    world.rebuild();
    world.now += 10 * MINUTE + 1;
    world.do(world.core.alarm(world.now));
    payer.answer();
    world.do(world.core.gone('m1', world.now));
    payer.answer();
    expect(payer.paid()).toEqual({ [instance]: 10 * MINUTE + 1 });
  });
});

describe('an account that cannot pay', () => {
  test('its instance is stopped with notice and a reason, and none is granted until it can', () => {
    const { world, payer } = rentedWorld();
    const instance = world.live('m1', 'a');
    payer.answer();
    payer.poor = true;
    live(world, payer, MINUTE);
    expect(world.states()).toEqual({ [instance]: 'draining' });
    expect(world.take('stop')).toMatchObject([{ instance, reason: 'scaled_down', noticeMs: 300_000 }]);
    expect(world.take('note').at(-1)?.text).toContain('insufficient_credit');
    expect(world.core.describe(world.now)).toMatchObject({ unpaidSince: T0 + MINUTE });
    expect(world.claim('m2', 'a')).toMatchObject({ kind: 'refusal', code: 'unpaid' });
    expect(world.take('post').at(-1)).toMatchObject({ offer: null });
    world.report('m1', instance, 'a', 'stopped');
    expect(world.enqueue('c1')).toMatchObject({ kind: 'refused', code: 'no_capacity' });
    live(world, payer, 10 * MINUTE);
    const asked = payer.refused.length;
    expect(asked).toBeGreaterThan(3);
    expect(asked).toBeLessThan(10);
    world.rebuild();
    expect(world.claim('m2', 'a')).toMatchObject({ kind: 'refusal' });
    payer.poor = false;
    live(world, payer, BOUNDS.unpaidMaxMs);
    expect(world.core.describe(world.now)).toMatchObject({ unpaidSince: null });
    const next = world.live('m2', 'a');
    live(world, payer, 5_000);
    world.do(world.core.gone('m2', world.now));
    payer.answer();
    expect(payer.paid()).toEqual({ [instance]: MINUTE, [next]: 5_000 });
  });

  test('a deploy tries again at once, and a price that is no rent lets everything start', () => {
    const { world, payer } = rentedWorld();
    payer.poor = true;
    world.live('m1', 'a');
    payer.answer();
    live(world, payer, 5 * MINUTE);
    world.take('rent');
    world.deploy('a', { min: 1, max: 3 });
    expect(world.take('rent')).toHaveLength(1);
    world.do(world.core.setPrices([{ ...FREE_AGAIN, startsAt: world.now, createdAt: world.now }], world.now));
    expect(world.claim('m2', 'a')).toMatchObject({ kind: 'grant' });
  });

  test('is not asked for where no instance is wanted', () => {
    const { world, payer } = rentedWorld({ min: 0 });
    world.enqueue('c1');
    world.live('m1', 'a');
    payer.poor = true;
    payer.answer();
    live(world, payer, 2 * IDLE_MS);
    const asked = payer.refused.length;
    live(world, payer, 4 * IDLE_MS);
    expect(payer.refused).toHaveLength(asked);
    // A call that comes makes it ask.
    payer.poor = false;
    world.enqueue('c2');
    payer.answer();
    expect(world.core.describe(world.now)).toMatchObject({ unpaidSince: null });
  });
});

type Step =
  | { kind: 'pass'; ms: number }
  | { kind: 'live' | 'gone' | 'back' | 'stopped' | 'failed'; who: number }
  | { kind: 'evict' }
  | { kind: 'deploy'; letter: string }
  | { kind: 'answer'; how: How[] };

const who = fc.nat({ max: 2 });
const hows = fc.array(fc.constantFrom<How>('answered', 'lost before', 'lost after'), { maxLength: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), ms: fc.oneof(fc.nat({ max: 5_000 }), fc.nat({ max: 3 * MINUTE })) }),
  fc.record({ kind: fc.constantFrom('live' as const, 'gone' as const, 'back' as const, 'stopped' as const, 'failed' as const), who }),
  fc.record({ kind: fc.constant('evict' as const) }),
  fc.record({ kind: fc.constant('deploy' as const), letter: fc.constantFrom('a', 'b') }),
  fc.record({ kind: fc.constant('answer' as const), how: hows }),
);

/** Carries the steps out, and counts how long each instance served, as the chute itself shows it. */
function play(steps: Step[], poorFrom: number): { payer: Payer; served: Record<string, number>; world: World } {
  const world = new World();
  const payer = new Payer(world);
  const served: Record<string, number> = {};
  const mine: (string | null)[] = [null, null, null];
  let letter = 'a';
  world.deploy('a', { min: 2, max: 3 }, [RENT]);
  const pass = (ms: number): void => {
    for (const end = world.now + ms; world.now < end;) {
      const next = Math.min(end, Math.max(world.now + 1, world.alarmAt ?? end));
      const states = world.states();
      const from = world.now;
      world.pass(next - world.now);
      for (const [instance, state] of Object.entries(states))
        if (state === 'live') served[instance] = (served[instance] ?? 0) + world.now - from;
    }
  };
  for (const [at, one] of steps.entries()) {
    payer.poor = at >= poorFrom;
    if (one.kind === 'pass') pass(one.ms);
    else if (one.kind === 'evict') {
      // What was on its way is lost with the object.
      world.take('rent');
      world.take('settle');
      world.rebuild();
    } else if (one.kind === 'deploy') world.deploy((letter = one.letter), { min: 2, max: 3 });
    else if (one.kind === 'answer') payer.answer(() => one.how.shift() ?? 'answered');
    else act(one.kind, one.who);
  }
  // In the end everybody leaves and every answer arrives.
  payer.poor = false;
  for (const k of [0, 1, 2]) world.do(world.core.gone(`m${k}`, world.now));
  for (let k = 0; k < 5; k++) {
    payer.answer();
    pass(MINUTE);
  }
  return { payer, served, world };

  function act(kind: 'live' | 'gone' | 'back' | 'stopped' | 'failed', k: number): void {
    const name = `m${k}`;
    const instance = mine[k] ?? null;
    const version = world.core.describe(world.now)?.instances.find((row) => row.instance === instance)?.version[0] ?? 'a';
    if (kind === 'live') {
      const grant = world.claim(name, letter);
      if (grant.kind !== 'grant') return;
      mine[k] = grant.instance;
      world.report(name, grant.instance, letter, 'live');
    } else if (kind === 'gone') world.do(world.core.gone(name, world.now));
    else if (instance !== null) world.report(name, instance, version, kind === 'back' ? 'live' : kind);
  }
}

describe('whatever happens, whatever answers are lost, wherever the object is evicted', () => {
  const steps = fc.array(step, { minLength: 5, maxLength: 60 });
  test('what is paid is exactly what was served, never twice', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { payer, served, world } = play(structuredClone(all), Infinity);
        const used = Object.fromEntries(Object.entries(served).filter(([, ms]) => ms > 0));
        const paid = Object.fromEntries(Object.entries(payer.paid()).filter(([, ms]) => ms > 0));
        expect(paid).toEqual(used);
        expect([...world.rows.values()].filter((row) => row.kind === 'rent')).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('an account that runs dry pays for nothing that it did not hold', () => {
    fc.assert(
      fc.property(steps, fc.nat({ max: 40 }), (all, poorFrom) => {
        const { payer, served } = play(structuredClone(all), poorFrom);
        for (const [instance, ms] of Object.entries(payer.paid())) expect(ms).toBeLessThanOrEqual(served[instance] ?? 0);
      }),
      { numRuns: 300 },
    );
  });
});

test('the call of a period is named by instance and start', async () => {
  const row: RentRow = {
    chute: CHUTE,
    owner: 'acc_owner',
    version: 'a'.repeat(64),
    instance: 'ins_1',
    agent: 'm1',
    hotkey: 'hot-m1',
    region: 'eu',
    terms: { version: 'rent', price: RENT.price, discountBps: 0, feeBps: 1500 },
    start: T0,
    ms: MINUTE,
    end: T0 + 1500,
    held: true,
  };
  const call = await rentCall(row);
  expect(call).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(await rentCall({ ...row, end: null, held: false })).toBe(call);
  expect(await rentCall({ ...row, start: T0 + 1 })).not.toBe(call);
  expect(await rentCall({ ...row, instance: 'ins_2' })).not.toBe(call);
  expect(rentAsk(row, call)).toMatchObject({ call, ms: MINUTE, terms: { version: 'rent' } });
  expect(rentSettlement(row, call)).toMatchObject({ call, attempt: 0, final: true, status: 200, lastByteMs: 1500, hotkey: 'hot-m1' });
});

describe('before a period the agent’s own object is asked', () => {
  const row = { instance: 'ins_1', chute: 'cht_1', version: 'v' } as RentRow;
  test.each([
    ['an agent that nobody knows is gone', null, 'gone'],
    ['an agent without a connection is gone', { connected: false, instances: [{ instance: 'ins_1' }] }, 'gone'],
    [
      'an instance that it does not run ended',
      { connected: true, instances: [{ instance: 'ins_2' }] },
      { instance: 'ins_1', state: 'stopped' },
    ],
    ['an instance that it runs is paid for', { connected: true, instances: [{ instance: 'ins_1' }] }, null],
  ])('%s', (_, agent, news) => {
    const said = untold(row, agent);
    if (typeof news === 'object' && news !== null) expect(said).toMatchObject(news);
    else expect(said).toBe(news);
  });
});
