/** Credit that Account objects take from Postgres, and what an operator does when one of them is gone. */
import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { answerOf } from './rows.ts';

/** What an Account object asks for. It keeps this before sending, and repeats the same until it is answered. */
export interface LeaseAsk {
  accountId: string;
  /** One higher opens a new lease; the older one's credit stays held. */
  epoch: number;
  /** Numbers the moves of a lease from 1. */
  n: number;
  /** Above 0: take so much, or what there is, promo first. Below: give back `cash` and `promo`. 0: say what is there. */
  want: bigint;
  cash: bigint;
  promo: bigint;
}

export interface LeaseAnswer {
  /** `stale`: nothing was moved; `epoch` and `n` are those of the newest lease (0: there is none). */
  kind: 'ok' | 'stale';
  epoch: number;
  n: number;
  /** What the lease has had in all, spent or not. */
  cashAmount: bigint;
  promoAmount: bigint;
  /** What the account has left outside of its leases. */
  cashAvailable: bigint;
  promoAvailable: bigint;
}

/** Moves credit into or out of a lease. The same ask again changes nothing and gets the state as it is. */
export async function moveLease(db: Database, ask: LeaseAsk): Promise<LeaseAnswer> {
  const { accountId, epoch, n, cash, promo, want } = ask;
  const result = await db.execute(sql`select lease_move(${accountId}, ${epoch}::int, ${n}::int, ${String(cash)}::bigint,
    ${String(promo)}::bigint, ${String(want)}::bigint)`);
  const row = answerOf(result) as Record<string, string | number>;
  return {
    kind: row['kind'] === 'ok' ? 'ok' : 'stale',
    epoch: Number(row['epoch']),
    n: Number(row['n']),
    cashAmount: BigInt(row['cash_amount'] ?? 0),
    promoAmount: BigInt(row['promo_amount'] ?? 0),
    cashAvailable: BigInt(row['cash_available'] ?? 0),
    promoAvailable: BigInt(row['promo_available'] ?? 0),
  };
}

/**
 * Takes back the unspent credit of a lease whose object is gone; calls of it that come later are refused. Closing it again
 * releases nothing more. `isUnknown` when there is no such lease.
 */
export async function fenceLease(db: Database, accountId: string, epoch: number): Promise<{ cash: bigint; promo: bigint }> {
  const result = await db.execute(sql`select fence_lease(${accountId}, ${epoch}::int)`);
  const row = answerOf(result) as Record<string, string>;
  return { cash: BigInt(row['cash'] ?? 0), promo: BigInt(row['promo'] ?? 0) };
}
