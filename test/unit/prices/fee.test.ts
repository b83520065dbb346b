import { expect, test } from 'vitest';
import { checkEnv, feeBps, type Env } from '../../../functions/env.ts';

const env = (fee?: string): Env =>
  ({
    EDGE_SECRET: 'ab'.repeat(32),
    PUBLIC_ORIGIN: 'https://edge.test',
    HOST_SUFFIX: 'edge.test',
    DATABASE_URL: 'postgres://x',
    ...(fee === undefined ? {} : { FEE_BPS: fee }),
  }) as Env;

test.each([
  [undefined, 1500],
  ['0', 0],
  ['250', 250],
  ['10000', 10_000],
])('a fee of %s is %d ten-thousandths', (fee, bps) => {
  checkEnv(env(fee));
  expect(feeBps(env(fee))).toBe(bps);
});

test.each(['', '-1', '10001', '15.5', '1e3', '15%', ' 1500'])('%j is no fee', (fee) => {
  expect(() => checkEnv(env(fee))).toThrow('FEE_BPS');
});
