import { and, desc, eq, isNull, or, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { chutes, shares, versions } from './schema.ts';

export interface ChuteRecord {
  id: string;
  accountId: string;
  /** `owner/name`. */
  name: string;
  slug: string;
  public: boolean;
  version: string;
}

export interface VersionRecord {
  chuteId: string;
  version: string;
  config: unknown;
  code: { sha256: string; bytes: number } | null;
}

/** The chute as it is now: new, changed, rolled back, or deployed again after it was deleted. */
export async function upsertChute(db: Database, chute: ChuteRecord): Promise<void> {
  await db
    .insert(chutes)
    .values(chute)
    .onConflictDoUpdate({
      target: chutes.id,
      set: { public: chute.public, version: chute.version, updatedAt: sql`now()`, deletedAt: null },
    });
}

/** Versions never change: inserting one again is harmless. The chute must be there. */
export async function insertVersion(db: Database, { chuteId, version, config, code }: VersionRecord): Promise<void> {
  await db
    .insert(versions)
    .values({ chuteId, version, config, codeSha256: code?.sha256 ?? null, codeBytes: code?.bytes ?? null })
    .onConflictDoNothing();
}

/** Newest first. */
export async function listVersions(db: Database, chuteId: string): Promise<(VersionRecord & { createdAt: Date })[]> {
  const rows = await db.select().from(versions).where(eq(versions.chuteId, chuteId)).orderBy(desc(versions.createdAt)).limit(1000);
  return rows.map(versionRecord);
}

export async function findVersion(db: Database, chuteId: string, version: string): Promise<(VersionRecord & { createdAt: Date }) | null> {
  const [row] = await db
    .select()
    .from(versions)
    .where(and(eq(versions.chuteId, chuteId), eq(versions.version, version)));
  return row === undefined ? null : versionRecord(row);
}

/** Null also for a deleted one. */
export async function findChute(db: Database, id: string): Promise<(ChuteRecord & { createdAt: Date; updatedAt: Date }) | null> {
  const [row] = await db
    .select()
    .from(chutes)
    .where(and(eq(chutes.id, id), isNull(chutes.deletedAt)));
  return row ?? null;
}

/** An account's own chutes, those shared with it and the public ones, by name; at most `limit` after the name `after`. */
export async function listChutes(
  db: Database,
  accountId: string,
  after = '',
  limit = 200,
): Promise<(ChuteRecord & { createdAt: Date; updatedAt: Date })[]> {
  const shared = sql`exists (select from ${shares} where ${shares.chuteId} = ${chutes.id} and ${shares.accountId} = ${accountId})`;
  return db
    .select()
    .from(chutes)
    .where(and(isNull(chutes.deletedAt), or(eq(chutes.accountId, accountId), chutes.public, shared), sql`${chutes.name} > ${after}`))
    .orderBy(chutes.name)
    .limit(limit);
}

/** The versions stay: calls refer to them. */
export async function deleteChute(db: Database, id: string): Promise<void> {
  await db
    .update(chutes)
    .set({ deletedAt: sql`now()` })
    .where(eq(chutes.id, id));
}

function versionRecord(row: typeof versions.$inferSelect): VersionRecord & { createdAt: Date } {
  const code = row.codeSha256 === null || row.codeBytes === null ? null : { sha256: row.codeSha256, bytes: row.codeBytes };
  return { chuteId: row.chuteId, version: row.version, config: row.config, code, createdAt: row.createdAt };
}
