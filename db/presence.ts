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
