/** What the evidence of an epoch is made of, read when its time is over. */
import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { firstSeen, neurons, presence, transcripts } from './schema.ts';

/** Rows of one reading; transcripts are long. */
const PAGE = { presence: 2_000, transcripts: 250 } as const;

/** Devices and instances that were there, with the slot of their first sight. */
export async function* presenceOf(db: Database, epoch: number) {
  for (let after = ['', '', '']; ;) {
    const rows = await db
      .select({ row: presence, since: firstSeen.slot })
      .from(presence)
      .leftJoin(
        firstSeen,
        sql`${firstSeen.target} = case when ${presence.instance} = '' then ${presence.agentId} || '/' || ${presence.device} else ${presence.instance} end`,
      )
      .where(
        and(
          eq(presence.epoch, epoch),
          sql`(${presence.agentId}, ${presence.device}, ${presence.instance}) > (${after[0]}, ${after[1]}, ${after[2]})`,
        ),
      )
      .orderBy(presence.agentId, presence.device, presence.instance)
      .limit(PAGE.presence);
    for (const { row, since } of rows) yield { ...row, since: since ?? row.fromSlot };
    const last = rows.at(-1)?.row;
    if (last === undefined || rows.length < PAGE.presence) return;
    after = [last.agentId, last.device, last.instance];
  }
}

/** Bodies of the transcripts that the epoch's evidence holds. */
export async function* transcriptsOf(db: Database, epoch: number): AsyncGenerator<unknown> {
  for (let after = ''; ;) {
    const rows = await db
      .select({ id: transcripts.id, body: transcripts.body })
      .from(transcripts)
      .where(and(eq(transcripts.epoch, epoch), gt(transcripts.id, after)))
      .orderBy(asc(transcripts.id))
      .limit(PAGE.transcripts);
    for (const row of rows) yield row.body;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE.transcripts) return;
    after = last.id;
  }
}

/** What each account spent on each chute at each miner. `linked`: both are one hotkey, or of one coldkey on the chain. */
export async function useOf(db: Database, of: { fromMs: number; toMs: number; limit: number }) {
  const result = await db.execute(sql`
    select u.chute_id as chute, u.account_id as account, u.hotkey, sum(u.cost_nanousd)::text as nanousd,
      coalesce(a.hotkey = u.hotkey or payer.coldkey = miner.coldkey, false) as linked
    from usage u left join accounts a on a.id = u.account_id left join neurons payer on payer.hotkey = a.hotkey
      left join neurons miner on miner.hotkey = u.hotkey
    where u.recorded_at >= ${new Date(of.fromMs)} and u.recorded_at < ${new Date(of.toMs)} and u.cost_nanousd > 0
    group by u.chute_id, u.account_id, u.hotkey, a.hotkey, payer.coldkey, miner.coldkey
    order by sum(u.cost_nanousd) desc, 1, 2, 3 limit ${of.limit}`);
  return rowsOf(result).map((row) => ({
    chute: String(row['chute']),
    account: String(row['account']),
    hotkey: String(row['hotkey']),
    nanousd: String(row['nanousd']),
    linked: row['linked'] === true,
  }));
}

/** Attempts by miner. What has no key is rent, and no attempt. */
export async function servedOf(db: Database, of: { fromMs: number; toMs: number; limit: number }) {
  const result = await db.execute(sql`
    select hotkey, count(*) filter (where outcome = 'completed') as completed, count(*) filter (where outcome = 'failed') as failed,
      percentile_disc(0.5) within group (order by first_byte_ms) filter (where outcome = 'completed' and first_byte_ms is not null) as first_byte_ms
    from usage where recorded_at >= ${new Date(of.fromMs)} and recorded_at < ${new Date(of.toMs)} and key_id <> ''
    group by hotkey order by hotkey limit ${of.limit}`);
  return rowsOf(result).map((row) => ({
    hotkey: String(row['hotkey']),
    completed: Number(row['completed']),
    failed: Number(row['failed']),
    firstByteMs: row['first_byte_ms'] === null ? null : Number(row['first_byte_ms']),
  }));
}

/** Who is who on the chain, as the edge last read it. */
export async function neuronsNow(db: Database, limit: number) {
  const { uid, hotkey, coldkey, permit } = neurons;
  return db.select({ uid, hotkey, coldkey, permit }).from(neurons).orderBy(uid).limit(limit);
}
