import { describe, expect, test } from 'vitest';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { removalOrder } from '../../../functions/chute/balance.ts';
import { asked } from '../../../functions/chute/need.ts';
import type { InstanceRow } from '../../../functions/chute/state.ts';
import { World, config, spec } from './world.ts';

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
    world.pass(BOUNDS.idleMs - 1);
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
    world.pass(BOUNDS.idleMs * 3);
    expect(world.states()).toEqual({ [instance]: 'live' });
    world.do(world.core.load('m1', [{ instance, busy: 0 }], world.now));
    for (let k = 0; k < 12; k++) {
      world.pass(BOUNDS.idleMs / 10);
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
