/**
 * What an account has, from two sides: Postgres knows purses and what leases took, the Account object knows what of its
 * lease is spent and held. Together they are exact, whatever flush or move is under way between them. Pure.
 */
import type { Funds } from '#db';
import type { Money } from './core.ts';

/** Nano-USD. */
export interface Balance {
  /** Not spent; what is held is part of it. */
  cash: bigint;
  promo: bigint;
  held: bigint;
  /** Spent by closed calls that Postgres does not have yet. */
  unbilled: bigint;
  /** What the next call may cost. */
  available: bigint;
}

/** `funds` were read shortly before `money`. */
export function balanceOf(money: Money, funds: Funds): Balance {
  let cash = funds.cash.posted;
  let promo = funds.promo.posted;
  let available = cash - funds.cash.held + promo - funds.promo.held;
  const newest = money.leases.at(-1);
  for (const lease of funds.leases) {
    const own = money.leases.find((one) => one.epoch === lease.epoch);
    if (own === undefined) continue;
    cash -= own.cashSpent - lease.cashSpent;
    promo -= own.promoSpent - lease.promoSpent;
    if (lease.epoch === newest?.epoch) available += lease.cash + lease.promo - own.cashSpent - own.promoSpent - own.held;
  }
  // Taken since Postgres was asked: its purses have it still, but what is held of it is not there to spend.
  if (newest !== undefined && !funds.leases.some(({ epoch }) => epoch === newest.epoch)) available -= newest.held;
  return { cash, promo, held: money.held, unbilled: money.unbilled, available: available > 0n ? available : 0n };
}

/** While Postgres is away: by its last answer to a move of the lease. Null: there was none. */
export function lastKnown(money: Money): (Balance & { at: number }) | null {
  const own = money.leases.at(-1);
  const { left } = money;
  if (left === null || own === undefined) return null;
  const cash = left.cash + own.cash - own.cashSpent;
  const promo = left.promo + own.promo - own.promoSpent;
  return { cash, promo, held: money.held, unbilled: money.unbilled, available: left.cash + left.promo + money.free, at: left.at };
}
