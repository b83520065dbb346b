/** What people see of their money and use. Reads only. */
import { inArray } from 'drizzle-orm';
import type { Database } from './client.ts';
import { purses } from './schema.ts';

/** Nano-USD of one purse: all there is, and what of it leases hold. */
export interface PurseView {
  posted: bigint;
  held: bigint;
}

/** An account's purses; one that never had anything holds nothing. */
export async function findPurses(db: Database, accountId: string): Promise<{ cash: PurseView; promo: PurseView }> {
  const [cash, promo] = [`cash/${accountId}`, `promo/${accountId}`];
  const rows = await db
    .select({ id: purses.id, posted: purses.posted, held: purses.held })
    .from(purses)
    .where(inArray(purses.id, [cash, promo]));
  const purse = (id: string): PurseView => {
    const row = rows.find((r) => r.id === id);
    return { posted: row?.posted ?? 0n, held: row?.held ?? 0n };
  };
  return { cash: purse(cash), promo: purse(promo) };
}
