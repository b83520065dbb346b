import { describe, expect, test } from 'vitest';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { removalOrder } from '../../../functions/chute/balance.ts';
import { asked, counted } from '../../../functions/chute/need.ts';
import type { InstanceRow } from '../../../functions/chute/state.ts';
import { IDLE_MS, World, config, spec } from './world.ts';

describe('instances that calls ask for', () => {
  test.each([
    ['nothing', { busy: 0, smoothed: 0, waiting: 0 }, { concurrency: 1, max: 5 }, 0],
    ['one waiting call', { busy: 0, smoothed: 0, waiting: 1 }, { concurrency: 4, max: 5 }, 1],
    ['what runs and what waits', { busy: 4, smoothed: 0, waiting: 5 }, { concurrency: 4, max: 5 }, 3],
    ['long load above the target', { busy: 4, smoothed: 3.9, waiting: 0 }, { concurrency: 4, max: 5 }, 2],
    ['a short peak', { busy: 4, smoothed: 1, waiting: 0 }, { concurrency: 4, max: 5 }, 1],
    ['no more than max', { busy: 4, smoothed: 4, waiting: 900 }, { concurrency: 4, max: 5 }, 5],
  ])('%s', (_name, facts, limits, instances) => {
    expect(asked(config(limits), facts, BOUNDS.target)).toBe(instances);
  });
});

describe('what of it counts', () => {
  test.each([
    ['nothing serves: at once', 5, 0, 0, 60, 5],
    ['a burst', 5, 1, 0, 60, 1],
    ['a burst that is nearly long enough', 5, 1, 59_999, 60, 1],
    ['calls that keep waiting', 5, 1, 60_000, 60, 5],
    ['no delay: at once', 5, 1, 0, 0, 5],
    ['less than serves', 1, 3, 0, 60, 1],
  ])('%s', (_name, level, serving, pressedMs, scale_up_after, counts) => {
    expect(counted(level, serving, pressedMs, { scale_up_after })).toBe(counts);
  });
});

/** One instance that serves, and what comes over it; how many are wanted then. */
describe('worlds of demand', () => {
  const second = 1_000;
  const busy = (world: World, calls: number): void =>
    world.do(world.core.load('m1', [{ instance: 'ins_1', busy: Math.min(calls, 4) }], world.now));
  const wait = (world: World, count: number): void => {
    for (let k = 0; k < count; k++) world.enqueue(`w${world.now}-${k}`, { account: `acc_${k % 8}`, deadlineMs: 600_000 });
  };
  const serve = (world: World): void => {
    for (const call of world.take('resolve')) world.do(world.core.leave(call.call, world.now));
  };
  const pass = (world: World, seconds: number): void => world.pass(seconds * second);
  test.each<[string, Parameters<World['deploy']>[1], (world: World) => void, number]>([
    ['a burst shorter than the delay adds nothing', { scale_up_after: 30 }, (w) => (busy(w, 4), pass(w, 20), busy(w, 0), pass(w, 20)), 1],
    ['load above the target for longer adds one', { scale_up_after: 30 }, (w) => (busy(w, 4), pass(w, 200)), 2],
    ['without a delay a burst adds at once', {}, (w) => (busy(w, 4), wait(w, 1)), 2],
    [
      'load that comes and goes adds nothing, however long',
      { scale_up_after: 30 },
      (w) => Array.from({ length: 60 }, () => (busy(w, 4), pass(w, 4), busy(w, 0), pass(w, 8))),
      1,
    ],
    [
      'a long queue adds what it needs, once it has stood long enough',
      { scale_up_after: 30 },
      (w) => (busy(w, 4), wait(w, 9), pass(w, 30)),
      4,
    ],
    ['but not before', { scale_up_after: 30 }, (w) => (busy(w, 4), wait(w, 9), pass(w, 29)), 1],
    ['never more than max', { max: 2 }, (w) => (busy(w, 4), wait(w, 40)), 2],
    ['calls sent away by a full queue are demand', { max: 9, concurrency: 8 }, (w) => (busy(w, 4), wait(w, 400)), 9],
    ['a queue that is empty for a moment starts the delay anew', { scale_up_after: 30 }, (w) => (queueTwice(w), pass(w, 15)), 1],
    ['an agent that leaves is replaced without the delay', { scale_up_after: 30 }, (w) => (w.do(w.core.gone('m1', w.now)), pass(w, 11)), 1],
    ['a level is kept for the idle time', { idle_after: 60 }, (w) => (busy(w, 4), wait(w, 1), drop(w), pass(w, 59)), 2],
    ['and not longer', { idle_after: 60, min: 1 }, (w) => (busy(w, 4), wait(w, 1), drop(w), pass(w, 60)), 1],
    ['a warm-up is one instance, not one more', {}, (w) => w.do(w.core.warm(60 * second, w.now)), 1],
    ['min is more than a warm-up', { min: 3 }, (w) => w.do(w.core.warm(60 * second, w.now)), 3],
  ])('%s', (_name, part, happen, wanted) => {
    const world = new World();
    world.deploy('a', { concurrency: 4, max: 5, ...part });
    wait(world, 1);
    world.live('m1', 'a');
    world.do(world.core.leave(`w${world.now}-0`, world.now));
    serve(world);
    pass(world, 1);
    happen(world);
    expect(world.core.describe(world.now)?.wanted).toBe(wanted);
  });

  function drop(world: World): void {
    busy(world, 0);
    world.do(world.core.leave(`w${world.now}-0`, world.now));
  }

  function queueTwice(world: World): void {
    busy(world, 4);
    wait(world, 1);
    const at = world.now;
    pass(world, 20);
    world.do(world.core.leave(`w${at}-0`, world.now));
    busy(world, 0);
    pass(world, 1);
    busy(world, 4);
    wait(world, 1);
  }
});

describe('need', () => {
  test('min is kept, an idle extra goes after the idle time, newest first', () => {
    const world = new World();
    world.deploy('a', { min: 1, max: 3 });
    expect(world.need).toBe(1);
    const first = world.live('m1', 'a');
    expect(world.need).toBe(0);
    world.pass(1000);
    expect(world.enqueue('c1', { tried: [first] })).toMatchObject({ kind: 'refused', code: 'no_capacity' });
    world.do(world.core.load('m1', [{ instance: first, busy: 1 }], world.now));
    world.enqueue('c2');
    expect(world.need).toBe(1);
    const second = world.live('m2', 'a');
    world.do(world.core.load('m1', [{ instance: first, busy: 0 }], world.now));
    world.do(world.core.leave('c2', world.now));
    world.pass(IDLE_MS - 1);
    expect(world.states()).toEqual({ [first]: 'live', [second]: 'live' });
    world.pass(1);
    expect(world.states()).toEqual({ [first]: 'live', [second]: 'draining' });
    expect(world.take('stop')).toMatchObject([{ instance: second, reason: 'scaled_down', noticeMs: 300_000 }]);
  });

  test('an idle chute with min 0 goes to nothing, also across evictions, and a busy one stays', () => {
    const world = new World();
    world.deploy('a');
    expect(world.need).toBe(0);
    expect(world.enqueue('c1')).toMatchObject({ kind: 'admitted', position: 1 });
    expect(world.need).toBe(1);
    const instance = world.live('m1', 'a');
    world.do(world.core.leave('c1', world.now));
    world.do(world.core.load('m1', [{ instance, busy: 1 }], world.now));
    world.pass(IDLE_MS * 3);
    expect(world.states()).toEqual({ [instance]: 'live' });
    world.do(world.core.load('m1', [{ instance, busy: 0 }], world.now));
    for (let k = 0; k < 12; k++) {
      world.pass(IDLE_MS / 10);
      world.rebuild();
      world.do(world.core.alarm(world.now));
    }
    expect(world.states()).toEqual({ [instance]: 'draining' });
  });

  test('a warm-up holds one instance for its time, bounded, across an eviction; a shorter one takes nothing back', () => {
    const world = new World();
    world.do(world.core.warm(60_000, world.now));
    expect(world.rows.size).toBe(0);
    world.deploy('a', { idle_after: 10 });
    world.do(world.core.warm(60_000, world.now));
    world.do(world.core.warm(1_000, world.now));
    expect(world.need).toBe(1);
    const instance = world.live('m1', 'a');
    world.rebuild();
    world.pass(59_999);
    expect(world.states()).toEqual({ [instance]: 'live' });
    world.pass(1);
    expect(world.states()).toEqual({ [instance]: 'draining' });
    world.do(world.core.warm(Number.MAX_SAFE_INTEGER, world.now));
    world.pass(BOUNDS.warmMaxMs);
    expect(world.need).toBe(0);
  });

  test('urgency grows with time and waiting calls, and the board is told', () => {
    const world = new World();
    world.deploy('a', { min: 1 });
    world.pass(60_000);
    const alone = world.take('post').map((post) => post.offer?.urgency ?? -1);
    expect(alone).toEqual(alone.toSorted((a, b) => a - b));
    expect(alone.at(-1)).toBeGreaterThan(alone[0] ?? 0);
    world.enqueue('c1', { deadlineMs: 600_000, since: world.now });
    world.live('m1', 'a');
    expect(world.take('post').at(-1)?.offer).toBeNull();
  });

  test('a cold chute holds calls for a while, then sends them away until somebody comes', () => {
    const world = new World();
    world.deploy('a');
    expect(world.enqueue('c1', { deadlineMs: 500_000 }).kind).toBe('admitted');
    world.pass(BOUNDS.hopeMs);
    expect(world.enqueue('c2')).toMatchObject({ kind: 'refused', code: 'no_capacity' });
    world.claim('m1', 'a');
    expect(world.enqueue('c3').kind).toBe('admitted');
  });

  test('one post at a time: what changed meanwhile follows, and a lost one is sent again', () => {
    const world = new World();
    const first = world.core.deploy({ spec: spec('a', { min: 1 }), slug: 's' }, world.now);
    expect(first.effects.filter((effect) => effect.do === 'post')).toHaveLength(1);
    const second = world.core.deploy({ spec: spec('b', { min: 1 }), slug: 's' }, world.now);
    expect(second.effects.filter((effect) => effect.do === 'post')).toEqual([]);
    const third = world.core.posted(true, world.now);
    expect(third.effects).toMatchObject([{ do: 'post', offer: { version: 'b'.repeat(64) } }]);
    world.core.posted(false, world.now);
    expect(world.core.alarm(world.now + BOUNDS.postMs).effects).toMatchObject([
      { do: 'post', offer: { version: 'b'.repeat(64) } },
      { do: 'alarm' },
    ]);
  });

  test('a public chute is listed, a private one is not', () => {
    const world = new World();
    world.deploy('a');
    world.deploy('b', { public: true, tagline: 'hello' });
    expect(world.take('post').map((post) => post.listing?.tagline ?? null)).toEqual([null, 'hello']);
    world.do(world.core.remove(world.now));
    expect(world.take('post')).toMatchObject([{ offer: null, listing: null }]);
  });
});

describe('replacing versions', () => {
  test('one new instance comes first, then exactly one old one goes, until all are new', () => {
    const world = new World();
    world.deploy('a', { min: 3, max: 3 });
    for (const name of ['m1', 'm2', 'm3']) world.live(name, 'a');
    world.pass(1000);
    world.deploy('b', { min: 3, max: 3 });
    const serving = (): number => (world.core.snapshot(world.now)?.instances ?? []).filter((row) => row.state === 'live').length;
    for (let k = 1; k <= 3; k++) {
      expect(world.need).toBe(1);
      const grant = world.claim(`n${k}`, 'b');
      expect(world.claim(`x${k}`, 'b')).toMatchObject({ code: 'taken' });
      expect(serving()).toBe(3);
      if (grant.kind !== 'grant') throw new Error(grant.code);
      world.report(`n${k}`, grant.instance, 'b', 'live');
      expect(serving()).toBe(3);
      expect(world.take('stop')).toMatchObject([{ reason: 'replaced' }]);
    }
    expect(world.need).toBe(0);
    expect(
      world.core
        .snapshot(world.now)
        ?.instances.filter((row) => row.state === 'live')
        .every((row) => row.version === 'b'.repeat(64)),
    ).toBe(true);
  });

  test('a broken new version takes nothing away, and rollback goes back to what still serves', () => {
    const world = new World();
    world.deploy('a', { min: 2, max: 2 });
    const old = [world.live('m1', 'a'), world.live('m2', 'a')];
    world.deploy('b', { min: 2, max: 2 });
    world.claim('n1', 'b');
    world.report('n1', 'ins_3', 'b', 'starting');
    world.report('n1', 'ins_3', 'b', 'failed', 0, 'exit code 2');
    expect(world.states()).toEqual(Object.fromEntries(old.map((id) => [id, 'live'])));
    expect(world.core.describe(world.now)?.lastError?.text).toBe('exit code 2');
    world.claim('n2', 'b');
    expect(world.do(world.core.rollback('a'.repeat(64), world.now))).toBe(true);
    expect(world.take('stop')).toMatchObject([{ instance: 'ins_4', reason: 'replaced', noticeMs: 0 }]);
    expect(world.need).toBe(0);
    expect(world.states()).toEqual(Object.fromEntries(old.map((id) => [id, 'live'])));
  });

  test('old versions go first, then the newest', () => {
    const row = (instance: string, version: string, liveSince: number) => ({ instance, version, liveSince }) as InstanceRow;
    const order = removalOrder([row('a', 'new', 1), row('b', 'new', 9), row('c', 'old', 2), row('d', 'old', 5)], 'new');
    expect(order.map((it) => it.instance)).toEqual(['d', 'c', 'b', 'a']);
  });
});
