import type { Score, StoredObservation } from '#protocol/audit.ts';
import { and, eq, gt, inArray, sql, type SQL } from 'drizzle-orm';
import type { Database } from './client.ts';
import { observations, scores } from './schema.ts';

export interface StoredScore extends Score {
  judge: string;
}

/** What a judge saw; one that is there already is left as it is. Returns the ids that are new. */
export async function insertObservations(db: Database, items: StoredObservation[]): Promise<string[]> {
  if (items.length === 0) return [];
  const rows = items.map((o) => ({
    id: o.id,
    judge: o.judge,
    type: o.type,
    agentId: o.agent,
    hotkey: o.hotkey,
    instanceId: o.instance,
    epoch: o.epoch,
    round: o.round,
    ok: o.ok,
    reason: o.reason,
    valueMs: o.value_ms,
    firstByteMs: o.first_byte_ms,
    tokens: o.tokens,
    callId: o.call,
    compared: o.compared,
    at: new Date(o.at),
  }));
  const made = await db.insert(observations).values(rows).onConflictDoNothing().returning({ id: observations.id });
  return made.map((row) => row.id);
}

/** One page by id, after the id `after`. */
export async function listObservations(
  db: Database,
  ask: { epoch: number; hotkey?: string; judge?: string; types?: string[]; after?: string; limit: number },
): Promise<StoredObservation[]> {
  const only: (SQL | undefined)[] = [
    eq(observations.epoch, ask.epoch),
    ask.hotkey === undefined ? undefined : eq(observations.hotkey, ask.hotkey),
    ask.judge === undefined ? undefined : eq(observations.judge, ask.judge),
    ask.types === undefined ? undefined : inArray(observations.type, ask.types),
    ask.after === undefined ? undefined : gt(observations.id, ask.after),
  ];
  const rows = await db
    .select()
    .from(observations)
    .where(and(...only))
    .orderBy(observations.id)
    .limit(ask.limit);
  return rows.map((row) => ({
    id: row.id,
    judge: row.judge,
    type: row.type as StoredObservation['type'],
    agent: row.agentId,
    hotkey: row.hotkey,
    instance: row.instanceId,
    epoch: row.epoch,
    round: row.round,
    ok: row.ok,
    reason: row.reason as StoredObservation['reason'],
    value_ms: row.valueMs,
    first_byte_ms: row.firstByteMs,
    tokens: row.tokens,
    call: row.callId,
    compared: row.compared as StoredObservation['compared'],
    at: row.at.getTime(),
  }));
}

/** A judge's scores; an older round never replaces a newer one. */
export async function insertScores(db: Database, judge: string, items: Score[]): Promise<void> {
  if (items.length === 0) return;
  await db
    .insert(scores)
    .values(items.map((s) => ({ judge, epoch: s.epoch, hotkey: s.hotkey, round: s.round, score: s.score, parts: s.parts })))
    .onConflictDoUpdate({
      target: [scores.judge, scores.epoch, scores.hotkey],
      set: { round: sql`excluded.round`, score: sql`excluded.score`, parts: sql`excluded.parts`, recordedAt: sql`now()` },
      setWhere: sql`excluded.round >= ${scores.round}`,
    });
}

/** Scores of an epoch, all judges or one, all miners or one. */
export async function readScores(
  db: Database,
  ask: { epoch: number; judge?: string; hotkey?: string; limit?: number },
): Promise<StoredScore[]> {
  const only: (SQL | undefined)[] = [
    eq(scores.epoch, ask.epoch),
    ask.judge === undefined ? undefined : eq(scores.judge, ask.judge),
    ask.hotkey === undefined ? undefined : eq(scores.hotkey, ask.hotkey),
  ];
  const rows = await db
    .select()
    .from(scores)
    .where(and(...only))
    .orderBy(scores.hotkey, scores.judge)
    .limit(ask.limit ?? 10_000);
  return rows.map((row) => ({
    judge: row.judge,
    epoch: row.epoch,
    hotkey: row.hotkey,
    round: row.round,
    score: row.score,
    parts: row.parts as Score['parts'],
  }));
}

/** Unix seconds of the newest scored epoch; null: none is. */
export async function newestEpoch(db: Database): Promise<number | null> {
  const [row] = await db
    .select({ epoch: scores.epoch })
    .from(scores)
    .orderBy(sql`${scores.epoch} desc`)
    .limit(1);
  return row?.epoch ?? null;
}

/** By hotkey, the agents that answered a judge's ping within the last `withinMs` milliseconds. */
export async function listAnswering(db: Database, ask: { hotkeys: string[]; withinMs: number }): Promise<Map<string, string[]>> {
  if (ask.hotkeys.length === 0) return new Map();
  const rows = await db
    .selectDistinct({ hotkey: observations.hotkey, agent: observations.agentId })
    .from(observations)
    .where(
      and(
        inArray(observations.hotkey, ask.hotkeys),
        sql`${observations.at} > now() - ${ask.withinMs} * interval '1 millisecond'`,
        eq(observations.type, 'rtt'),
        eq(observations.ok, true),
      ),
    )
    .limit(10_000);
  return new Map([...Map.groupBy(rows, (row) => row.hotkey)].map(([hotkey, of]) => [hotkey, of.map((row) => row.agent)]));
}
