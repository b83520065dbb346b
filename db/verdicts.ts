/** What judges made of challenges. The first word of a judge on a challenge stands. */
import type { StoredVerdict, Verdict } from '#protocol/challenge/verdict.ts';
import { and, asc, desc, eq, gte, inArray, lt, sql, type SQL } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { verdicts } from './schema.ts';
import type { SlotPlace } from './transcripts.ts';

export interface VerdictRow {
  verdict: Verdict;
  outcome: string;
  /** Unix seconds of the challenge. */
  slot: number;
}

/** Returns the ids that are new. */
export async function insertVerdicts(db: Database, judge: string, items: readonly VerdictRow[]): Promise<string[]> {
  if (items.length === 0) return [];
  const rows = items.map(({ verdict, outcome, slot }) => {
    const { id: challengeId, kind, target, hotkey, reason } = verdict;
    return { judge, challengeId, slot, hotkey, target, kind, outcome, reason, body: verdict };
  });
  const made = await db.insert(verdicts).values(rows).onConflictDoNothing().returning({ id: verdicts.challengeId });
  return made.map((row) => row.id);
}

/** Where a page ended: many judges speak of one challenge. */
export interface VerdictPlace extends SlotPlace {
  judge: string;
}

export interface VerdictsAsk {
  from: number;
  to: number;
  judge?: string;
  hotkey?: string;
  after: VerdictPlace | null;
  limit: number;
}

/** Of the slots from `from` until before `to`, by slot, challenge and judge. */
export async function verdictsOfSlots(db: Database, ask: VerdictsAsk): Promise<StoredVerdict[]> {
  const rows = await db
    .select()
    .from(verdicts)
    .where(
      and(
        gte(verdicts.slot, ask.from),
        lt(verdicts.slot, ask.to),
        ask.judge === undefined ? undefined : eq(verdicts.judge, ask.judge),
        ask.hotkey === undefined ? undefined : eq(verdicts.hotkey, ask.hotkey),
        beyond(ask.after),
      ),
    )
    .orderBy(asc(verdicts.slot), asc(verdicts.challengeId), asc(verdicts.judge))
    .limit(ask.limit);
  return rows.map(storedOf);
}

function beyond(place: VerdictPlace | null): SQL | undefined {
  if (place === null) return undefined;
  return sql`(${verdicts.slot}, ${verdicts.challengeId}, ${verdicts.judge}) > (${place.slot}, ${place.id}, ${place.judge})`;
}

/** Of one miner, the newest challenge first. */
export async function verdictsOfMiner(
  db: Database,
  ask: { hotkey: string; before: VerdictPlace | null; limit: number },
): Promise<StoredVerdict[]> {
  const { before } = ask;
  const older =
    before === null
      ? undefined
      : sql`(${verdicts.slot}, ${verdicts.challengeId}, ${verdicts.judge}) < (${before.slot}, ${before.id}, ${before.judge})`;
  const rows = await db
    .select()
    .from(verdicts)
    .where(and(eq(verdicts.hotkey, ask.hotkey), older))
    .orderBy(desc(verdicts.slot), desc(verdicts.challengeId), desc(verdicts.judge))
    .limit(ask.limit);
  return rows.map(storedOf);
}

/** Of these challenges, those that this judge called `hard`; by its first word. */
export async function hardAmong(db: Database, judge: string, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await db
    .select({ id: verdicts.challengeId })
    .from(verdicts)
    .where(and(eq(verdicts.judge, judge), eq(verdicts.outcome, 'hard'), inArray(verdicts.challengeId, [...ids])));
  return new Set(rows.map((row) => row.id));
}

/** By challenge, nano-USD that a miner forfeited for it. */
export async function forfeitedFor(db: Database, hotkey: string, ids: readonly string[]): Promise<Map<string, bigint>> {
  const result = await db.execute(sql`
    select t.ref, e.amount::text as amount from transfers t join entries e on e.transfer_id = t.id and e.purse_id = 'forfeited'
    where t.kind = 'forfeit' and t.owner = ${hotkey} and t.ref in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`);
  return new Map(rowsOf(result).map((row) => [String(row['ref']), BigInt(String(row['amount']))]));
}

function storedOf({ judge, slot, at, body }: typeof verdicts.$inferSelect): StoredVerdict {
  return { ...(body as Verdict), judge, slot, at: at.getTime() };
}
