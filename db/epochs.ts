/** Epochs: closed once by the edge, then judged by whoever may. What stands first stands. */
import { and, asc, desc, eq, isNull, lt, sql } from 'drizzle-orm';
import { canonicalJson } from '#protocol/canonical.ts';
import type { CommitEpoch, Posted } from '#protocol/epoch.ts';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { epochs, judgedEpochs } from './schema.ts';

/** Zeros: nothing went before. */
export const NO_HASH = '0'.repeat(64);

/** Ended epochs in which somebody was there and whose evidence is not closed, oldest first. */
export async function epochsToClose(db: Database, of: { endedBefore: number; seconds: number; limit: number }): Promise<number[]> {
  const result = await db.execute(sql`
    select distinct epoch from presence where epoch + ${of.seconds}::bigint <= ${of.endedBefore}
      and epoch > coalesce((select max(start) from epochs where evidence <> ''), -1) order by epoch limit ${of.limit}`);
  return rowsOf(result).map((row) => Number(row['epoch']));
}

/** The hash of the newest file of evidence before an epoch. */
export async function evidenceBefore(db: Database, start: number): Promise<string> {
  const [row] = await db
    .select({ evidence: epochs.evidence })
    .from(epochs)
    .where(and(lt(epochs.start, start), sql`${epochs.evidence} <> ''`))
    .orderBy(desc(epochs.start))
    .limit(1);
  return row?.evidence ?? NO_HASH;
}

/**
 * Begins to close an epoch: from here on it is settled which transcripts are in its evidence, namely all that ended before it did and
 * are in none. Where there are too many, each hotkey has its turn, with what was due first: who names a thousand devices and declines
 * for them pushes nobody's flash into the next file. Whoever begins again finds it begun and makes the same file.
 */
export async function beginEpoch(
  db: Database,
  of: { start: number; seconds: number; suite: string; previous: string; transcripts: number },
): Promise<void> {
  await db.execute(sql`
    with begun as (
      insert into epochs (start, seconds, suite, evidence, bytes, previous) values (${of.start}, ${of.seconds}, ${of.suite}, '', 0, ${of.previous})
      on conflict do nothing returning start
    )
    update transcripts set epoch = ${of.start}::bigint from begun
    where id in (
      select id from (
        select id, ended_at, row_number() over (partition by hotkey order by body ->> 'scheduled' desc nulls last, ended_at, id) as turn
        from transcripts where ended and epoch is null and ended_at < ${new Date((of.start + of.seconds) * 1000)}
      ) t order by turn, ended_at, id limit ${of.transcripts}
    )`);
}

/** Names the file of an epoch that was begun; a second file changes nothing. The counts it was made of are not needed any more. */
export async function sealEpoch(db: Database, of: { start: number; evidence: string; bytes: number; forgetBefore: number }): Promise<void> {
  await db
    .update(epochs)
    .set({ evidence: of.evidence, bytes: of.bytes, closedAt: sql`now()` })
    .where(and(eq(epochs.start, of.start), eq(epochs.evidence, '')));
  await db.execute(sql`delete from presence where epoch < ${of.forgetBefore}`);
}

export interface EpochItem {
  epoch: number;
  /** Null while it runs or is being closed. */
  hash: string | null;
  /** Judges of the gate (anybody, where there is none) that committed. */
  judged: number;
  /** The block in which the first of them had its weights. */
  block: number | null;
}

/** Newest first, below `before`. Epochs that run are among them. */
export async function listEpochs(db: Database, of: { before: number; limit: number; gate: readonly string[] }): Promise<EpochItem[]> {
  const result = await db.execute(sql`
    with known as (
      select start as epoch, evidence from epochs union
      select distinct epoch, '' from presence where epoch > coalesce((select max(start) from epochs), -1)
    )
    select k.epoch, k.evidence, j.judged, j.block from known k left join lateral (
      select count(*) as judged, min(block) as block from judged_epochs
      where epoch = k.epoch and (${of.gate.length} = 0 or judge = any (string_to_array(${of.gate.join(',')}, ',')))
    ) j on true
    where k.epoch < ${of.before} order by k.epoch desc limit ${of.limit}`);
  return rowsOf(result).map((row) => ({
    epoch: Number(row['epoch']),
    hash: row['evidence'] === '' ? null : String(row['evidence']),
    judged: Number(row['judged']),
    block: row['block'] === null ? null : Number(row['block']),
  }));
}

/** One that was closed. */
export async function readEpoch(db: Database, start: number) {
  const [row] = await db
    .select()
    .from(epochs)
    .where(and(eq(epochs.start, start), sql`${epochs.evidence} <> ''`));
  return row ?? null;
}

export async function listJudgements(db: Database, of: { epoch: number; limit: number }) {
  return db.select().from(judgedEpochs).where(eq(judgedEpochs.epoch, of.epoch)).orderBy(asc(judgedEpochs.judge)).limit(of.limit);
}

export async function readJudgement(db: Database, of: { epoch: number; judge: string }) {
  const [row] = await db
    .select()
    .from(judgedEpochs)
    .where(and(eq(judgedEpochs.epoch, of.epoch), eq(judgedEpochs.judge, of.judge)));
  return row ?? null;
}

/** The first commitment stands; returns whether what stands is this one. */
export async function commitEpoch(db: Database, judge: string, commit: CommitEpoch, signed: object): Promise<boolean> {
  const { epoch, evidence, findings, summary, weights } = commit;
  await db.insert(judgedEpochs).values({ judge, epoch, evidence, findings, summary, weights, signed }).onConflictDoNothing();
  const stands = await readJudgement(db, { epoch, judge });
  if (stands === null) return false;
  const { evidence: e, findings: f, summary: m, weights: w } = stands;
  return canonicalJson({ evidence, findings, summary, weights }) === canonicalJson({ evidence: e, findings: f, summary: m, weights: w });
}

/** How the weights came to the chain; false: this judge has committed to nothing for the epoch. The first word stands. */
export async function markPosted(db: Database, judge: string, posted: Posted): Promise<boolean> {
  const mine = and(eq(judgedEpochs.judge, judge), eq(judgedEpochs.epoch, posted.epoch));
  await db
    .update(judgedEpochs)
    .set({ extrinsic: posted.extrinsic, block: posted.block, revealRound: posted.reveal_round, postedAt: sql`now()` })
    .where(and(mine, isNull(judgedEpochs.extrinsic)));
  const [row] = await db.select({ judge: judgedEpochs.judge }).from(judgedEpochs).where(mine);
  return row !== undefined;
}
