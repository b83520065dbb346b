import { eq } from 'drizzle-orm';
import type { Database } from './client.ts';
import { usage } from './schema.ts';

/** One settled attempt. */
export interface UsageRecord {
  callId: string;
  attempt: number;
  accountId: string;
  keyId: string;
  chuteId: string;
  version: string;
  instanceId: string;
  agentId: string;
  hotkey: string;
  outcome: string;
  code: string;
  bytes: number;
  tokensIn: number | null;
  tokensOut: number | null;
  /** Unix milliseconds. */
  startedAt: number;
  firstByteMs: number | null;
  lastByteMs: number | null;
  costNanousd: bigint;
  receipt: object | null;
  /** Of the instance's reply; null: none came. */
  status: number | null;
  cachedIn: number | null;
  waitedMs: number;
  /** No instance was live when the call came. */
  cold: boolean;
  region: string;
  /** What the miner gets of the cost; the rest is the fee. */
  shareNanousd: bigint;
}

/** The recorded attempts of a call, for whoever outlives the Account's memory of it. */
export async function listUsageOfCall(db: Database, call: string) {
  return db.select().from(usage).where(eq(usage.callId, call)).orderBy(usage.attempt);
}
