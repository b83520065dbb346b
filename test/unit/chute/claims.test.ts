import { describe, expect, test } from 'vitest';
import { waveMs } from '#protocol/wave.ts';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { crowdAt, noteAsker } from '../../../functions/chute/crowd.ts';
import { removalOrder } from '../../../functions/chute/balance.ts';
import { rebuild } from '../../../functions/chute/state.ts';
import type { InstanceRow, Turn } from '../../../functions/chute/state.ts';
import { CHUTE, CPU, World, agent, spec } from './world.ts';

/** A claim of an agent of this hotkey. */
function claim(world: World, name: string, hotkey: string): string {
  const facts = { ...agent(name), hotkey };
  const answer = world.do(world.core.claim(facts, spec('a').version, `ins_${name}`, world.now));
  return answer.kind === 'grant' ? 'grant' : answer.code;
}

function live(world: World, name: string, hotkey: string): void {
  const facts = { ...agent(name), hotkey };
  world.do(
    world.core.report(
      facts,
      { instance: `ins_${name}`, chute: CHUTE, version: spec('a').version, state: 'live', detail: '' },
      0,
      world.now,
    ),
  );
}

describe('others first', () => {
  test.each<[string, (world: World) => void, string]>([
    ['another one is willing', (w) => void claim(w, 'other', 'h2'), 'others_first'],
    ['nobody else ever asked', () => undefined, 'grant'],
    ['who else asked did so long ago', (w) => (claim(w, 'other', 'h2'), w.pass(BOUNDS.willingMs)), 'grant'],
    ['only a second agent of its own asked', (w) => void claim(w, 'mine', 'h1'), 'grant'],
  ])('a hotkey that runs all there is: %s', (_name, before, answer) => {
    const world = new World();
    world.deploy('a', { min: 1, max: 3 });
    claim(world, 'm1', 'h1');
    live(world, 'm1', 'h1');
    before(world);
    world.deploy('a', { min: 2, max: 3 });
    expect(claim(world, 'm2', 'h1')).toBe(answer);
  });

  test('only while the need is young, and not for who runs a part of it', () => {
    const world = new World();
    world.deploy('a', { min: 1, max: 3 });
    claim(world, 'm1', 'h1');
    live(world, 'm1', 'h1');
    claim(world, 'other', 'h2');
    world.deploy('a', { min: 3, max: 3 });
    expect(world.do(world.core.claim({ ...agent('m2'), hotkey: 'h1' }, spec('a').version, 'ins_x', world.now))).toEqual({
      kind: 'refusal',
      code: 'others_first',
      retryAfterMs: BOUNDS.othersFirstMs,
    });
    world.pass(BOUNDS.othersFirstMs - 1);
    expect(claim(world, 'm2', 'h1')).toBe('others_first');
    expect(claim(world, 'other', 'h2')).toBe('grant');
    expect(claim(world, 'm2', 'h1')).toBe('grant');

    const old = new World();
    old.deploy('a', { min: 1, max: 3 });
    claim(old, 'm1', 'h1');
    live(old, 'm1', 'h1');
    claim(old, 'other', 'h2');
    old.deploy('a', { min: 2, max: 3 });
    old.pass(BOUNDS.othersFirstMs);
    expect(claim(old, 'm2', 'h1')).toBe('grant');
  });

  test('willing hotkeys are kept within bounds: the newest', () => {
    const turn: Turn = { state: rebuild([], 0), now: 0, effects: [] };
    for (let k = 0; k < BOUNDS.willing + 9; k++) noteAsker(turn, { ...agent('m'), hotkey: `h${k}` }, BOUNDS);
    expect([...turn.state.willing.keys()]).toEqual(Array.from({ length: BOUNDS.willing }, (_, k) => `h${k + 9}`));
  });
});

describe('waves', () => {
  const names = Array.from({ length: 200 }, (_, k) => `m${k}`);
  const storm = (world: World): void => names.forEach((name) => void claim(world, name, name));

  test('a crowd at one need is let in little by little at the next, each when its wave comes', () => {
    const world = new World();
    world.deploy('a', { min: 1, max: 3 });
    storm(world);
    live(world, 'm0', 'm0');
    world.take('post');
    world.deploy('a', { min: 2, max: 3 });
    const offer = world.take('post').at(-1)?.offer;
    expect(offer).toMatchObject({ crowd: 200, need: 1 });
    if (offer == null) throw new Error('no offer');
    const waits = names.map((name) => waveMs(name, offer));
    expect(waits.filter((ms) => ms === 0).length).toBeLessThan(20);
    const late = names[waits.indexOf(Math.max(...waits))] ?? '';
    expect(world.claim(late, 'a')).toEqual({ kind: 'refusal', code: 'not_yet', retryAfterMs: Math.max(...waits) });
    world.pass(Math.max(...waits) - 1);
    expect(world.claim(late, 'a')).toMatchObject({ code: 'not_yet', retryAfterMs: 1 });
    world.pass(1);
    expect(world.claim(late, 'a')).toMatchObject({ kind: 'grant' });
  });

  test('a crowd is forgotten by halves, and kept through an eviction', () => {
    const world = new World();
    world.deploy('a', { min: 1, max: 3 });
    storm(world);
    live(world, 'm0', 'm0');
    world.rebuild();
    world.pass(BOUNDS.crowdHalfMs);
    world.take('post');
    world.deploy('a', { min: 2, max: 3 });
    const crowd = world.take('post').at(-1)?.offer?.crowd ?? -1;
    expect(crowd).toBeLessThanOrEqual(100);
    expect([0, 1, 2].map((halves) => crowdAt({ count: 100, at: 5 }, 5 + halves * 1000, 1000))).toEqual([100, 50, 25]);
  });

  test('the crowd that is counted is bounded, and who cannot have it is no part of it', () => {
    const world = new World();
    world.deploy('a', { min: 1, max: 3 });
    for (let k = 0; k < BOUNDS.askers + 10; k++) claim(world, `n${k}`, 'h');
    for (let k = 0; k < 50; k++) world.claim(`x${k}`, 'a', { ...CPU, runtimes: [] });
    live(world, 'n0', 'h');
    world.take('post');
    world.deploy('a', { min: 2, max: 3 });
    expect(world.take('post').at(-1)?.offer?.crowd).toBe(BOUNDS.askers);
  });
});

test('two agents race for one grant: exactly one gets it, whoever asks again', () => {
  const world = new World();
  world.deploy('a', { min: 1, max: 3 });
  const answers = ['m1', 'm2', 'm1', 'm2'].map((name) => world.claim(name, 'a'));
  expect(answers.map((answer) => (answer.kind === 'grant' ? answer.instance : answer.code))).toEqual(['ins_1', 'taken', 'ins_1', 'taken']);
});

describe('who goes first', () => {
  const row = (instance: string, part: Partial<InstanceRow> = {}) =>
    ({ instance, hotkey: `h-${instance}`, version: 'new', liveSince: 1, goneAt: null, ...part }) as InstanceRow;
  test.each<[string, InstanceRow[], string]>([
    ['old versions, then the newest', [row('a'), row('b', { liveSince: 9 }), row('c', { version: 'old' })], 'cba'],
    ['before them whose agent is away', [row('a', { version: 'old' }), row('b', { goneAt: 5 }), row('c')], 'bac'],
    [
      'of one version the owner with the most, until it has no more than others',
      [row('a', { hotkey: 'x' }), row('b', { hotkey: 'x', liveSince: 5 }), row('c', { hotkey: 'x' }), row('d', { liveSince: 3 })],
      'bcda',
    ],
    [
      'the same facts in another order',
      [row('d', { liveSince: 3 }), row('c', { hotkey: 'x' }), row('b', { hotkey: 'x', liveSince: 5 }), row('a', { hotkey: 'x' })],
      'bcda',
    ],
  ])('%s', (_name, rows, order) => {
    expect(
      removalOrder(rows, 'new')
        .map((it) => it.instance)
        .join(''),
    ).toBe(order);
  });
});
