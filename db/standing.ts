/** What chain and gate say of a hotkey. */
import { eq, gt, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { neurons } from './schema.ts';

export interface Standing {
  /** Null: not registered in the subnet. */
  uid: number | null;
  coldkey: string | null;
  /** Share of 65,535 that the chain gave it in its last epoch. */
  incentive: number | null;
  /** When its gate opens again, and why it is shut; null: it is open. */
  jailed: { until: Date; reason: string; challenge: string } | null;
}

/** Rao of alpha that the chain gave a hotkey: in its newest epoch, and in all that were seen. */
export interface Emission {
  last: bigint;
  total: bigint;
  epochs: number;
}

const NOBODY: Standing = { uid: null, coldkey: null, incentive: null, jailed: null };

/** What the chain gave each hotkey of the subnet in its last epoch, shares of 65,535; those with nothing are left out. */
export async function readWeights(db: Database): Promise<Map<string, number>> {
  const found = db.select({ hotkey: neurons.hotkey, incentive: neurons.incentive }).from(neurons);
  const rows = await found.where(gt(neurons.incentive, 0)).limit(4096);
  return new Map(rows.map((row) => [row.hotkey, row.incentive]));
}

/** By hotkey; every one that was asked for is there. */
export async function readStandings(db: Database, hotkeys: readonly string[]): Promise<Map<string, Standing>> {
  const standings = new Map(hotkeys.map((hotkey) => [hotkey, NOBODY]));
  if (hotkeys.length === 0) return standings;
  const result = await db.execute(sql`
    select h.hotkey, n.uid, n.coldkey, n.incentive, j.reason, j.challenge_id, extract(epoch from j.until) * 1000 as until_ms
    from jsonb_array_elements_text(${JSON.stringify(hotkeys)}::jsonb) h(hotkey)
      left join neurons n on n.hotkey = h.hotkey left join jails j on j.hotkey = h.hotkey and j.until > now()`);
  for (const row of rowsOf(result)) {
    const until = row['until_ms'];
    standings.set(String(row['hotkey']), {
      uid: row['uid'] === null ? null : Number(row['uid']),
      coldkey: typeof row['coldkey'] === 'string' ? row['coldkey'] : null,
      incentive: row['incentive'] === null ? null : Number(row['incentive']),
      jailed:
        until === null ? null : { until: new Date(Number(until)), reason: String(row['reason']), challenge: String(row['challenge_id']) },
    });
  }
  return standings;
}

export async function readEmission(db: Database, hotkey: string): Promise<Emission> {
  const result = await db.execute(sql`
    select coalesce(sum(rao), 0)::text as total, count(*) as epochs,
      coalesce((array_agg(rao order by epoch_index desc))[1], 0)::text as last from emissions where hotkey = ${hotkey}`);
  const [row] = rowsOf(result);
  return { last: rao(row?.['last']), total: rao(row?.['total']), epochs: Number(row?.['epochs'] ?? 0) };
}

/** Whether the chain lets this hotkey set weights. */
export async function hasPermit(db: Database, hotkey: string): Promise<boolean> {
  const rows = await db.select({ permit: neurons.permit }).from(neurons).where(eq(neurons.hotkey, hotkey));
  return rows[0]?.permit === true;
}

/** A numeric as Postgres writes it. */
function rao(value: unknown): bigint {
  return typeof value === 'string' ? BigInt(value) : 0n;
}
