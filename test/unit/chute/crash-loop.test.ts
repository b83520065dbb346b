/** A program that does not start is told as that: calls do not wait for it, and are let wait again where a start may work. */
import { describe, expect, test } from 'vitest';
import type { SecretRow } from '../../../functions/secrets/grant.ts';
import { World } from './world.ts';

/** Claims, and fails the start. */
function fail(world: World, name: string, letter = 'a'): void {
  const answer = world.claim(name, letter);
  if (answer.kind !== 'grant') throw new Error(`refused: ${answer.code}`);
  world.report(name, answer.instance, letter, 'failed', 0, 'exit code 1: no such model\nsecond line');
}

/** Three starts of one agent in a row. */
function loop(world: World, name: string): void {
  for (const pause of [5_001, 10_001, 0]) {
    fail(world, name);
    world.now += pause;
  }
}

function cold(world = new World()): World {
  world.deploy('a', { min: 1, max: 3 });
  return world;
}

const SECRET: SecretRow = { kind: 'env', key: 'TOKEN', sealed: { form: 1, by: 'edge', wrapped: '', box: '' } };

test('a call that comes after the third failure is refused at once, with the error in one line', () => {
  const world = cold();
  loop(world, 'm1');
  expect(world.enqueue('c1')).toEqual({
    kind: 'refused',
    code: 'start_failing',
    retryAfterMs: 20_000,
    error: 'exit code 1: no such model',
  });
  expect(world.core.describe(world.now)?.failing).toBe(true);
});

test('calls that waited for the start are refused with its failure', () => {
  const world = cold();
  world.enqueue('c1', { deadlineMs: 600_000 });
  loop(world, 'm1');
  expect(world.take('resolve')).toEqual([
    { do: 'resolve', call: 'c1', answer: expect.objectContaining({ code: 'start_failing' }) as unknown },
  ]);
});

describe('calls wait', () => {
  test.each<[string, (world: World) => void]>([
    ['after two failures', (world) => [5_001, 0].forEach((ms) => (fail(world, 'm1'), (world.now += ms)))],
    [
      'when the agent may try again',
      (world) => {
        loop(world, 'm1');
        world.now += 20_001;
      },
    ],
    [
      'when another agent tries',
      (world) => {
        loop(world, 'm1');
        world.claim('m2', 'a');
      },
    ],
    [
      'when another agent failed once only',
      (world) => {
        loop(world, 'm1');
        fail(world, 'm2');
      },
    ],
    [
      'while an instance serves',
      (world) => {
        loop(world, 'm1');
        world.live('m2', 'a');
      },
    ],
    [
      'while one of the version before serves',
      (world) => {
        world.live('m2', 'a');
        world.deploy('b', { min: 1, max: 3 });
        for (const pause of [5_001, 10_001, 0]) {
          fail(world, 'm1', 'b');
          world.now += pause;
        }
      },
    ],
    [
      'for a new version',
      (world) => {
        loop(world, 'm1');
        world.deploy('b', { min: 1, max: 3 });
      },
    ],
    [
      'when the same version is deployed again: what failed may have been mended elsewhere',
      (world) => {
        loop(world, 'm1');
        cold(world);
      },
    ],
    [
      'when a secret is set',
      (world) => {
        loop(world, 'm1');
        world.do(world.core.attach({ revision: 1, secrets: [SECRET], shared: [] }, world.now));
      },
    ],
  ])('%s', (_, happen) => {
    const world = cold();
    happen(world);
    expect(world.enqueue('c1').kind).toBe('admitted');
  });
});

test('a share that comes or goes changes nothing, and agents that were pardoned may try at once, also after an eviction', () => {
  const world = cold();
  loop(world, 'm1');
  world.do(world.core.attach({ revision: 1, secrets: [], shared: ['acc_2'] }, world.now));
  expect(world.enqueue('c1')).toMatchObject({ code: 'start_failing' });
  expect(world.claim('m1', 'a')).toMatchObject({ code: 'cooling_down' });
  cold(world);
  world.rebuild();
  expect(world.claim('m1', 'a')).toMatchObject({ kind: 'grant' });
});
