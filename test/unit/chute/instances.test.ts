import { describe, expect, test } from 'vitest';
import type { Inventory } from '#protocol';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { capacity } from '../../../functions/chute/eligible.ts';
import { CPU, World, config } from './world.ts';

const gpus = (...devices: [string, number][]): Inventory => ({
  ...CPU,
  runtimes: ['docker', 'process'],
  devices: devices.map(([name, memoryMb], k) => ({ id: `gpu${k}`, kind: 'gpu', name, memoryMb })),
});

describe('who may run a chute', () => {
  const gpu = { count: 1, min_vram_gb: 16, include: [], exclude: [] };
  test.each([
    ['a CPU is enough without a gpu section', config(), CPU, Infinity],
    ['no GPU where one is needed', config({ gpu }), CPU, 0],
    ['a 16 GB card that reports 15,360 MiB', config({ gpu }), gpus(['Tesla T4', 15_360]), 1],
    ['too little memory', config({ gpu: { ...gpu, min_vram_gb: 24 } }), gpus(['Tesla T4', 15_360]), 0],
    [
      'two instances of two cards each',
      config({ gpu: { ...gpu, count: 2 } }),
      gpus(['A', 20_000], ['A', 20_000], ['A', 20_000], ['A', 20_000], ['A', 20_000]),
      2,
    ],
    [
      'included by name, however it is written',
      config({ gpu: { ...gpu, include: ['rtx-4090'] } }),
      gpus(['NVIDIA GeForce RTX 4090', 24_564]),
      1,
    ],
    ['not included', config({ gpu: { ...gpu, include: ['h100', 'a100'] } }), gpus(['NVIDIA GeForce RTX 4090', 24_564]), 0],
    ['excluded', config({ gpu: { ...gpu, exclude: ['4090'] } }), gpus(['NVIDIA GeForce RTX 4090', 24_564], ['NVIDIA H100', 81_559]), 1],
    ['memory for two', config({ memory_mb: 4_000 }), { ...CPU, memoryMb: 9_000 }, 2],
    ['too little memory of its own', config({ memory_mb: 4_000 }), { ...CPU, memoryMb: 3_999 }, 0],
    ['an agent that does not tell its memory', config({ memory_mb: 4_000 }), CPU, Infinity],
    ['disk enough', config({ disk_gb: 10 }), { ...CPU, diskFreeMb: 10_240 }, Infinity],
    ['too little disk', config({ disk_gb: 10 }), { ...CPU, diskFreeMb: 10_239 }, 0],
    ['an image needs a container runtime', config({ command: undefined, image: 'x', port: 80 } as never), CPU, 0],
  ])('%s', (_name, wanted, inventory, instances) => {
    expect(capacity(wanted, inventory)).toBe(instances);
  });
});

describe('claims', () => {
  test('every refusal has its code', () => {
    const world = new World();
    expect(world.claim('m1', 'a')).toMatchObject({ kind: 'refusal', code: 'unknown_chute' });
    world.deploy('a', { min: 1, max: 2 });
    expect(world.claim('m1', 'b')).toMatchObject({ code: 'stale_version' });
    expect(world.claim('m1', 'a', { ...CPU, runtimes: [] })).toMatchObject({ code: 'not_eligible' });
    expect(world.claim('m1', 'a')).toMatchObject({ kind: 'grant', instance: 'ins_4', deadlineMs: BOUNDS.grantMs });
    expect(world.claim('m2', 'a')).toMatchObject({ code: 'taken' });
    world.report('m1', 'ins_4', 'a', 'live');
    expect(world.claim('m2', 'a')).toMatchObject({ code: 'no_need' });
  });

  test('a claim whose answer was lost gets the same grant again', () => {
    const world = new World();
    world.deploy('a', { min: 2, max: 2 });
    expect(world.claim('m1', 'a')).toMatchObject({ instance: 'ins_1' });
    expect(world.claim('m1', 'a')).toMatchObject({ instance: 'ins_1' });
    world.report('m1', 'ins_1', 'a', 'starting');
    expect(world.claim('m1', 'a')).toMatchObject({ instance: 'ins_3' });
  });

  test('silence voids a grant, progress keeps it', () => {
    const world = new World();
    world.deploy('a', { min: 1, start_timeout: 100 });
    world.claim('m1', 'a');
    world.pass(BOUNDS.grantMs - 1);
    world.report('m1', 'ins_1', 'a', 'starting', 0, 'fetching 10 %');
    world.pass(99_000);
    world.report('m1', 'ins_1', 'a', 'starting', 0, 'fetching 90 %');
    world.pass(99_000);
    expect(world.states()).toEqual({ ins_1: 'starting' });
    world.pass(1_000);
    expect(world.states()).toEqual({});
    expect(world.take('stop')[0]).toMatchObject({ instance: 'ins_1', reason: 'start_timeout' });
    expect(world.report('m1', 'ins_1', 'a', 'live')).toEqual({ known: false });
    expect(world.core.describe(world.now)?.lastError).toMatchObject({ text: expect.stringContaining('fetching 90 %') });
  });

  test('an agent that takes grants and starts nothing has to wait, and progress told for ever ends too', () => {
    const world = new World();
    world.deploy('a', { min: 1, start_timeout: 3600 });
    world.claim('m1', 'a');
    world.pass(BOUNDS.grantMs);
    expect(world.claim('m1', 'a')).toMatchObject({ code: 'cooling_down' });
    const grant = world.claim('m2', 'a');
    if (grant.kind !== 'grant') throw new Error(grant.code);
    for (let k = 0; k < 8; k++) {
      world.report('m2', grant.instance, 'a', 'starting', 0, `${k}`);
      world.pass(BOUNDS.startMaxMs / 8);
    }
    expect(world.states()).toEqual({});
  });

  test('an instance nobody granted is not known, and neither is one told by another agent or as another version', () => {
    const world = new World();
    world.deploy('a', { min: 1 });
    const instance = world.live('m1', 'a');
    expect(world.report('m1', 'ins_x', 'a', 'live')).toEqual({ known: false });
    expect(world.report('m2', instance, 'a', 'live')).toEqual({ known: false });
    expect(world.report('m1', instance, 'b', 'live')).toEqual({ known: false });
    expect(world.report('m1', instance, 'a', 'live')).toEqual({ known: true, slots: 1, watched: false });
  });

  test('failed starts cool down longer each time, are called a crash loop, and are forgiven by a good run', () => {
    const world = new World();
    world.deploy('a', { min: 1 });
    const waits: number[] = [];
    for (let k = 0; k < 4; k++) {
      const grant = world.claim('m1', 'a');
      if (grant.kind !== 'grant') throw new Error(grant.code);
      world.report('m1', grant.instance, 'a', 'failed', 0, 'exit code 1');
      const refused = world.claim('m1', 'a');
      if (refused.kind !== 'refusal') throw new Error('granted');
      expect(refused.code).toBe('cooling_down');
      waits.push(refused.retryAfterMs);
      world.pass(refused.retryAfterMs);
    }
    expect(waits).toEqual([5_000, 10_000, 20_000, 40_000]);
    expect(world.take('note').map((note) => note.text.split(':')[0])).toEqual(['start failed', 'start failed', 'crash loop', 'crash loop']);
    expect(world.core.describe(world.now)?.lastError).toMatchObject({ count: 4, loop: true, text: 'exit code 1' });
    world.live('m1', 'a');
    world.pass(BOUNDS.earlyFailureMs);
    world.do(world.core.alarm(world.now));
    expect(world.core.describe(world.now)?.lastError).toBeNull();
  });

  test('another agent may try what one agent failed', () => {
    const world = new World();
    world.deploy('a', { min: 1 });
    world.claim('m1', 'a');
    world.report('m1', 'ins_1', 'a', 'failed');
    expect(world.claim('m2', 'a')).toMatchObject({ kind: 'grant' });
  });
});

describe('an agent whose socket is gone', () => {
  test('leaves the snapshot, and a report in time brings its instance back', () => {
    const world = new World();
    world.deploy('a', { min: 1 });
    const instance = world.live('m1', 'a');
    world.do(world.core.gone('m1', world.now));
    expect(world.core.snapshot(world.now)?.instances).toEqual([]);
    world.pass(BOUNDS.resumeMs - 1);
    expect(world.need).toBe(0);
    expect(world.report('m1', instance, 'a', 'live')).toMatchObject({ known: true });
    expect(world.core.snapshot(world.now)?.instances).toMatchObject([{ instance, state: 'live' }]);
  });

  test('is replaced after the resume time and forgotten after the grace', () => {
    const world = new World();
    world.deploy('a', { min: 1 });
    const instance = world.live('m1', 'a');
    world.do(world.core.gone('m1', world.now));
    world.pass(BOUNDS.resumeMs);
    expect(world.need).toBe(1);
    world.pass(BOUNDS.graceMs);
    expect(world.states()).toEqual({});
    expect(world.report('m1', instance, 'a', 'live')).toEqual({ known: false });
  });
});

test('an agent that missed the word to stop, being away, is told again when it is back', () => {
  const world = new World();
  world.deploy('a', { min: 1, timeout: 100 });
  const instance = world.live('m1', 'a');
  world.deploy('b', { min: 1, timeout: 100 });
  world.live('m2', 'b');
  expect(world.take('stop')).toMatchObject([{ instance, reason: 'replaced', noticeMs: 100_000 }]);
  world.do(world.core.stopTold(instance, true, world.now));
  world.do(world.core.gone('m1', world.now));
  world.pass(40_000);
  expect(world.report('m1', instance, 'a', 'live')).toMatchObject({ known: true });
  expect(world.take('stop')).toMatchObject([{ instance, reason: 'replaced', noticeMs: 60_000 }]);
  expect(world.states()).toMatchObject({ [instance]: 'draining' });
});

test('a stop is repeated until the Miner object took it, and not for ever', () => {
  const world = new World();
  world.deploy('a', { min: 1 });
  world.live('m1', 'a');
  world.do(world.core.remove(world.now));
  world.pass(3_600_000);
  expect(world.take('stop')).toHaveLength(BOUNDS.stopTries);
  expect([...world.rows.keys()]).toEqual([]);

  const told = new World();
  told.deploy('a', { min: 1 });
  const instance = told.live('m1', 'a');
  told.do(told.core.remove(told.now));
  told.do(told.core.stopTold(instance, true, told.now));
  told.pass(3_600_000);
  expect(told.take('stop')).toHaveLength(1);
});

test('a chute that was never deployed writes nothing and wants nothing', () => {
  const world = new World();
  world.claim('m1', 'a');
  world.report('m1', 'ins_1', 'a', 'live');
  world.enqueue('c1');
  world.do(world.core.load('m1', [{ instance: 'ins_1', busy: 1 }], world.now));
  world.do(world.core.freed('m1', 'ins_1', world.now));
  world.do(world.core.gone('m1', world.now));
  world.do(world.core.leave('c1', world.now));
  expect(world.core.snapshot(world.now)).toBeNull();
  expect(world.rows.size).toBe(0);
  expect(world.alarmAt).toBeNull();
});
