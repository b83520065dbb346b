/** Who was there, slot by slot. */
import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { answerOf } from './rows.ts';

/** One device (`instance` empty) or instance that is there in a slot. */
export interface PresenceRecord {
  /** As challenges name it. */
  target: string;
  agent: string;
  hotkey: string;
  device: string;
  instance: string;
  body: object;
  need: number;
  serving: boolean;
}

/** Rows of one statement. */
const BATCH = 1_000;

/** Whether the slot, or a later one of the epoch, was counted. */
export async function isCounted(db: Database, of: { epoch: number; slot: number }): Promise<boolean> {
  return (
    answerOf(await db.execute(sql`select exists (select from presence where epoch = ${of.epoch} and to_slot >= ${of.slot}) as counted`)) ===
    true
  );
}

/**
 * Leaves at most so many rows of an epoch. Where there are more, each hotkey keeps as many as any other, those that were there longest
 * first: who names his devices anew in every slot crowds out his own. Again, it changes nothing.
 */
export async function trimPresence(db: Database, of: { epoch: number; most: number }): Promise<void> {
  await db.execute(sql`
    delete from presence p using (
      select agent_id, device, instance, row_number() over (order by turn, agent_id, device, instance) as place from (
        select agent_id, device, instance, row_number() over (partition by hotkey order by slots desc, agent_id, device, instance) as turn
        from presence where epoch = ${of.epoch}::bigint
      ) t
    ) r where p.epoch = ${of.epoch}::bigint and p.agent_id = r.agent_id and p.device = r.device and p.instance = r.instance
      and r.place > ${of.most}`);
}

/** Counts each once in this slot; again, or for an older slot, it changes nothing. First sights are kept for ever. */
export async function countPresence(db: Database, of: { epoch: number; slot: number; seen: readonly PresenceRecord[] }): Promise<void> {
  for (let at = 0; at < of.seen.length; at += BATCH) {
    const part = JSON.stringify(of.seen.slice(at, at + BATCH));
    await db.execute(sql`
      with seen as (
        select * from jsonb_to_recordset(${part}::jsonb) as s(target text, agent text, hotkey text, device text, instance text, body jsonb, need bigint, serving boolean)
      ), first as (
        insert into first_seen (target, slot) select target, ${of.slot}::bigint from seen on conflict do nothing
      )
      insert into presence (epoch, agent_id, device, instance, hotkey, body, from_slot, to_slot, slots, need, serving)
      select ${of.epoch}::bigint, agent, device, instance, hotkey, body, ${of.slot}::bigint, ${of.slot}::bigint, 1, need, serving::int from seen
      on conflict (epoch, agent_id, device, instance) do update set body = excluded.body, to_slot = excluded.to_slot, slots = presence.slots + 1,
        need = presence.need + excluded.need, serving = presence.serving + excluded.serving
      where presence.to_slot < excluded.to_slot`);
  }
}
