/** Closed calls: what they did and what they cost. */
import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { answerOf, jsonOf } from './rows.ts';
import type { UsageRecord } from './usage.ts';

/** A closed call with its settled attempts. */
export interface CallRecord {
  callId: string;
  kind: 'call' | 'rent';
  accountId: string;
  keyId: string;
  chuteId: string;
  version: string;
  /** Unix milliseconds. */
  openedAt: number;
  closedAt: number;
  state: 'completed' | 'cancelled' | 'failed';
  /** Why it did not complete, or empty. */
  code: string;
  holdNanousd: bigint;
  /** At most the hold; the sum of its attempts' cost, and of cash and promo. */
  costNanousd: bigint;
  cashNanousd: bigint;
  promoNanousd: bigint;
  priceVersion: string;
  /** Ten-thousandths of the cost that the platform keeps. */
  feeBps: number;
  /** The lease that held it; null only when it cost nothing. */
  leaseEpoch: number | null;
  waitedMs: number;
  cold: boolean;
  attempts: UsageRecord[];
}

/**
 * Records closed calls and captures what they cost, in one statement. Batches may come twice, overlap and be reordered: a
 * call that is on record is left as it is. Fails as a whole: `isRowFault` tells whether a record of it is at fault, `isFenced`
 * whether the lease of one was taken back.
 */
export async function flushCalls(db: Database, records: CallRecord[]): Promise<{ taken: number; known: number }> {
  if (records.length === 0) return { taken: 0, known: 0 };
  const result = await db.execute(sql`select flush_calls(${jsonOf(records)}::jsonb)`);
  return answerOf(result) as { taken: number; known: number };
}
