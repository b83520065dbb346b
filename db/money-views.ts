/** What people see of their money and use. Reads only. */
import { and, desc, eq, gte, inArray, lt, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { below, type PageEnd } from './pages.ts';
import { rowsOf } from './rows.ts';
import { calls, purses, usage } from './schema.ts';

/** Nano-USD of one purse: all there is, and what of it leases hold. */
export interface PurseView {
  posted: bigint;
  held: bigint;
}

/** An account's purses; one that never had anything holds nothing. */
export async function findPurses(db: Database, accountId: string): Promise<{ cash: PurseView; promo: PurseView }> {
  const [cash, promo] = [`cash/${accountId}`, `promo/${accountId}`];
  const rows = await db
    .select({ id: purses.id, posted: purses.posted, held: purses.held })
    .from(purses)
    .where(inArray(purses.id, [cash, promo]));
  const purse = (id: string): PurseView => {
    const row = rows.find((r) => r.id === id);
    return { posted: row?.posted ?? 0n, held: row?.held ?? 0n };
  };
  return { cash: purse(cash), promo: purse(promo) };
}

/** A lease that is not closed, as Postgres has it; nano-USD. */
export interface LeaseView {
  epoch: number;
  cash: bigint;
  promo: bigint;
  cashSpent: bigint;
  promoSpent: bigint;
}

export interface Funds {
  cash: PurseView;
  promo: PurseView;
  leases: LeaseView[];
}

/** Purses and leases of an account as they are at one moment. */
export async function findFunds(db: Database, accountId: string): Promise<Funds> {
  const result = await db.execute(sql`
    select 'purse' as what, kind, 0 as epoch, posted::text as a, held::text as b, '0' as c, '0' as d from purses
      where id in (${`cash/${accountId}`}, ${`promo/${accountId}`})
    union all
    select 'lease', '', epoch, cash_amount::text, promo_amount::text, cash_spent::text, promo_spent::text from leases
      where account_id = ${accountId} and state <> 'closed'`);
  const rows = rowsOf(result) as Record<string, string | number>[];
  const amount = (row: Record<string, string | number> | undefined, field: string): bigint => BigInt(row?.[field] ?? 0);
  const purse = (kind: string): PurseView => {
    const row = rows.find((r) => r['what'] === 'purse' && r['kind'] === kind);
    return { posted: amount(row, 'a'), held: amount(row, 'b') };
  };
  const leases = rows
    .filter((row) => row['what'] === 'lease')
    .map((row): LeaseView => ({
      epoch: Number(row['epoch']),
      cash: amount(row, 'a'),
      promo: amount(row, 'b'),
      cashSpent: amount(row, 'c'),
      promoSpent: amount(row, 'd'),
    }));
  return { cash: purse('cash'), promo: purse('promo'), leases };
}

export type UsageBy = 'chute' | 'key' | 'day';

/** What closed calls came to. Seconds and tokens are those of all their attempts. */
export interface UsageSum {
  /** Chute or key id, or a day of UTC as `2026-01-31`; null: all of them together. */
  bucket: string | null;
  /** Of the chute or key, as far as it is known. */
  name: string;
  calls: number;
  /** Calls that failed. */
  errors: number;
  tokensIn: number;
  cachedIn: number;
  tokensOut: number;
  ms: number;
  /** Rents included. */
  costNanousd: bigint;
}

const BUCKETS = {
  chute: sql`chute_id`,
  key: sql`key_id`,
  day: sql`to_char(closed_at at time zone 'UTC', 'YYYY-MM-DD')`,
};

/** By when calls closed, `from` inclusive, `to` exclusive: the total first, then the `most` that cost most. */
export async function sumUsage(
  db: Database,
  ask: { accountId: string; by: UsageBy; from: Date; to: Date; most: number },
): Promise<UsageSum[]> {
  const result = await db.execute(sql`
    with spent as (
      select call_id, ${BUCKETS[ask.by]} as bucket, kind, state, cost_nanousd from calls
      where account_id = ${ask.accountId} and closed_at >= ${ask.from.toISOString()}::timestamptz and closed_at < ${ask.to.toISOString()}::timestamptz
    ), costs as (
      select bucket, count(*) filter (where kind = 'call') as calls, count(*) filter (where kind = 'call' and state = 'failed') as errors,
        sum(cost_nanousd) as cost
      from spent group by grouping sets ((bucket), ())
    ), uses as (
      select bucket, sum(tokens_in) as tokens_in, sum(cached_in) as cached_in, sum(tokens_out) as tokens_out, sum(last_byte_ms) as ms
      from spent join usage using (call_id) group by grouping sets ((bucket), ())
    )
    select c.bucket, coalesce(ch.name, k.name, '') as name, c.calls, c.errors, coalesce(u.tokens_in, 0) as tokens_in,
      coalesce(u.cached_in, 0) as cached_in, coalesce(u.tokens_out, 0) as tokens_out, coalesce(u.ms, 0) as ms, coalesce(c.cost, 0)::text as cost
    from costs c left join uses u on u.bucket is not distinct from c.bucket
      left join chutes ch on ch.id = c.bucket left join keys k on k.id = c.bucket
    order by c.bucket is null desc, c.cost desc, c.bucket limit ${ask.most + 1}`);
  return rowsOf(result).map((row) => ({
    bucket: row['bucket'] as string | null,
    name: String(row['name']),
    calls: Number(row['calls']),
    errors: Number(row['errors']),
    tokensIn: Number(row['tokens_in']),
    cachedIn: Number(row['cached_in']),
    tokensOut: Number(row['tokens_out']),
    ms: Number(row['ms']),
    costNanousd: BigInt(String(row['cost'])),
  }));
}

type CallColumns = typeof calls.$inferSelect;
type UsageColumns = typeof usage.$inferSelect;

/** A closed call as it is on record. */
export type RecordedCall = CallColumns & { tries: UsageColumns[] };

/** Null for a call of another account, as for one that is not on record. `callId` must be a UUID. */
export async function findRecordedCall(db: Database, accountId: string, callId: string): Promise<RecordedCall | null> {
  const rows = await db
    .select()
    .from(calls)
    .where(and(eq(calls.callId, callId), eq(calls.accountId, accountId)));
  return (await withTries(db, rows))[0] ?? null;
}

/** By when they closed, the newest first; with `from` and `to`, those that closed between. */
export async function listRecordedCalls(
  db: Database,
  ask: { accountId: string; from?: Date; to?: Date; before: PageEnd | null; limit: number },
): Promise<RecordedCall[]> {
  const rows = await db
    .select()
    .from(calls)
    .where(
      and(
        eq(calls.accountId, ask.accountId),
        ask.from === undefined ? undefined : gte(calls.closedAt, ask.from),
        ask.to === undefined ? undefined : lt(calls.closedAt, ask.to),
        below(ask.before, calls.closedAt, calls.callId),
      ),
    )
    .orderBy(desc(calls.closedAt), desc(calls.callId))
    .limit(ask.limit);
  return withTries(db, rows);
}

async function withTries(db: Database, rows: CallColumns[]): Promise<RecordedCall[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.callId);
  const tries = await db.select().from(usage).where(inArray(usage.callId, ids)).orderBy(usage.attempt);
  const byCall = Map.groupBy(tries, (row) => row.callId);
  return rows.map((row) => ({ ...row, tries: byCall.get(row.callId) ?? [] }));
}
