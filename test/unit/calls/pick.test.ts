/** Who gets a call first: load, likeness, what the chain thinks of a miner, newcomers. */
import { expect, test } from 'vitest';
import { pick, type PickFacts } from '../../../functions/calls/pick.ts';
import type { SnapshotInstance } from '../../../functions/calls/ports.ts';

const NOW = 1_000_000_000;

function instance(name: string, more: Partial<SnapshotInstance> = {}): SnapshotInstance {
  return {
    instance: name,
    agent: `agent-${name}`,
    hotkey: `hotkey-${name}`,
    version: 'v1',
    slots: 4,
    busy: 0,
    region: 'local',
    state: 'live',
    open: true,
    liveSince: 0,
    ...more,
  };
}

function facts(more: Partial<PickFacts> = {}): PickFacts {
  return { version: 'v1', affinity: 'a', instance: null, now: NOW, random: 0.5, weights: new Map(), ...more };
}

const hotkeys = (weights: Record<string, number>) => new Map(Object.entries(weights).map(([name, weight]) => [`hotkey-${name}`, weight]));

/** How often each is first, over so many unlike calls. */
function shares(instances: SnapshotInstance[], weights: ReadonlyMap<string, number>, calls = 20_000): Record<string, number> {
  const first: Record<string, number> = {};
  for (let k = 0; k < calls; k++) {
    const name = pick(instances, facts({ affinity: `call ${k}`, weights }))[0]?.instance.instance ?? '';
    first[name] = (first[name] ?? 0) + 1 / calls;
  }
  return first;
}

test.each([
  ['without a chain all are alike', {}, 1],
  ['the same weights', { a: 7, b: 7 }, 1],
  ['3 : 1 on the chain is √3 : 1 in calls', { a: 3, b: 1 }, Math.sqrt(3)],
  ['the unit does not matter', { a: 30_000, b: 10_000 }, Math.sqrt(3)],
  ['all of it: never more than the bounds allow', { a: 65_535, b: 0 }, Math.SQRT2 / 0.5],
  ['whom the chain does not know', { a: 5 }, Math.SQRT2 / 0.5],
])('%s', (_, weights, ratio) => {
  const { a = 0, b = 0 } = shares([instance('a'), instance('b')], hotkeys(weights));
  expect(a / b / ratio).toBeGreaterThan(0.93);
  expect(a / b / ratio).toBeLessThan(1.07);
});

test('no weight makes more than four times the calls of another', () => {
  const crowd = Array.from({ length: 8 }, (_, k) => instance(`i${k}`));
  const weights = hotkeys(Object.fromEntries(crowd.map((i, k) => [i.instance, k === 0 ? 65_535 : k])));
  const first = Object.values(shares(crowd, weights));
  expect(first).toHaveLength(8);
  expect(Math.max(...first) / Math.min(...first)).toBeLessThan(4.6);
});

test('weight does not outdo load: whoever is much busier waits', () => {
  const busy = instance('a', { busy: 3 });
  const order = pick([busy, instance('b')], facts({ weights: hotkeys({ a: 65_535 }) }));
  expect(order.map((c) => [c.instance.instance, c.reason])).toEqual([
    ['b', 'affinity'],
    ['a', 'least_busy'],
  ]);
});

test('a newcomer gets its share first, whatever the chain says', () => {
  const fresh = instance('b', { liveSince: NOW - 1_000 });
  const order = pick([instance('a'), fresh], facts({ random: 0.01, weights: hotkeys({ a: 65_535 }) }));
  expect(order[0]).toMatchObject({ instance: { instance: 'b' }, reason: 'newcomer' });
});

test('an instance whose gate is shut gets nothing, not even when it is named', () => {
  const shut = instance('a', { open: false });
  expect(pick([shut], facts())).toEqual([]);
  expect(pick([shut, instance('b')], facts({ instance: 'a' }))).toEqual([]);
});
