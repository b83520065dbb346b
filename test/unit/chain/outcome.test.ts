/** Every code of the chain's pool and dry run: what it is called, and what follows. */
import { expect, test } from 'vitest';
import { outcomeOfDryRun, outcomeOfPool } from '../../../validator-cron/chain/outcome.ts';

const custom = [
  [0, 'chain_error', 'refuse'],
  [1, 'stake_too_low', 'refuse'],
  [3, 'no_subnet', 'refuse'],
  [4, 'no_account', 'refuse'],
  [6, 'rate_limited', 'wait'],
  [10, 'not_registered', 'refuse'],
  [15, 'round_passed', 'wait'],
  [16, 'commit_not_found', 'refuse'],
  [17, 'not_in_reveal_range', 'wait'],
  [18, 'lengths_unequal', 'refuse'],
  [19, 'not_registered', 'refuse'],
  [99, 'chain_error', 'refuse'],
  [255, 'bad_request', 'refuse'],
] as const;

test.each(custom)('Custom error: %i is %s', (code, word, next) => {
  expect(outcomeOfPool({ code: 1010, data: `Custom error: ${code}` })).toMatchObject({ word, next });
  expect(outcomeOfDryRun(Uint8Array.of(1, 0, 7, code))).toMatchObject({ word, next });
});

test.each([
  [1010, 'Transaction is outdated', 'outdated', 'wait'],
  [1010, 'Transaction has a bad signature', 'bad_signature', 'refuse'],
  [1010, 'Transaction has an ancient birth block', 'era_over', 'wait'],
  [1010, 'Inability to pay some fees (e.g. account balance too low)', 'cannot_pay', 'refuse'],
  [1010, 'Transaction will be valid in the future', 'future', 'wait'],
  [1010, 'Transaction would exhaust the resources of current block', 'block_full', 'wait'],
  [1010, '', 'invalid', 'refuse'],
  [1011, '', 'cannot_validate', 'wait'],
  [1012, '', 'banned', 'wait'],
  [1013, '0x12', 'already_there', 'known'],
  [1014, '', 'low_priority', 'wait'],
  [1015, '', 'cycle', 'wait'],
  [1016, '', 'dropped', 'wait'],
  [-32_601, 'Method not found', 'node_refused', 'wait'],
])('%i %s is %s', (code, data, word, next) => {
  expect(outcomeOfPool({ code, data })).toMatchObject({ word, next });
});

test.each([
  [[0, 0], null, null],
  [[1, 0, 0], 'call_refused', 'refuse'],
  [[1, 0, 1], 'cannot_pay', 'refuse'],
  [[1, 0, 2], 'future', 'wait'],
  [[1, 0, 3], 'outdated', 'wait'],
  [[1, 0, 4], 'bad_signature', 'refuse'],
  [[1, 0, 5], 'era_over', 'wait'],
  [[1, 0, 6], 'block_full', 'wait'],
  [[1, 0, 8], 'mandatory', 'refuse'],
  [[1, 0, 9], 'mandatory', 'refuse'],
  [[1, 0, 10], 'bad_signer', 'refuse'],
  [[1, 0, 11], 'invalid', 'refuse'],
  [[1, 1, 0], 'cannot_validate', 'wait'],
] as const)('a dry run of %j is %s', (bytes, word, next) => {
  const outcome = outcomeOfDryRun(Uint8Array.from(bytes));
  if (word === null) expect(outcome).toBeNull();
  else expect(outcome).toMatchObject({ word, next });
});

test.each([[[]], [[2]], [[1]], [[1, 0]], [[1, 0, 7]]])('a dry run of %j is no answer', (bytes) => {
  expect(() => outcomeOfDryRun(Uint8Array.from(bytes))).toThrow(/dry run/);
});
