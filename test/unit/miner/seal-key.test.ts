import { expect, test } from 'vitest';
import { World, spec } from './world.ts';

const KEY = 'ab'.repeat(32);

test.each<[string, number, string | undefined, string | undefined]>([
  ['a login of today', 2, KEY, KEY],
  ['version 1, which reads no sealed grant', 1, KEY, undefined],
  ['a login that named none', 2, undefined, undefined],
])('what a chute is told of the key secrets are sealed for: %s', (_, version, told, known) => {
  const world = new World();
  world.do(world.core.onLogin('agt_1', 'hotkey', 'name', world.now, 2, 'cd'.repeat(32)));
  world.do(world.core.onLogin('agt_1', 'hotkey', 'name', world.now, version, told));
  world.hello();
  expect(world.core.facts()?.sealKey).toBe(known);
});

test('the sealed secrets of a grant reach the agent, and no row', () => {
  const world = new World();
  world.login();
  world.hello();
  world.claim();
  world.do(
    world.core.onClaimAnswer('r', { kind: 'grant', instance: 'ins_1', deadlineMs: 1, spec: spec(1), sealed: 'sealed-text' }, world.now),
  );
  expect(world.told.at(-1)).toMatchObject({ type: 'grant', sealed: 'sealed-text' });
  expect(JSON.stringify([...world.rows.values()])).not.toContain('sealed-text');
});
