/** All that is attached to one chute, at one moment; every change of it is one call of a function of the database. */
import { eq, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { attached, secrets, shares } from './schema.ts';

export interface AttachedRecord {
  /** Grows with every change; 0: nothing was ever attached. */
  revision: number;
  secrets: { id: string; accountId: string; kind: string; key: string; sealed: unknown }[];
  /** Account ids. */
  shared: string[];
}

/** One statement, so that revision and rows are of the same moment. */
export async function findAttached(db: Database, chuteId: string): Promise<AttachedRecord> {
  const [row] = await db
    .select({
      revision: attached.revision,
      secrets: sql<AttachedRecord['secrets']>`coalesce((select jsonb_agg(jsonb_build_object('id', s.id, 'accountId', s.account_id,
        'kind', s.kind, 'key', s.key, 'sealed', s.sealed) order by s.kind, s.key) from ${secrets} s where s.chute_id = ${chuteId}), '[]')`,
      shared: sql<string[]>`coalesce((select jsonb_agg(h.account_id order by h.created_at, h.account_id) from ${shares} h
        where h.chute_id = ${chuteId}), '[]')`,
    })
    .from(attached)
    .where(eq(attached.chuteId, chuteId));
  return row ?? { revision: 0, secrets: [], shared: [] };
}

/** Of a chute that is deleted: its secrets are gone, and nobody else may call it. */
export async function detachAll(db: Database, chuteId: string): Promise<void> {
  await db.execute(sql`select detach_all(${chuteId})`);
}
