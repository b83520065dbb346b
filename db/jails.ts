/** Hotkeys that a judge of the gate proved false: until when paid calls are kept away from them. */
import { eq, gt, and, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { jails } from './schema.ts';

export interface Jail {
  hotkey: string;
  until: Date;
  /** How often so far. */
  times: number;
  judge: string;
  challengeId: string;
  reason: string;
}

export interface JailAsk {
  hotkey: string;
  judge: string;
  challengeId: string;
  reason: string;
  /** Unix seconds of the challenge. */
  slot: number;
}

const DAY_SECONDS = 86_400;
/** Doublings at most: 256 days. */
const DOUBLINGS = 8;

/**
 * Jails a hotkey for a day, and twice as long each further time. Proofs of the time before it is out again add nothing: a flash finds
 * all devices of a cheat at once. Returns the jail in force, or null where this proof opens none.
 */
export async function jail(db: Database, ask: JailAsk): Promise<Jail | null> {
  const result = await db.execute(sql`
    insert into jails (hotkey, until, times, judge, challenge_id, reason)
    values (${ask.hotkey}, now() + ${DAY_SECONDS} * interval '1 second', 1, ${ask.judge}, ${ask.challengeId}, ${ask.reason})
    on conflict (hotkey) do update set times = jails.times + 1, judge = excluded.judge, challenge_id = excluded.challenge_id,
      reason = excluded.reason, since = now(),
      until = now() + ${DAY_SECONDS} * power(2, least(jails.times, ${DOUBLINGS})) * interval '1 second'
    where jails.until < now() and jails.until < to_timestamp(${ask.slot})
    returning hotkey`);
  return rowsOf(result).length > 0 ? jailOf(db, ask.hotkey) : null;
}

/** The one in force; null: paid calls may come. */
export async function jailOf(db: Database, hotkey: string): Promise<Jail | null> {
  const [row] = await db
    .select()
    .from(jails)
    .where(and(eq(jails.hotkey, hotkey), gt(jails.until, sql`now()`)));
  return row ?? null;
}

/** Those of the last `withinMs` milliseconds: whoever was not reached is told again. */
export async function newJails(db: Database, ask: { withinMs: number; limit: number }): Promise<Jail[]> {
  return db
    .select()
    .from(jails)
    .where(and(gt(jails.until, sql`now()`), sql`${jails.since} > now() - ${ask.withinMs} * interval '1 millisecond'`))
    .orderBy(jails.hotkey)
    .limit(ask.limit);
}
