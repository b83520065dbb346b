/** The subnet as the edge last read it from a finalized block, and what the chain gave whom. */
import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';

/** A neuron as the chain has it; amounts in rao. */
export interface NeuronRecord {
  uid: number;
  hotkey: string;
  coldkey: string;
  permit: boolean;
  stake: bigint;
  incentive: number;
  emission: bigint;
  registeredBlock: number;
}

/** The block that it is read from. */
export interface ChainHead {
  netuid: number;
  block: number;
  hash: string;
  epochIndex: number;
}

/**
 * Takes the subnet as of a block in place of an older one; false where a newer one is there. A uid that changed hands is taken
 * away first and given in a second statement: for a moment neither has it.
 */
export async function saveNeurons(db: Database, head: ChainHead, neurons: readonly NeuronRecord[]): Promise<boolean> {
  const rows = JSON.stringify(neurons.map((n) => ({ ...n, stake: String(n.stake), emission: String(n.emission) })));
  const fresh = sql`jsonb_to_recordset(${rows}::jsonb) as f(uid int, hotkey text, coldkey text, permit boolean, stake numeric,
    incentive int, emission numeric, "registeredBlock" bigint)`;
  await db.execute(sql`
    delete from neurons n where not exists (select 1 from ${fresh} where f.uid = n.uid and f.hotkey = n.hotkey)
      and not exists (select 1 from chain_head where netuid = ${head.netuid} and block >= ${head.block})`);
  const result = await db.execute(sql`
    with head as (
      insert into chain_head (netuid, block, hash, epoch_index) values (${head.netuid}, ${head.block}, ${head.hash}, ${head.epochIndex})
      on conflict (netuid) do update set block = excluded.block, hash = excluded.hash, epoch_index = excluded.epoch_index, synced_at = now()
        where chain_head.block < excluded.block
      returning netuid
    ), kept as (
      insert into neurons (uid, hotkey, coldkey, permit, stake, incentive, emission, registered_block)
      select f.uid, f.hotkey, f.coldkey, f.permit, f.stake, f.incentive, f.emission, f."registeredBlock" from head, ${fresh}
      on conflict (uid) do update set hotkey = excluded.hotkey, coldkey = excluded.coldkey, permit = excluded.permit,
        stake = excluded.stake, incentive = excluded.incentive, emission = excluded.emission, registered_block = excluded.registered_block
    ), given as (
      insert into emissions (hotkey, epoch_index, rao, block)
      select f.hotkey, ${head.epochIndex}::bigint, f.emission, ${head.block}::bigint from head, ${fresh}
        where f.emission > 0 and ${head.epochIndex}::bigint > 0
      on conflict do nothing
    ) select count(*)::int as taken from head`);
  return Number(rowsOf(result)[0]?.['taken'] ?? 0) > 0;
}

/** All registered hotkeys; null: no block was read so far. */
export async function readRegistered(db: Database, netuid: number): Promise<Set<string> | null> {
  const result = await db.execute(sql`
    select coalesce((select jsonb_agg(hotkey) from neurons), '[]'::jsonb) as hotkeys from chain_head where netuid = ${netuid}`);
  const [row] = rowsOf(result);
  if (row === undefined) return null;
  const hotkeys = row['hotkeys'];
  return new Set(Array.isArray(hotkeys) ? hotkeys.map(String) : []);
}

/** Agents that logged in lately and whose hotkey is not registered now; in no order, so that each has its turn. */
export async function listUnregistered(db: Database, ask: { seenMs: number; limit: number }): Promise<string[]> {
  const result = await db.execute(sql`
    select id from agents a where last_seen_at > now() - ${ask.seenMs} * interval '1 millisecond'
      and not exists (select 1 from neurons n where n.hotkey = a.hotkey) order by random() limit ${ask.limit}`);
  return rowsOf(result).map((row) => String(row['id']));
}
