/** Prices of chutes, and of accounts that have their own. A price is never changed: a later one takes its place. */
import { and, desc, eq, gt, isNull, or, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { prices } from './schema.ts';

export interface PriceRecord {
  id: string;
  /** An override may be for all chutes: `*`. */
  chuteId: string;
  price: unknown;
  feeBps: number;
  discountBps: number;
  startsAt: Date;
  endsAt: Date | null;
  note: string;
  createdAt: Date;
}

/** Only for this account. A `price` of null leaves the chute's own, with this discount. */
export interface OverrideRecord extends PriceRecord {
  accountId: string;
}

/** Records a price. The same id again is harmless. */
export async function insertPrice(db: Database, price: PriceRecord | OverrideRecord): Promise<void> {
  await db
    .insert(prices)
    .values({ ...price, price: price.price ?? {} })
    .onConflictDoNothing();
}

/** What a chute asks at `now` and after it: the regular price in force, and whatever starts after that and has not ended. */
export async function currentPrices(db: Database, chuteId: string, now: Date): Promise<PriceRecord[]> {
  const at = now.toISOString();
  const base = sql`(select max(starts_at) from prices where chute_id = ${chuteId} and account_id is null and ends_at is null
    and starts_at <= ${at}::timestamptz)`;
  return db
    .select(columns)
    .from(prices)
    .where(
      and(
        eq(prices.chuteId, chuteId),
        isNull(prices.accountId),
        or(isNull(prices.endsAt), gt(prices.endsAt, now)),
        sql`${prices.startsAt} >= coalesce(${base}, '-infinity')`,
      ),
    )
    .orderBy(prices.startsAt, prices.createdAt, prices.id);
}

/** A chute's whole history, the last to start first; `after` the id of the last one seen. */
export async function priceHistory(db: Database, chuteId: string, limit: number, after: string | null = null): Promise<PriceRecord[]> {
  const last = sql`(select starts_at, id from prices where id = ${after} and chute_id = ${chuteId})`;
  return db
    .select(columns)
    .from(prices)
    .where(
      and(
        eq(prices.chuteId, chuteId),
        isNull(prices.accountId),
        after === null ? undefined : sql`(${prices.startsAt}, ${prices.id}) < ${last}`,
      ),
    )
    .orderBy(desc(prices.startsAt), desc(prices.id))
    .limit(limit);
}

/** An account's own prices that have not ended, in the order they were made. */
export async function overridesOf(db: Database, accountId: string, now: Date): Promise<OverrideRecord[]> {
  const rows = await db
    .select({ ...columns, accountId: prices.accountId })
    .from(prices)
    .where(and(eq(prices.accountId, accountId), or(isNull(prices.endsAt), gt(prices.endsAt, now))))
    .orderBy(prices.createdAt, prices.id);
  return rows.map((row) => ({ ...row, accountId, price: isEmpty(row.price) ? null : row.price }));
}

const columns = {
  id: prices.id,
  chuteId: prices.chuteId,
  price: prices.price,
  feeBps: prices.feeBps,
  discountBps: prices.discountBps,
  startsAt: prices.startsAt,
  endsAt: prices.endsAt,
  note: prices.note,
  createdAt: prices.createdAt,
};

function isEmpty(price: unknown): boolean {
  return typeof price === 'object' && price !== null && Object.keys(price).length === 0;
}
