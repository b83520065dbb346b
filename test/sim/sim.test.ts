import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listed, runSeeds, type BatchResult } from './batch.ts';
import { EVENTS } from './events.ts';
import { FAULTS } from './faults.ts';
import { simulate } from './planted/plant.ts';

const RUNS = 1_200;
const ROOT = join(import.meta.dirname, '../..');

test(`${RUNS} runs hold every invariant`, { timeout: 600_000 }, async () => {
  const halves = await Promise.all([simulate(ROOT, 1, RUNS / 2), simulate(ROOT, 1 + RUNS / 2, RUNS / 2)]);
  for (const { failure } of halves)
    if (failure !== null) throw new Error(`seed ${failure.seed}: ${failure.message}\n${failure.last.join('\n')}`);
  const faults = added(halves, 'faults');
  const events = added(halves, 'events');
  console.log(`FAULTS\n${listed(faults)}\n\nEVENTS\n${listed(events)}`);
  expect(FAULTS.filter((kind) => faults[kind] === undefined)).toEqual([]);
  expect(EVENTS.filter((kind) => events[kind] === undefined)).toEqual([]);
  for (const half of halves) {
    expect(half.leastCalls).toBeGreaterThanOrEqual(5);
    expect(half.leastFaults).toBeGreaterThanOrEqual(10);
  }
});

test('the same seeds make the same traces, here and in another process', async () => {
  const [once, again, elsewhere] = [await runSeeds(1, 20), await runSeeds(1, 20), await simulate(ROOT, 1, 20)];
  expect(again.hash).toBe(once.hash);
  expect(elsewhere.hash).toBe(once.hash);
  expect((await runSeeds(2, 20)).hash).not.toBe(once.hash);
});

function added(results: BatchResult[], what: 'faults' | 'events'): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const result of results) for (const [kind, count] of Object.entries(result[what])) sum[kind] = (sum[kind] ?? 0) + count;
  return sum;
}
