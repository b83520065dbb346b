import { eq, sql } from 'drizzle-orm';
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

/**
 * A batch in one statement with one parameter. An attempt that is there already is left as it is, so sending a batch
 * again is harmless. Fails as a whole: `isRowFault` tells whether a row of it is at fault.
 */
export async function insertUsage(db: Database, records: UsageRecord[]): Promise<void> {
  const rows = JSON.stringify(records, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
  await db.execute(sql`
    insert into usage (call_id, attempt, account_id, key_id, chute_id, version, instance_id, agent_id, hotkey, outcome, code,
      bytes, tokens_in, tokens_out, started_at, first_byte_ms, last_byte_ms, cost_nanousd, receipt)
    select r."callId", r.attempt, r."accountId", r."keyId", r."chuteId", r.version, r."instanceId", r."agentId", r.hotkey, r.outcome, r.code,
      r.bytes, r."tokensIn", r."tokensOut", to_timestamp(r."startedAt" / 1000.0), r."firstByteMs", r."lastByteMs", r."costNanousd", r.receipt
    from jsonb_to_recordset(${rows}::jsonb) as r("callId" uuid, attempt smallint, "accountId" text, "keyId" text, "chuteId" text,
      version text, "instanceId" text, "agentId" text, hotkey text, outcome text, code text, bytes bigint, "tokensIn" bigint,
      "tokensOut" bigint, "startedAt" bigint, "firstByteMs" integer, "lastByteMs" integer, "costNanousd" bigint, receipt jsonb)
    on conflict do nothing`);
}

/** The recorded attempts of a call, for whoever outlives the Account's memory of it. */
export async function listUsageOfCall(db: Database, call: string) {
  return db.select().from(usage).where(eq(usage.callId, call)).orderBy(usage.attempt);
}
