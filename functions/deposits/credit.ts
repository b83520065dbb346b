/** Values the deposits that were seen and credits them. Without a fresh rate they wait: a deposit is never valued by an old one. */
import * as db from '#db';
import { genesisOf, type ChainEnv } from '../chain/chain.ts';
import { event } from '../events.ts';
import { ASSET, RATE_MAX_AGE_MS } from '../rates/terms.ts';

/** Deposits one run credits. */
const BATCH = 50;

/** One run; the number of deposits it credited. One that cannot be is told and keeps no other from its credit. */
export async function creditDeposits(env: db.DatabaseEnv & ChainEnv): Promise<number> {
  const handle = db.connect(env);
  const chain = genesisOf(env);
  const waiting = await db.listSeenDeposits(handle, chain, BATCH);
  if (waiting.length === 0) return 0;
  if ((await db.freshRate(handle, ASSET, RATE_MAX_AGE_MS)) === null) {
    event('deposits_wait', { deposits: waiting.length, why: 'no_rate' });
    return 0;
  }
  let credited = 0;
  for (const { blockHash, eventIndex } of waiting) {
    const of = { chain, blockHash, eventIndex, transferId: crypto.randomUUID(), rateMaxAgeMs: RATE_MAX_AGE_MS };
    try {
      if (await db.creditDeposit(handle, of)) credited++;
    } catch (error) {
      if (db.isUnanswered(error)) throw error;
      event('deposit_refused', { block: blockHash, index: eventIndex, why: db.sqlState(error) ?? 'unknown' });
    }
  }
  return credited;
}
