/** Accounts that may call a private chute of another. */
import { asc, eq, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { answerOf } from './rows.ts';
import { accounts, shares } from './schema.ts';

export interface ShareRecord {
  accountId: string;
  handle: string;
  createdAt: Date;
}

/** In the order they were given. */
export async function listShares(db: Database, chuteId: string): Promise<ShareRecord[]> {
  return db
    .select({ accountId: shares.accountId, handle: accounts.handle, createdAt: shares.createdAt })
    .from(shares)
    .innerJoin(accounts, eq(accounts.id, shares.accountId))
    .where(eq(shares.chuteId, chuteId))
    .orderBy(asc(shares.createdAt), asc(shares.accountId));
}

/** The same again is harmless. False: the chute is shared with `most` others. */
export async function shareChute(db: Database, chuteId: string, accountId: string, most: number): Promise<boolean> {
  return answerOf(await db.execute(sql`select share_chute(${chuteId}, ${accountId}, ${most})`)) === true;
}

/** False: it was not shared with this account. */
export async function unshareChute(db: Database, chuteId: string, accountId: string): Promise<boolean> {
  return answerOf(await db.execute(sql`select unshare_chute(${chuteId}, ${accountId})`)) === true;
}
