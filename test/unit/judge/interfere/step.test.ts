/** Both steps of a trial, between which a judge remembers nothing but what it told. */
import { beforeEach, expect, test } from 'vitest';
import type { StoredObservation } from '#protocol/audit.ts';
import { isFlash, MAINNET } from '#protocol/challenge/index.ts';
import { interfere, trialsOf } from '../../../../validator-cron/interfere/step.ts';
import { World } from './made.ts';

let world: World;
beforeEach(() => {
  world = new World();
});

/** A tick of a judge that has just been started. */
async function tick() {
  const bench = world.bench();
  const trials = await trialsOf(bench, world.moment, world.agents, await world.beacon());
  return interfere(bench, world.moment, trials, world);
}
/** The load of a slot, and what is made of it two minutes later; `tick` in the next slot draws nobody. */
async function trial(): Promise<StoredObservation | undefined> {
  await tick();
  return decision();
}
async function decision(after = 120_000): Promise<StoredObservation | undefined> {
  world.time += after;
  const { agents } = world;
  world.agents = [];
  await tick();
  world.agents = agents;
  return [...world.kept.values()].find((o) => o.type === 'interfere' && o.round === world.slot);
}

test('a load is told as it was measured, then what it shows', async () => {
  const [load] = await tick();
  expect(load).toMatchObject({ type: 'load', reason: 'loaded', ok: false, instance: 'ins_1', round: world.slot, value_ms: 20_000 });
  expect(load?.compared).toMatchObject({
    step: 250,
    tokens: expect.objectContaining({ length: 80 }),
    proofs: [expect.stringMatching(/^chl_/)],
  });
  expect(world.cut).toBe(4);

  expect(await decision()).toMatchObject({
    reason: 'interferes',
    ok: true,
    epoch: load?.epoch,
    compared: { end: 'together', device: 'agt_1/gpu0', idle: 100, loaded: 60 },
  });
  expect(world.kept.size).toBe(2);
});

test('ticks that run again change nothing', async () => {
  await trial();
  const before = new Map(world.kept);
  expect(await decision(1_000)).toEqual([...before.values()].find((o) => o.type === 'interfere'));
  expect(world.kept).toEqual(before);
});

test('answers from elsewhere: seen apart, tried again soon, and a fault when it is so two times of three', async () => {
  world.pace = { before: 5, during: 5 };
  world.loaded = 100;
  expect(await trial()).toMatchObject({ reason: 'unconfirmed', ok: false, compared: { end: 'apart' } });
  const first = world.slot;
  await world.toNext();
  expect(world.slot - first).toBeLessThan(7_200);
  expect(await trial()).toMatchObject({ reason: 'apart', ok: false });
  await world.toNext();
  await tick();
  expect([...world.kept.values()].filter((o) => o.type === 'load')).toHaveLength(2);
});

test('who is seen apart once and not again is cleared', async () => {
  const ends = [];
  for (const loaded of [100, 60, 60]) {
    world.loaded = loaded;
    ends.push((await trial())?.reason);
    await world.toNext();
  }
  expect(ends).toEqual(['unconfirmed', 'unconfirmed', 'interferes']);
});

test.for<{ what: string; of: (world: World) => void }>([
  { what: 'an instance that does not answer', of: (w) => (w.pace = null) },
  { what: 'a device with two proofs', of: (w) => (w.idle = [100, 100]) },
])('nothing is said of $what', async ({ of }) => {
  of(world);
  expect(await trial()).toMatchObject({ reason: 'unmeasured', ok: false, compared: { end: 'unmeasured', device: null } });
  expect(world.calls).toBeLessThan(1_000);
});

test('an instance that answers with errors is not pressed', async () => {
  world.pace = null;
  await tick();
  expect(world.calls).toBe(4);
});

test('answers of one word are asked for a bounded number of times', async () => {
  world.pace = { before: 0, during: 0 };
  await tick();
  expect(world.calls).toBe(4 * 32);
});

test('work that is not judged is waited for, then not measured; and what comes too late is dropped', async () => {
  world.loaded = null;
  await tick();
  expect(await decision(60_000)).toBeUndefined();
  expect(await decision(240_001)).toMatchObject({ reason: 'unmeasured' });

  world.kept.forEach((o, id) => o.type === 'interfere' && world.kept.delete(id));
  world.loaded = 60;
  expect(await decision(400_000)).toBeUndefined();
});

test.for<{ what: string; of: (world: World) => void }>([
  { what: 'no device that could work', of: (w) => (w.targets = []) },
  { what: 'a device that came today', of: (w) => (w.targets = w.targets.map((t) => ({ ...t, since: w.slot - 3_600 }))) },
  { what: 'work that the edge refuses', of: (w) => (w.state = 'refused budget') },
])('no load on an instance with $what', async ({ of }) => {
  of(world);
  expect(await tick()).toEqual([]);
  expect(world.calls).toBe(0);
});

test('no trial in a flash: it is what devices are paid by', async () => {
  world.randomness = Array.from({ length: 10_000 }, (_, at) => String(at)).find((of) => isFlash(MAINNET, of)) ?? null;
  expect(await tick()).toEqual([]);
  expect(world.calls).toBe(0);
});
