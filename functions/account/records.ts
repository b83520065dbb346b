/** What of an Account's rows goes to Postgres. Pure. */
import type { KeyRecord, UsageRecord } from '#db';
import type { AttemptRow, KeyRow } from './rows.ts';

export function usageRecord({ settlement: s, cost }: AttemptRow): UsageRecord {
  return {
    callId: s.call,
    attempt: s.attempt,
    accountId: s.account,
    keyId: s.key,
    chuteId: s.chute,
    version: s.version,
    instanceId: s.instance,
    agentId: s.agent,
    hotkey: s.hotkey,
    outcome: s.outcome,
    code: s.code,
    bytes: s.bytes,
    tokensIn: s.tokensIn,
    tokensOut: s.tokensOut,
    startedAt: s.startedAt,
    firstByteMs: s.firstByteMs,
    lastByteMs: s.lastByteMs,
    costNanousd: cost,
    receipt: s.receipt,
  };
}

export function keyRecord(accountId: string, k: KeyRow): KeyRecord {
  return {
    id: k.key,
    accountId,
    name: k.name,
    scopes: k.scopes,
    createdAt: new Date(k.createdAt),
    expiresAt: k.expiresAt === null ? null : new Date(k.expiresAt),
    revokedAt: k.revokedAt === null ? null : new Date(k.revokedAt),
  };
}
