import { gt } from 'drizzle-orm';
import type { Database } from './client.ts';
import { neurons } from './schema.ts';

/** What the chain gave each hotkey of the subnet in its last epoch, shares of 65,535; those with nothing are left out. */
export async function readWeights(db: Database): Promise<Map<string, number>> {
  const rows = await db
    .select({ hotkey: neurons.hotkey, incentive: neurons.incentive })
    .from(neurons)
    .where(gt(neurons.incentive, 0))
    .limit(4096);
  return new Map(rows.map((row) => [row.hotkey, row.incentive]));
}
