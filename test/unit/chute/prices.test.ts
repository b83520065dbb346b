import { expect, test } from 'vitest';
import { NO_PRICE, type Price } from '#protocol';
import type { PriceVersion } from '../../../functions/prices/history.ts';
import { termsAt } from '../../../functions/prices/now.ts';
import { versionOf } from '../../../functions/chute/version-hash.ts';
import { T0, World, config } from './world.ts';

const per = (per_request: number): Price => ({ ...NO_PRICE, per_request });
const price = (id: string, startsAt: number, endsAt: number | null = null, cost = 5): PriceVersion => ({
  id,
  price: per(cost),
  feeBps: 1500,
  discountBps: 0,
  startsAt,
  endsAt,
  note: '',
  createdAt: T0,
});
const learn = (world: World, ...prices: PriceVersion[]) => world.do(world.core.setPrices(prices, world.now));
const asks = (world: World, at = world.now) => termsAt(world.core.snapshot(world.now)?.terms ?? [], at).version;
const rows = (world: World) => [...world.rows.values()].filter((row) => row.kind === 'price').map((row) => row.key);

test('a chute without a price is free, and learns its price with a deploy', () => {
  const world = new World();
  expect(learn(world, price('a', T0))).toBe(false);
  world.deploy('a');
  expect(asks(world)).toBe('free');
  world.deploy('a', {}, [price('a', T0, null, 7)]);
  expect(world.core.snapshot(world.now)?.terms).toEqual([
    { startsAt: 0, terms: { version: 'a', price: per(7), discountBps: 0, feeBps: 1500 } },
  ]);
  expect(world.core.describe(world.now)).toMatchObject({ terms: { version: 'a' }, prices: [{ id: 'a' }] });
});

test('a price is no part of a version, and a new one replaces no instance', async () => {
  expect(await versionOf(config({ price: per(5) }), null)).toBe(await versionOf(config(), null));
  const world = new World();
  world.deploy('a', { min: 1 }, [price('a', T0)]);
  const instance = world.live('m1', 'a');
  learn(world, price('b', T0 + 1, null, 9));
  world.pass(10);
  expect(world.states()).toEqual({ [instance]: 'live' });
  expect(world.take('stop')).toEqual([]);
});

test('a snapshot says what comes, and is still right when it came; a promotion ends by itself', () => {
  const world = new World();
  world.deploy('a', {}, [price('a', T0)]);
  learn(world, price('promo', T0 + 1000, T0 + 2000, 1));
  const told = world.core.snapshot(world.now)?.terms ?? [];
  expect(told.map(({ startsAt, terms }) => [startsAt, terms.version])).toEqual([
    [0, 'a'],
    [T0 + 1000, 'promo'],
    [T0 + 2000, 'a'],
  ]);
  for (const [ms, version] of [
    [0, 'a'],
    [1000, 'promo'],
    [1999, 'promo'],
    [2000, 'a'],
  ] as const)
    expect(asks(world, T0 + ms)).toBe(version);
  world.pass(2500);
  expect(asks(world)).toBe('a');
});

test('prices may be told twice and in any order; what can never count again is forgotten', () => {
  const [a, b, promo] = [price('a', T0 - 10), price('b', T0 + 500), price('promo', T0 + 100, T0 + 200)];
  const one = new World();
  const other = new World();
  for (const world of [one, other]) world.deploy('a');
  learn(one, a, promo, b);
  learn(other, b);
  learn(other, b, a);
  learn(other, promo, a);
  expect(other.core.snapshot(T0)?.terms).toEqual(one.core.snapshot(T0)?.terms);
  one.pass(600);
  learn(one);
  expect(rows(one)).toEqual(['b']);
  // A repeat that comes late changes nothing.
  learn(one, a, promo);
  expect(rows(one)).toEqual(['b']);
  expect(asks(one)).toBe('b');
});

test('prices survive an eviction, and go with the chute', () => {
  const world = new World();
  world.deploy('a', {}, [price('a', T0), price('b', T0 + 1000)]);
  world.rebuild();
  expect(world.core.snapshot(world.now)?.terms.map(({ terms }) => terms.version)).toEqual(['a', 'b']);
  world.do(world.core.remove(world.now));
  expect(world.rows.size).toBe(0);
  world.deploy('a');
  expect(asks(world)).toBe('free');
});

test('the board and the list of chutes show the price of the moment', () => {
  const world = new World();
  world.deploy('a', { min: 1, public: true }, [price('a', T0, null, 5), price('b', T0 + 60_000, null, 9)]);
  expect(world.take('post').at(-1)).toMatchObject({ offer: { price: per(5) }, listing: { terms: { version: 'a', price: per(5) } } });
  world.pass(60_000);
  expect(world.take('post').at(-1)).toMatchObject({ offer: { price: per(9) }, listing: { terms: { version: 'b', price: per(9) } } });
});

test('calls of a private chute that pays by instance are free', () => {
  const world = new World();
  const rented = { ...price('r', T0), price: { ...per(5), per_instance_second: 3 } };
  world.deploy('a', {}, [rented]);
  expect(world.core.snapshot(world.now)?.terms[0]?.terms).toEqual({ version: 'r', price: NO_PRICE, discountBps: 0, feeBps: 1500 });
  world.deploy('b', { public: true }, [rented]);
  expect(world.core.snapshot(world.now)?.terms[0]?.terms.price).toEqual(rented.price);
});
