/** A part of the grid that `npm run test:long -- --only economy` walks whole; and that the grid sees what pays. */
import { expect, test } from 'vitest';
import { SCORING } from '../../validator-cron/score/parameters.ts';
import { economy } from './run.ts';
import { gains, points } from './tricks.ts';

const STRIDE = 19;

test('self-dealing, splitting, merging, cherry-picking and names without GPUs never pay', () => {
  const { points: walked, pays, best } = economy(STRIDE);
  expect(pays).toEqual([]);
  expect(walked).toBeGreaterThanOrEqual([...points(1)].length / 20);
  console.log(JSON.stringify({ walked, best }));
});

test('a table that pays more for use than the fee on it would be found out', () => {
  const point = { fee: 150, usePay: 250, capacity: 0, worth: 1_000, gpus: 1, spend: 1_000, share: 1_000, coldkeys: 1, dropped: 10 };
  expect(gains(point)['selfDealing']).toBeGreaterThan(50);
  expect(gains({ ...point, usePay: SCORING.mainnet.usePay })['selfDealing']).toBeLessThanOrEqual(0);
});
