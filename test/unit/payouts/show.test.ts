/** Dollars, tables and what a terminal is spared. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressText, earningsText, payoutsText, readUsd, usd } from '../../../miner-agent/money/show.ts';

test.each([
  ['0', '$0.00'],
  ['1', '$0.000000001'],
  ['10000000', '$0.01'],
  ['1500000000', '$1.50'],
  ['123456789012', '$123.456789012'],
  ['-2000000000', '-$2.00'],
  ['9223372036854775807', '$9223372036.854775807'],
])('%s nano-USD are %s', (nanousd, text) => {
  expect(usd(nanousd)).toBe(text);
});

test('an amount that is shown can be typed', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 10n ** 18n - 1n }), (nanousd) => {
      expect(readUsd(usd(nanousd))).toBe(nanousd);
    }),
  );
});

test.each(['', '0', '0.00', '-1', '1e3', '1.0000000001', '12,50', 'all', '1.', '.5', '9999999999'])('%j is no amount', (text) => {
  expect(readUsd(text)).toBeNull();
});

test('earnings, with chutes', () => {
  const chutes = [
    { chute_id: 'cht_1', name: 'demo/chat', attempts: 12, share_nanousd: '2500000000' },
    { chute_id: 'cht_2', name: null, attempts: 1, share_nanousd: '1' },
  ];
  const sums = { pending_nanousd: '5', payable_nanousd: '2500000000', in_flight_nanousd: '0', paid_nanousd: '0' };
  expect(earningsText({ ...sums, next_matures_at: '2026-11-25T15:00:00.000Z', days: 30, chutes })).toBe(
    [
      'PENDING    $0.000000005  next payable 2026-11-25 15:00:00Z',
      'PAYABLE    $2.50',
      'IN FLIGHT  $0.00',
      'PAID       $0.00',
      '',
      'CHUTE (30 DAYS)  ATTEMPTS  EARNED',
      'demo/chat        12        $2.50',
      'cht_2            1         $0.000000001',
    ].join('\n'),
  );
  expect(earningsText({ ...sums, next_matures_at: null, days: 30, chutes: [] })).not.toContain('CHUTE');
  const emission = { last_rao: '1500000000', total_rao: '12345678901', epochs: 9 };
  expect(earningsText({ ...sums, next_matures_at: null, days: 30, chutes: [], emission })).toMatch(
    /\nEMISSION +12\.345678901 α +1\.50 α in its newest epoch, 9 epochs seen$/,
  );
});

test('payouts and addresses, without control characters', () => {
  expect(payoutsText([])).toContain('No payouts');
  const payout = {
    payout_id: 'p',
    state: 'failed',
    kind: 'operator',
    address: 'by \u001b[2Jmail',
    amount_nanousd: '1000000000',
    rao: '250000000',
    extrinsic: null,
    reason: 'account closed',
    requested_at: '2026-11-22T10:00:00.123Z',
  };
  expect(payoutsText([payout]).split('\n')[1]).toBe('2026-11-22 10:00:00Z  failed  $1.00   0.25  by ?[2Jmail  account closed');
  const active = { kind: 'tao', address: '5A', active_at: '2026-11-22T10:00:00.000Z' };
  expect(addressText({ hotkey: '5H', active: null, waiting: null })).toContain('No payout address');
  expect(addressText({ hotkey: '5H', active, waiting: { ...active, address: '5B', active_at: '2026-11-25T10:00:00.000Z' } })).toBe(
    'Paid to tao 5A\nThen to tao 5B from 2026-11-25 10:00:00Z on',
  );
});
