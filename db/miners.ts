import { and, eq, getTableColumns, gt, lte, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { agents } from './schema.ts';

/** An agent as its Miner object vouches for it. */
export interface AgentRecord {
  agent: string;
  hotkey: string;
  inventory: unknown;
}

/** What an agent did lately, by settled attempts. */
export interface MinerRecord {
  hotkey: string;
  agents: number;
  devices: number;
  lastSeenAt: Date;
  /** Attempts of the last 24 hours. */
  attempts: number;
  completed: number;
  tokensOut: number;
}

/** Milliseconds; an agent logs in at least once a day, or its object lets it go. */
const SEEN_MS = 25 * 3_600_000;
/** Agents of one hotkey that are listed, the first to come: names cost nothing, and a summary has room for 4,096 devices of one. */
const AGENTS_PER_HOTKEY = 64;

export async function upsertAgent(db: Database, { agent, hotkey, inventory }: AgentRecord): Promise<void> {
  await db
    .insert(agents)
    .values({ id: agent, hotkey, inventory })
    .onConflictDoUpdate({ target: agents.id, set: { inventory, lastSeenAt: sql`now()` } });
}

/** By id, after the id `after`: agents that may be here, so many of a hotkey. */
export async function listAgents(db: Database, ask: { after?: string; limit?: number; perHotkey?: number } = {}) {
  const { after = '', limit = 200, perHotkey = AGENTS_PER_HOTKEY } = ask;
  const place = sql<number>`row_number() over (partition by ${agents.hotkey} order by ${agents.firstSeenAt}, ${agents.id})`.as('place');
  const seen = db
    .select({ ...getTableColumns(agents), place })
    .from(agents)
    .where(sql`${agents.lastSeenAt} > now() - ${SEEN_MS} * interval '1 millisecond'`)
    .as('seen');
  return db
    .select()
    .from(seen)
    .where(and(gt(seen.id, after), lte(seen.place, perHotkey)))
    .orderBy(seen.id)
    .limit(limit);
}

/** Ids, after the id `after`, of all agents of a hotkey that may be here. */
export async function agentsHere(db: Database, ask: { hotkey: string; after: string; limit: number }): Promise<string[]> {
  const result = await db.execute(sql`
    select id from agents where hotkey = ${ask.hotkey} and id > ${ask.after} and last_seen_at > now() - ${SEEN_MS} * interval '1 millisecond'
    order by id limit ${ask.limit}`);
  return rowsOf(result).map((row) => String(row['id']));
}

export async function listAgentsOf(db: Database, hotkey: string) {
  return db.select().from(agents).where(eq(agents.hotkey, hotkey)).orderBy(agents.id).limit(1000);
}

/** Miners by hotkey, after the hotkey `after`. */
export async function listMiners(db: Database, ask: { after?: string; limit?: number; hotkey?: string } = {}): Promise<MinerRecord[]> {
  const { after = '', limit = 200, hotkey = null } = ask;
  const result = await db.execute(sql`
    with page as (
      select hotkey, count(*) as agents, coalesce(sum(jsonb_array_length(inventory -> 'devices')), 0) as devices, max(last_seen_at) as seen from agents
      where hotkey > ${after} and (${hotkey}::text is null or hotkey = ${hotkey}) group by hotkey order by hotkey limit ${limit}
    )
    select p.hotkey, p.agents, p.devices, extract(epoch from p.seen) * 1000 as seen_ms, coalesce(u.attempts, 0) as attempts,
      coalesce(u.completed, 0) as completed, coalesce(u.tokens_out, 0) as tokens_out
    from page p left join lateral (
      select count(*) as attempts, count(*) filter (where outcome = 'completed') as completed, sum(tokens_out) as tokens_out
      from usage where usage.hotkey = p.hotkey and started_at > now() - interval '24 hours'
    ) u on true order by p.hotkey`);
  return rowsOf(result).map((row) => ({
    hotkey: String(row['hotkey']),
    agents: Number(row['agents']),
    devices: Number(row['devices']),
    lastSeenAt: new Date(Number(row['seen_ms'])),
    attempts: Number(row['attempts']),
    completed: Number(row['completed']),
    tokensOut: Number(row['tokens_out']),
  }));
}
