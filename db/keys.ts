import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { keys } from './schema.ts';

export interface KeyRecord {
  id: string;
  accountId: string;
  name: string;
  scopes: string[];
  createdAt: Date;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

/** The keys as their Account has them; telling again is harmless. */
export async function upsertKeys(db: Database, records: KeyRecord[]): Promise<void> {
  if (records.length === 0) return;
  await db
    .insert(keys)
    .values(records)
    .onConflictDoUpdate({
      target: keys.id,
      set: { name: sql`excluded.name`, expiresAt: sql`excluded.expires_at`, revokedAt: sql`excluded.revoked_at` },
    });
}
