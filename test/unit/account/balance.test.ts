/** The two sides of a balance, read one after the other. */
import { expect, test } from 'vitest';
import { balanceOf } from '../../../functions/account/balance.ts';

const lease = { epoch: 1, cash: 60n, promo: 0n, cashSpent: 10n, promoSpent: 0n, held: 5n };
const money = { free: 45n, held: 5n, unbilled: 10n, left: null, outbox: { size: 0, oldestAt: null }, leases: [lease] };
const purse = (posted: bigint, held: bigint) => ({ posted, held });

test('a lease that both know: what is spent and held of it is not available', () => {
  const leases = [{ epoch: 1, cash: 60n, promo: 0n, cashSpent: 0n, promoSpent: 0n }];
  const balance = balanceOf(money, { cash: purse(100n, 60n), promo: purse(0n, 0n), leases });
  expect(balance).toEqual({ cash: 90n, promo: 0n, held: 5n, unbilled: 10n, available: 85n });
});

test('a lease that was taken since Postgres was asked: what is held of it is not available', () => {
  const fresh = { ...money, unbilled: 0n, leases: [{ ...lease, cashSpent: 0n }] };
  const balance = balanceOf(fresh, { cash: purse(100n, 0n), promo: purse(0n, 0n), leases: [] });
  expect(balance).toMatchObject({ cash: 100n, held: 5n, available: 95n });
});
