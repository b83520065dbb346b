/** What the Chute is told of an instance: how busy it is and what it earned, once a second at most. */
import { expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import type { Load } from '../../../functions/calls/ports.ts';
import { INSTANCE, World, data, end, head } from './world.ts';

const terms = { version: 'p1', price: { ...NO_PRICE, per_request: 1_000 }, discountBps: 0, feeBps: 1_500 };

/** One call that costs 1,000 nano-USD, from dispatch to its last byte. */
function call(world: World, n: number, status = 200): Load[] {
  const key = world.relay(n, { terms, hold: '1000', facts: { images: 0, steps: 0 } }, new Uint8Array(5));
  const told = loads(world);
  const stream = world.stream(key);
  world.frames(head(stream, 'application/json', status), data(stream, '{}'), end(stream, key, 2));
  told.push(...loads(world));
  world.drained(key);
  return [...told, ...loads(world)];
}

const loads = (world: World): Load[] => world.effects.flatMap((effect) => (effect.do === 'load' ? effect.loads : []));

function pass(world: World, ms: number): Load[] {
  world.now += ms;
  world.do(world.core.onAlarm(world.now));
  return loads(world);
}

test('what calls earned is summed until it is told, and told once', () => {
  const world = new World().live();
  pass(world, 5_000);
  const told = [...call(world, 1), ...call(world, 2), ...call(world, 3)];
  told.push(...pass(world, 1_000), ...pass(world, 1_000), ...pass(world, 1_000));
  expect(told.filter((load) => load.instance !== INSTANCE)).toEqual([]);
  expect(told.reduce((sum, { earned = 0 }) => sum + earned, 0)).toBe(3 * 850);
  expect(told.length).toBeLessThanOrEqual(3);
  expect(told.at(-1)?.busy).toBe(0);
});

test('a reply of an error earned nothing', () => {
  const world = new World().live();
  const told = [...call(world, 1, 500), ...pass(world, 5_000)];
  expect(told.every((load) => load.earned === undefined)).toBe(true);
});
