/** Challenges as they passed: written by Miner objects, read by judges and by everybody. */
import type { Transcript } from '#protocol/challenge/transcript.ts';
import { and, asc, eq, gt, gte, lt, or, sql, type SQL } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { transcripts } from './schema.ts';

/** A transcript from its commit on; with an `end` it stands still. */
export type TranscriptDraft = Omit<Transcript, 'end' | 'ended_at'> & { end: Transcript['end'] | null; ended_at: number | null };

export interface StoredTranscript {
  /** Its place in the feed. */
  seq: number;
  ended: boolean;
  /** Start of the epoch whose evidence holds it; null: none yet. */
  epoch: number | null;
  transcript: TranscriptDraft;
}

/**
 * Writes them down; what has ended is not changed any more. Numbers of the feed are given out one writer after the other, so that
 * nobody who has read up to a number misses a smaller one.
 */
export async function putTranscripts(db: Database, drafts: readonly TranscriptDraft[]): Promise<void> {
  if (drafts.length === 0) return;
  await db.execute(sql`
    with told as materialized (select value as body, ordinality as place from jsonb_array_elements(${JSON.stringify(drafts)}::jsonb) with ordinality),
    one as materialized (select pg_advisory_xact_lock(7418257))
    insert into transcripts (id, kind, target, agent_id, hotkey, slot, body, ended, seq, committed_at, ended_at)
    select body ->> 'id', body ->> 'kind', body ->> 'target', body ->> 'agent', body ->> 'hotkey', (body ->> 'slot')::bigint, body,
      body ->> 'end' is not null, nextval('transcripts_seq'), to_timestamp((body -> 'commit' ->> 'at')::double precision / 1000),
      to_timestamp((body ->> 'ended_at')::double precision / 1000)
    from one, (select body from told order by place offset 0) as t
    on conflict (id) do update set body = excluded.body, ended = excluded.ended, seq = excluded.seq,
      committed_at = excluded.committed_at, ended_at = excluded.ended_at
    where not transcripts.ended`);
}

/** What came since, in the order it came: each once when it is committed to and once when it has ended. */
export async function feedOf(db: Database, ask: { after: number; limit: number }): Promise<StoredTranscript[]> {
  const rows = await db
    .select(SHOWN)
    .from(transcripts)
    .where(gt(transcripts.seq, ask.after))
    .orderBy(asc(transcripts.seq))
    .limit(ask.limit);
  return rows.map(stored);
}

/** Where a page of slots ended. */
export interface SlotPlace {
  slot: number;
  id: string;
}

/** Of the slots from `from` until before `to`, by slot and id. */
export async function transcriptsOfSlots(
  db: Database,
  ask: { from: number; to: number; after: SlotPlace | null; limit: number },
): Promise<StoredTranscript[]> {
  const rows = await db
    .select(SHOWN)
    .from(transcripts)
    .where(and(gte(transcripts.slot, ask.from), lt(transcripts.slot, ask.to), beyond(ask.after)))
    .orderBy(asc(transcripts.slot), asc(transcripts.id))
    .limit(ask.limit);
  return rows.map(stored);
}

function beyond(place: SlotPlace | null): SQL | undefined {
  if (place === null) return undefined;
  return or(gt(transcripts.slot, place.slot), and(eq(transcripts.slot, place.slot), gt(transcripts.id, place.id)));
}

export async function readTranscript(db: Database, id: string): Promise<StoredTranscript | null> {
  const [row] = await db.select(SHOWN).from(transcripts).where(eq(transcripts.id, id));
  return row === undefined ? null : stored(row);
}

/** Of these, what a verdict must say of each to be one of it; only what has ended. */
export async function endedAmong(
  db: Database,
  ids: readonly string[],
): Promise<Map<string, { kind: string; target: string; hotkey: string; slot: number }>> {
  const result = await db.execute(sql`
    select id, kind, target, hotkey, slot from transcripts
    where ended and id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`);
  return new Map(
    rowsOf(result).map((row) => [
      String(row['id']),
      { kind: String(row['kind']), target: String(row['target']), hotkey: String(row['hotkey']), slot: Number(row['slot']) },
    ]),
  );
}

/** By target, unix seconds of the slot in which it was first seen, ever; those that nobody saw before are seen in this one. */
export async function firstSeen(db: Database, targets: readonly string[], slot: number): Promise<Map<string, number>> {
  if (targets.length === 0) return new Map();
  const result = await db.execute(sql`
    with asked as (select distinct jsonb_array_elements_text(${JSON.stringify(targets)}::jsonb) as target),
    made as (insert into first_seen (target, slot) select target, ${slot}::bigint from asked on conflict do nothing returning target, slot)
    select target, slot from made union all select f.target, f.slot from first_seen f join asked using (target)`);
  return new Map(rowsOf(result).map((row) => [String(row['target']), Number(row['slot'])]));
}

/** Likewise, of those that were seen. */
export async function seenSince(db: Database, targets: readonly string[]): Promise<Map<string, number>> {
  if (targets.length === 0) return new Map();
  const result = await db.execute(sql`
    select target, slot from first_seen where target in (select jsonb_array_elements_text(${JSON.stringify(targets)}::jsonb))`);
  return new Map(rowsOf(result).map((row) => [String(row['target']), Number(row['slot'])]));
}

const SHOWN = { seq: transcripts.seq, ended: transcripts.ended, epoch: transcripts.epoch, body: transcripts.body };

function stored({ body, ...row }: { seq: number; ended: boolean; epoch: number | null; body: unknown }): StoredTranscript {
  return { ...row, transcript: body as TranscriptDraft };
}
