import { describe, expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import { averaged } from '../../../functions/chute/earning.ts';
import type { PriceVersion } from '../../../functions/prices/history.ts';
import { T0, World } from './world.ts';

const HOUR = 3_600_000;
const perHour = ({ nanousd, ms }: { nanousd: number; ms: number }): number => Math.round((nanousd / ms) * HOUR);

describe('the average', () => {
  const nothing = { nanousd: 0, ms: 0, at: 0 };
  const run = (hours: number, live: number, each: (minute: number) => number) => {
    let one = nothing;
    for (let minute = 1; minute <= hours * 60; minute++) one = averaged(one, live, each(minute), minute * 60_000);
    return perHour(one);
  };
  test.each<[string, number, number]>([
    ['one instance that earns the same all the time', run(10, 1, () => 100), 6_000],
    ['two that earn it together: half each', run(10, 2, () => 100), 3_000],
    ['after what was long ago: nearly the newest', run(10, 1, (minute) => (minute > 300 ? 100 : 0)), 6_000],
    ['a lie that is no number', run(2, 1, (minute) => (minute === 60 ? Number.NaN : 100)), 6_000],
    ['a lie below nothing', run(2, 1, (minute) => (minute === 60 ? -1e9 : 100)), 6_000],
  ])('%s', (_name, told, about) => {
    expect(Math.abs(told - about) / about).toBeLessThan(0.03);
  });

  test('stands while nothing lives', () => {
    const one = averaged(nothing, 1, 500, HOUR);
    expect(perHour(averaged(one, 0, 0, 100 * HOUR))).toBe(perHour(one));
  });
});

describe('on the board', () => {
  const offered = (world: World) => world.take('post').at(-1)?.offer?.earning_nanousd_hour;
  const earn = (world: World, earned: number): void => world.do(world.core.load('m1', [{ instance: 'ins_1', busy: 0, earned }], world.now));

  test('nothing is known before the first call that paid; then what an instance makes, through an eviction', () => {
    const world = new World();
    world.deploy('a', { min: 1, max: 2 });
    expect(offered(world)).toBeNull();
    world.live('m1', 'a');
    for (let minute = 0; minute < 600; minute++) {
      world.pass(60_000);
      earn(world, 1_000);
    }
    world.take('post');
    world.deploy('a', { min: 2, max: 2 });
    const told = offered(world) ?? 0;
    expect(Math.abs(told - 60_000)).toBeLessThan(2_000);
    world.rebuild();
    world.take('post');
    world.deploy('a', { min: 2, max: 2, tagline: 'x' });
    expect(world.core.describe(world.now)?.need).toBe(1);
    world.deploy('b', { min: 2, max: 2 });
    expect(Math.abs((offered(world) ?? 0) - 60_000)).toBeLessThan(3_000);
  });

  test('where instances are paid by time it is what they are paid, less the fee', () => {
    const told = (per_instance_second: number) => {
      const price = { ...NO_PRICE, per_instance_second };
      const rent: PriceVersion = { id: 'r', price, feeBps: 1_500, discountBps: 0, startsAt: T0, endsAt: null, note: '', createdAt: T0 };
      const world = new World();
      world.deploy('a', { min: 1 }, [rent]);
      return offered(world);
    };
    expect(told(1_000)).toBe(1_000 * 3_600 * 0.85);
    expect(told(1e13)).toBe(1e15);
  });
});

test('the board says what one instance needs, and of a private chute no image', () => {
  const image = { command: undefined, image: 'registry.example/team/model:1', port: 80, memory_mb: 2_048, disk_gb: 9, concurrency: 4 };
  const post = (part: object) => {
    const world = new World();
    world.deploy('a', { min: 1, ...image, ...part } as never);
    return world.take('post').at(-1)?.offer;
  };
  const needs = { cold: true, concurrency: 4, memory_mb: 2_048, disk_gb: 9, runtime: 'image', crowd: 0 };
  expect(post({ public: true })).toMatchObject({ ...needs, image: image.image });
  expect(post({})).toMatchObject({ ...needs, image: null });
});
