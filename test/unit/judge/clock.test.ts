import { expect, test } from 'vitest';
import { epochsToScore, momentAt } from '../../../validator-cron/clock.ts';

test.for([
  { at: 0, seconds: 3600, round: 0, epoch: 0 },
  { at: 3_599_999, seconds: 3600, round: 59, epoch: 0 },
  { at: 3_600_000, seconds: 3600, round: 60, epoch: 3600 },
  { at: 1_795_000_061_234, seconds: 60, round: 29_916_667, epoch: 1_795_000_020 },
])('$at ms with epochs of $seconds s is round $round of epoch $epoch', ({ at, seconds, round, epoch }) => {
  expect(momentAt(at, seconds)).toEqual({ round, epoch });
});

test('an epoch is scored again in the first rounds of the next', () => {
  expect(epochsToScore({ round: 60, epoch: 3600 }, 3600)).toEqual([0, 3600]);
  expect(epochsToScore({ round: 62, epoch: 3600 }, 3600)).toEqual([0, 3600]);
  expect(epochsToScore({ round: 63, epoch: 3600 }, 3600)).toEqual([3600]);
});
