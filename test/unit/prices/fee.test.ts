import { expect, test } from 'vitest';
import { feeBpsOf } from '../../../functions/prices/fee.ts';

test.each([
  [undefined, 1500],
  ['0', 0],
  ['250', 250],
  ['10000', 10_000],
])('a fee of %s is %d ten-thousandths', (fee, bps) => {
  expect(feeBpsOf(fee)).toBe(bps);
});

test.each(['', '-1', '10001', '15.5', '1e3', '15%', ' 1500'])('%j is no fee', (fee) => {
  expect(feeBpsOf(fee)).toBeNull();
});
