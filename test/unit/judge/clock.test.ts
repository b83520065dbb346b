import { expect, test } from 'vitest';
import { momentAt } from '../../../validator-cron/clock.ts';

test.for([
  { at: 0, slot: 60, seconds: 3600, round: 0, epoch: 0 },
  { at: 3_599_999, slot: 60, seconds: 3600, round: 3540, epoch: 0 },
  { at: 3_600_000, slot: 60, seconds: 3600, round: 3600, epoch: 3600 },
  { at: 1_795_000_061_234, slot: 10, seconds: 60, round: 1_795_000_060, epoch: 1_795_000_020 },
])('$at ms with slots of $slot s and epochs of $seconds s is in slot $round of epoch $epoch', ({ at, slot, seconds, round, epoch }) => {
  expect(momentAt(at, slot, seconds)).toEqual({ round, epoch });
});
