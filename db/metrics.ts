/** What a chute's calls were like lately, and whether the edge's books and outboxes are in order. Reads only. */
import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';

export type MetricsBy = 'total' | 'version' | 'miner' | 'region';

/** Of one version, miner or region, or of all. Milliseconds are null where nothing was measured. */
export interface MetricsRow {
  /** The version, hotkey or region; empty: all. */
  name: string;
  /** Of a miner or a region: attempts. */
  calls: number;
  failed: number;
  cancelled: number;
  /** Failed ones by code. */
  errors: Record<string, number>;
  /** Attempts beyond the first of a call. */
  retries: number;
  coldStarts: number;
  waitedMs: Percentiles;
  /** From dispatch. */
  firstByteMs: Percentiles;
  lastByteMs: Percentiles;
  /** Output tokens per second from dispatch to the last byte; the median. */
  tokensPerSecond: number | null;
  tokensIn: number;
  cachedIn: number;
  tokensOut: number;
  costNanousd: bigint;
}

export interface Percentiles {
  p50: number | null;
  p95: number | null;
}

/** What the key of a row is, and what counts as one: a call, or an attempt where one call may have been at several. */
const UNITS = {
  total: { key: sql`''`, of: 'call' },
  version: { key: sql`c.version`, of: 'call' },
  miner: { key: sql`u.hotkey`, of: 'attempt' },
  region: { key: sql`u.region`, of: 'attempt' },
} as const;

/**
 * Calls of a chute that closed since `from`, rents aside; of more than `most`, the newest. `since`: when the oldest of them
 * closed, where there were more; else null.
 */
export async function chuteMetrics(
  db: Database,
  ask: { chuteId: string; from: Date; by: MetricsBy; most: number },
): Promise<{ rows: MetricsRow[]; since: Date | null }> {
  const { key, of } = UNITS[ask.by];
  const units =
    of === 'call'
      ? sql`select ${key} as key, state, code, greatest(attempts - 1, 0) as retries, waited_ms, cold, cost_nanousd from picked c`
      : sql`select key, state, code, retries, waited_ms, cold, cost_nanousd from tries`;
  const result = await db.execute(sql`
    with picked as materialized (
      select call_id, version, state, code, attempts, waited_ms, cold, cost_nanousd, closed_at from calls
      where chute_id = ${ask.chuteId} and closed_at >= ${ask.from.toISOString()}::timestamptz and kind = 'call'
      order by closed_at desc limit ${ask.most}
    ), tries as materialized (
      select ${key} as key, u.outcome as state, u.code, (u.attempt > 0)::int as retries, u.waited_ms, u.cold, u.cost_nanousd,
        u.first_byte_ms, u.last_byte_ms, u.tokens_in, u.cached_in, u.tokens_out
      from picked c join usage u using (call_id)
    ), units as (${units}
    ), sums as (
      select key, count(*) as calls, count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'cancelled') as cancelled,
        sum(retries) as retries, count(*) filter (where cold) as cold, sum(cost_nanousd)::text as cost,
        percentile_cont(array[0.5, 0.95]) within group (order by waited_ms) as waited
      from units group by key
    ), times as (
      select key, percentile_cont(array[0.5, 0.95]) within group (order by first_byte_ms) as first,
        percentile_cont(array[0.5, 0.95]) within group (order by last_byte_ms) as last,
        percentile_cont(0.5) within group (order by tokens_out * 1000.0 / last_byte_ms) filter (where tokens_out > 0 and last_byte_ms > 0) as rate,
        sum(tokens_in) as tokens_in, sum(cached_in) as cached_in, sum(tokens_out) as tokens_out
      from tries group by key
    ), faults as (
      select key, jsonb_object_agg(code, n) as errors
      from (select key, code, count(*) as n from units where state = 'failed' group by key, code) f group by key
    )
    select s.key, s.calls, s.failed, s.cancelled, s.retries, s.cold, s.cost, s.waited[1] as waited50, s.waited[2] as waited95,
      t.first[1] as first50, t.first[2] as first95, t.last[1] as last50, t.last[2] as last95, t.rate,
      coalesce(t.tokens_in, 0) as tokens_in, coalesce(t.cached_in, 0) as cached_in, coalesce(t.tokens_out, 0) as tokens_out,
      f.errors, (select case when count(*) < ${ask.most} then null else extract(epoch from min(closed_at)) * 1000 end from picked) as since
    from sums s left join times t using (key) left join faults f using (key) order by s.calls desc, s.key limit 1000`);
  const rows = rowsOf(result);
  const since = numberOf(rows[0]?.['since']);
  return { rows: rows.map(metricsRow), since: since === null ? null : new Date(since) };
}

function metricsRow(row: Record<string, unknown>): MetricsRow {
  return {
    name: String(row['key']),
    calls: Number(row['calls']),
    failed: Number(row['failed']),
    cancelled: Number(row['cancelled']),
    errors: (row['errors'] ?? {}) as Record<string, number>,
    retries: Number(row['retries']),
    coldStarts: Number(row['cold']),
    waitedMs: { p50: numberOf(row['waited50']), p95: numberOf(row['waited95']) },
    firstByteMs: { p50: numberOf(row['first50']), p95: numberOf(row['first95']) },
    lastByteMs: { p50: numberOf(row['last50']), p95: numberOf(row['last95']) },
    tokensPerSecond: numberOf(row['rate']),
    tokensIn: Number(row['tokens_in']),
    cachedIn: Number(row['cached_in']),
    tokensOut: Number(row['tokens_out']),
    costNanousd: BigInt(String(row['cost'])),
  };
}

function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

export interface Health {
  /** The last look at the books; `broken` names the invariants that do not hold. Null: there was none yet. */
  books: { ok: boolean; at: Date; broken: string[] } | null;
  /** Credits that wait for the projector. */
  unfolded: { count: number; oldestS: number | null };
  /** Milliseconds from the end of a call to its record, of the calls recorded in the last five minutes. */
  outbox: Percentiles & { max: number | null };
  /** The last block that was read to its end for deposits, and seconds since; null: no chain is followed. */
  deposits: { cursor: number; idleS: number } | null;
}

const HEALTH = {
  /** Waiting credits that are counted; more are as bad. */
  unfolded: 10_000,
  /** Calls whose delay is looked at, the newest. */
  calls: 10_000,
} as const;

/** One statement over short ranges of indexes: anyone may ask. */
export async function findHealth(db: Database): Promise<Health> {
  const result = await db.execute(sql`
    select b.ok::int as ok, extract(epoch from b.at) * 1000 as checked, b.broken, u.count, u.oldest, o.p50, o.p95, o.max,
      d.number, d.idle
    from (select count(*) as count, floor(extract(epoch from now() - min(t.created_at))) as oldest
        from (select transfer_id from unfolded limit ${HEALTH.unfolded}) w join transfers t on t.id = w.transfer_id) u
      cross join (select (percentile_cont(array[0.5, 0.95]) within group (order by ms))[1] as p50,
          (percentile_cont(array[0.5, 0.95]) within group (order by ms))[2] as p95, max(ms) as max
        from (select greatest(extract(epoch from recorded_at - closed_at) * 1000, 0)::float8 as ms from calls
          where recorded_at > now() - interval '5 minutes' order by recorded_at desc limit ${HEALTH.calls}) recent) o
      left join (select ok, at, broken from book_checks order by at desc limit 1) b on true
      left join (select number, floor(extract(epoch from now() - updated_at)) as idle from chain_cursors order by updated_at desc limit 1) d on true`);
  const row = rowsOf(result)[0] ?? {};
  const checked = numberOf(row['checked']);
  const cursor = numberOf(row['number']);
  return {
    // Names alone: what breaks them may say whose it is.
    books:
      checked === null
        ? null
        : { ok: Number(row['ok']) === 1, at: new Date(checked), broken: Object.keys((row['broken'] ?? {}) as object) },
    unfolded: { count: Number(row['count']), oldestS: numberOf(row['oldest']) },
    outbox: { p50: numberOf(row['p50']), p95: numberOf(row['p95']), max: numberOf(row['max']) },
    deposits: cursor === null ? null : { cursor, idleS: Number(row['idle']) },
  };
}
