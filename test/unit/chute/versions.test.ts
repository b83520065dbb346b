import { expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { versionOf } from '../../../functions/chute/version-hash.ts';
import { sortedJson } from '#protocol/canonical.ts';
import { CHUTE, World, config } from './world.ts';

test('a version is what it holds: order and absence of fields do not matter, values and code do', async () => {
  expect(sortedJson({ b: [1, { d: 1, c: undefined }], a: null })).toBe('{"a":null,"b":[1,{"d":1}]}');
  const code = { sha256: 'c'.repeat(64), bytes: 1 };
  const one = await versionOf(config({ env: { A: '1', B: '2' } }), null);
  expect(one).toMatch(/^[0-9a-f]{64}$/);
  expect(await versionOf(config({ env: { B: '2', A: '1' } }), null)).toBe(one);
  expect(await versionOf(config({ env: { A: '1', B: '3' } }), null)).not.toBe(one);
  expect(await versionOf(config({ env: { A: '1', B: '2' } }), code)).not.toBe(one);
  expect(await versionOf(config({ env: { A: '1', B: '2' } }), { ...code, bytes: 2 })).toBe(
    await versionOf(config({ env: { A: '1', B: '2' } }), code),
  );
});

test('neither price nor scaling is part of it', async () => {
  const plain = await versionOf(config(), null);
  const scaled = config({ min: 2, max: 5, scale_up_after: 30, idle_after: 60, bounty: 1_000, price: { ...NO_PRICE, per_request: 1 } });
  expect(await versionOf(scaled, null)).toBe(plain);
  expect(await versionOf(config({ concurrency: 2 }), null)).not.toBe(plain);
});

test('a deploy that changes only scaling replaces no instance, a rollback keeps what is in force', () => {
  const world = new World();
  world.deploy('a', { min: 1, max: 1 });
  const instance = world.live('m1', 'a');
  world.deploy('b', { min: 1, max: 1, tagline: 'b' });
  world.do(world.core.rollback('a'.repeat(64), world.now));
  world.take('stop');
  expect(world.deploy('a', { min: 2, max: 3, idle_after: 9 })).toMatchObject({ created: false });
  expect(world.states()).toEqual({ [instance]: 'live' });
  expect(world.take('stop')).toEqual([]);
  expect(world.need).toBe(1);
  world.rebuild();
  world.do(world.core.rollback('b'.repeat(64), world.now));
  expect(world.core.describe(world.now)?.config).toMatchObject({ tagline: 'b', min: 2, max: 3, idle_after: 9 });
  expect(world.core.snapshot(world.now)?.config).toMatchObject({ min: 2, max: 3, idle_after: 9, scale_up_after: 0, bounty: 0 });
});

test('the row of an older deploy has the scaling of its current version', () => {
  const world = new World();
  world.deploy('a', { min: 2, max: 4 });
  world.deploy('b', { min: 1, max: 1 });
  const row = world.rows.get(`chute/${CHUTE}`);
  if (row?.kind !== 'chute') throw new Error('no row');
  delete row.value.scaling;
  world.rebuild();
  expect(world.core.describe(world.now)?.config).toMatchObject({ min: 1, max: 1, idle_after: 300 });
  world.do(world.core.rollback('a'.repeat(64), world.now));
  expect(world.core.describe(world.now)?.config).toMatchObject({ min: 1, max: 1 });
});

test('the same version again moves the pointer only', () => {
  const world = new World();
  expect(world.deploy('a')).toEqual({ version: 'a'.repeat(64), created: true });
  world.deploy('b');
  const rows = world.rows.size;
  expect(world.deploy('a')).toMatchObject({ created: false });
  expect(world.rows.size).toBe(rows);
  expect(world.core.versions().map((v) => [v.version[0], v.current])).toEqual([
    ['a', true],
    ['b', false],
  ]);
  expect(world.do(world.core.rollback('f'.repeat(64), world.now))).toBe(false);
});

test('the history is bounded; what runs and what is current stay', () => {
  const world = new World();
  world.deploy('0', { min: 1 });
  const instance = world.live('m1', '0');
  for (let k = 1; k <= BOUNDS.versions + 5; k++) world.deploy(k.toString(16).padStart(2, '0').slice(-2), { tagline: String(k) });
  const kept = world.core.versions();
  expect(kept).toHaveLength(BOUNDS.versions);
  expect(kept.some((v) => v.version === '0'.repeat(64))).toBe(true);
  expect(world.states()).toHaveProperty(instance);
  expect([...world.rows.values()].filter((row) => row.kind === 'version')).toHaveLength(BOUNDS.versions);
});
