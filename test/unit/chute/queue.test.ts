import { describe, expect, test } from 'vitest';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { queueBound } from '../../../functions/chute/queue.ts';
import { World, config } from './world.ts';

/** A world with one busy instance whose slot comes free again and again; the calls that get it, in order. */
function served(world: World, instance: string, times: number): (string | null)[] {
  return Array.from({ length: times }, () => world.do(world.core.freed('m1', instance, world.now)));
}

function busyWorld(): { world: World; instance: string } {
  const world = new World();
  world.deploy('a', { min: 1 });
  const instance = world.live('m1', 'a');
  return { world, instance };
}

describe('order', () => {
  test('accounts take turns, whoever asked more', () => {
    const { world, instance } = busyWorld();
    for (const call of ['a1', 'a2', 'a3', 'a4']) world.enqueue(call, { account: 'A' });
    for (const call of ['b1', 'b2']) world.enqueue(call, { account: 'B' });
    world.enqueue('c1', { account: 'C' });
    expect(served(world, instance, 8)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4', null]);
  });

  test('within an account the earliest is first, also one that comes back', () => {
    const { world, instance } = busyWorld();
    world.enqueue('late', { since: world.now - 1_000 });
    world.enqueue('early', { since: world.now - 5_000 });
    world.enqueue('now');
    expect(served(world, instance, 3)).toEqual(['early', 'late', 'now']);
  });

  test('a clock ahead of ours does not jump the queue, and a call is in it once', () => {
    const { world, instance } = busyWorld();
    world.enqueue('c1', { since: world.now + 9_999 });
    world.enqueue('c2');
    world.enqueue('c1', { since: world.now + 9_999 });
    expect(served(world, instance, 3)).toEqual(['c2', 'c1', null]);
  });

  test('the position counts who is served earlier', () => {
    const { world } = busyWorld();
    for (const call of ['a1', 'a2', 'a3']) world.enqueue(call, { account: 'A' });
    expect(world.enqueue('b1', { account: 'B' })).toMatchObject({ kind: 'admitted', position: 2 });
    expect(world.enqueue('a4', { account: 'A' })).toMatchObject({ kind: 'admitted', position: 5 });
  });

  test('a call does not get an instance it has tried', () => {
    const { world, instance } = busyWorld();
    world.claim('m2', 'a');
    world.enqueue('c1', { tried: [instance] });
    world.enqueue('c2');
    expect(served(world, instance, 2)).toEqual(['c2', null]);
  });
});

describe('limits', () => {
  test('the line is full at its bound, and one account cannot fill it', () => {
    const { world } = busyWorld();
    const bound = queueBound(config(), BOUNDS);
    const full = Array.from({ length: bound }, (_, k) => world.enqueue(`a${k}`, { account: 'A' }));
    expect(full.filter((answer) => answer.kind === 'admitted')).toHaveLength(bound / 2);
    expect(full.at(-1)).toMatchObject({ kind: 'refused', code: 'queue_full' });
    for (let k = 0; k < bound / 2; k++) expect(world.enqueue(`b${k}`, { account: 'B' }).kind).toBe('admitted');
    expect(world.enqueue('c', { account: 'C' })).toMatchObject({ kind: 'refused', code: 'queue_full' });
  });

  test('the bound grows with the slots and has an end', () => {
    expect(queueBound({ concurrency: 8, max: 4 }, BOUNDS)).toBe(512);
    expect(queueBound({ concurrency: 256, max: 100 }, BOUNDS)).toBe(BOUNDS.queueMax);
  });

  test('a call past its deadline is refused, at the deadline', () => {
    const { world } = busyWorld();
    world.enqueue('c1', { deadlineMs: 2_000 });
    expect(world.core.wait('c1')).toBeNull();
    world.pass(2_000);
    expect(world.take('resolve')).toMatchObject([{ call: 'c1', answer: { kind: 'refused', code: 'queue_timeout' } }]);
    expect(world.core.wait('c1')).toMatchObject({ kind: 'refused' });
    world.pass(BOUNDS.outcomeMs);
    expect(world.core.wait('c1')).toBeUndefined();
  });

  test('removing the chute refuses everyone', () => {
    const { world } = busyWorld();
    world.enqueue('c1');
    world.do(world.core.remove(world.now));
    expect(world.take('resolve')).toMatchObject([{ call: 'c1', answer: { code: 'not_found' } }]);
    expect(world.enqueue('c2')).toEqual({ kind: 'refused', code: 'not_found' });
  });
});

describe('slots', () => {
  test('while calls wait the Miners are watched, and free slots they tell are asked for', () => {
    const { world, instance } = busyWorld();
    world.take('watch');
    world.enqueue('c1');
    world.enqueue('c2');
    expect(world.take('watch')).toMatchObject([{ agent: 'm1', instances: [instance] }]);
    world.do(world.core.watched('m1', [{ instance, free: 1 }], world.now));
    expect(world.take('reserve')).toMatchObject([{ agent: 'm1', instance, call: 'c1' }]);
    world.do(world.core.reserved(instance, 'c1', true, world.now));
    expect(world.take('resolve')).toMatchObject([{ call: 'c1', answer: { kind: 'slot', instance: { instance } } }]);
    expect(world.do(world.core.freed('m1', instance, world.now))).toBe('c2');
    expect(world.take('unwatch')).toMatchObject([{ agent: 'm1' }]);
  });

  test('a slot that was gone before it could be kept costs no place', () => {
    const { world, instance } = busyWorld();
    world.enqueue('a1', { account: 'A' });
    world.enqueue('b1', { account: 'B' });
    world.do(world.core.watched('m1', [{ instance, free: 1 }], world.now));
    world.do(world.core.reserved(instance, 'a1', false, world.now));
    expect(world.take('watch')).toHaveLength(2);
    expect(world.do(world.core.freed('m1', instance, world.now))).toBe('a1');
  });

  test('a slot kept for a call that left is given back, before and after it was told', () => {
    const { world, instance } = busyWorld();
    world.enqueue('c1');
    world.do(world.core.watched('m1', [{ instance, free: 1 }], world.now));
    world.do(world.core.leave('c1', world.now));
    world.do(world.core.reserved(instance, 'c1', true, world.now));
    expect(world.take('release')).toMatchObject([{ instance, call: 'c1' }]);
    world.enqueue('c2');
    expect(world.do(world.core.freed('m1', instance, world.now))).toBe('c2');
    world.do(world.core.leave('c2', world.now));
    expect(world.take('release')).toMatchObject([{ instance, call: 'c2' }]);
  });

  test('an instance that becomes live is asked at once', () => {
    const world = new World();
    world.deploy('a');
    world.enqueue('c1');
    expect(world.take('watch')).toEqual([]);
    const instance = world.live('m1', 'a');
    expect(world.take('watch')).toMatchObject([{ instances: [instance] }]);
  });

  test('a Miner that offers to an object which forgot that it watches is told to stop', () => {
    const { world, instance } = busyWorld();
    world.rebuild();
    expect(world.do(world.core.freed('m1', instance, world.now))).toBeNull();
    expect(world.take('unwatch')).toMatchObject([{ agent: 'm1' }]);
  });
});

describe('the guess at how long a call still waits', () => {
  test('is none before anything started, then what starts took, less what this one has taken', () => {
    const world = new World();
    world.deploy('a', { max: 1, idle_after: 1 });
    expect(world.enqueue('c1')).toMatchObject({ position: 1, etaMs: null });
    const first = world.claim('m1', 'a');
    world.now += 8_000;
    if (first.kind === 'grant') world.report('m1', first.instance, 'a', 'live');
    // One second is the pace of a line that nothing is known of.
    expect(world.core.place('c1', world.now)).toEqual({ position: 1, etaMs: 1_000 });

    world.do(world.core.leave('c1', world.now));
    world.do(world.core.gone('m1', world.now));
    world.now += 100_000;
    world.do(world.core.alarm(world.now));
    world.rebuild();
    expect(world.enqueue('c2')).toMatchObject({ position: 1, etaMs: 9_000 });
    world.claim('m1', 'a');
    world.now += 5_000;
    expect(world.core.place('c2', world.now)).toEqual({ position: 1, etaMs: 4_000 });
    world.now += 20_000;
    expect(world.core.place('c2', world.now)).toEqual({ position: 1, etaMs: 2_000 });
  });
});
