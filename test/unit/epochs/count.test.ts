import { expect, test } from 'vitest';
import { needOf, shared, sightings, type Seen, type SeenInstance } from '../../../functions/epochs/count.ts';
import { epochAt, networkOf } from '../../../functions/epochs/network.ts';
import { inTurns } from '#protocol/in-turns.ts';

const gpu = (id: string) => ({ id, kind: 'gpu' as const, name: 'a gpu', memoryMb: 1024 });
const instance = (name: string, state: SeenInstance['state'], devices?: string[]): SeenInstance => ({
  instance: `ins_${name}`,
  chute: `cht_${name}`,
  version: 'v',
  state,
  ...(devices === undefined ? {} : { devices }),
});
const agent = (instances: SeenInstance[], devices = ['gpu0', 'gpu1']): Seen => ({
  agent: 'agt_a',
  hotkey: '5A',
  inventory: { devices: devices.map(gpu) },
  instances,
});

test.each([
  [{ wanted: 0, live: 3 }, 0],
  [{ wanted: 1, live: 3 }, 333],
  [{ wanted: 3, live: 3 }, 1000],
  [{ wanted: 9, live: 3 }, 1000],
  [{ wanted: 1, live: 0 }, 0],
])('need of one instance, %o', (of, need) => {
  expect(needOf(of)).toBe(need);
});

test('devices and live instances are there; a start is not, a device that is named twice is one', () => {
  const wanted = new Map([['cht_b', { wanted: 1, live: 2 }]]);
  const seen = sightings([agent([instance('a', 'starting'), instance('b', 'live', ['gpu1'])], ['gpu0', 'gpu1', 'gpu1'])], wanted);
  expect(seen.map(({ target, need, serving }) => ({ target, need, serving }))).toEqual([
    { target: 'agt_a/gpu0', need: 0, serving: false },
    { target: 'agt_a/gpu1', need: 500, serving: true },
    { target: 'ins_b', need: 0, serving: true },
  ]);
});

test('an agent that does not say where, runs on its first device; what is wanted of one device is never more than it', () => {
  const wanted = new Map(['cht_a', 'cht_b'].map((chute) => [chute, { wanted: 1, live: 1 }]));
  const seen = sightings([agent([instance('a', 'live'), instance('b', 'live', [])])], wanted);
  expect(seen.map(({ need }) => need)).toEqual([1000, 0, 0, 0]);
});

test.each([
  [{}, 3600, 'mainnet'],
  [{ NETWORK: 'development', EPOCH_SECONDS: '30' }, 30, 'development'],
])('a network %o', (env, seconds, name) => {
  expect(networkOf(env)).toMatchObject({ epochSeconds: seconds, suite: { name } });
});

test.each([
  [{ EPOCH_SECONDS: '90' }],
  [{ EPOCH_SECONDS: '0' }],
  [{ EPOCH_SECONDS: 'x' }],
  [{ EPOCH_SECONDS: '90000' }],
  [{ BEACON_CHAIN: '{}' }],
])('no network: %o', (env) => {
  expect(() => networkOf(env)).toThrow(/EPOCH_SECONDS|BEACON_CHAIN/);
});

test('an epoch is named by the second it starts at', () => {
  expect(epochAt(7_199_999, 3600)).toBe(3600);
  expect(epochAt(7_200_000, 3600)).toBe(7200);
});

test('who names the most crowds out nobody else', () => {
  const many = Array.from({ length: 40 }, (_, at) => `gpu${at}`);
  const greedy = Array.from({ length: 5 }, (_, at) => ({ ...agent([], many), agent: `agt_${at}`, hotkey: '5Greedy' }));
  const honest = { ...agent([instance('z', 'live')]), agent: 'agt_z', hotkey: '5Honest' };
  const all = sightings([...greedy, honest], new Map());
  const some = shared(all, 10);
  expect(some.filter((s) => s.hotkey === '5Honest').map((s) => s.target)).toEqual(['agt_z/gpu0', 'agt_z/gpu1', 'ins_z']);
  expect(some).toHaveLength(10);
  expect(shared(all, all.length)).toEqual(all);
});

test('in turns: everybody’s first before anybody’s second, in the order they have', () => {
  expect(inTurns(['a1', 'a2', 'a3', 'b1', 'c1', 'b2'], (name) => name.slice(0, 1))).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  expect(inTurns([], String)).toEqual([]);
});
