/** What of an Account's rows goes to Postgres. Pure. */
import type { CallRecord, KeyRecord, UsageRecord } from '#db';
import { shareOf } from '../prices/cost.ts';
import { costOf } from './calls.ts';
import type { AttemptRow, CallRow, KeyRow } from './rows.ts';
import { codeOf, outcomeOf } from './story.ts';

/** A closed call with the attempts that count. */
export function callRecord(accountId: string, row: CallRow): CallRecord {
  const attempts = row.attempts.filter((attempt) => !attempt.refused);
  const cost = costOf(row);
  return {
    callId: row.call,
    // On record a bounty is a rent by terms of its own: one sum for an instance, and no call.
    kind: row.kind === 'call' ? 'call' : 'rent',
    accountId,
    keyId: row.key,
    chuteId: row.chute,
    version: row.version,
    openedAt: row.openedAt,
    closedAt: row.closedAt ?? row.openedAt,
    state: outcomeOf(row),
    code: codeOf(row),
    holdNanousd: row.hold,
    costNanousd: cost,
    cashNanousd: row.cash,
    promoNanousd: row.promo,
    priceVersion: row.terms.version,
    feeBps: row.terms.feeBps,
    leaseEpoch: cost === 0n ? null : row.epoch,
    waitedMs: attempts[0]?.settlement.waitedMs ?? 0,
    cold: attempts[0]?.settlement.cold ?? false,
    attempts: attempts.map((attempt) => usageRecord(attempt, row.terms.feeBps)),
  };
}

function usageRecord({ settlement: s, cost }: AttemptRow, feeBps: number): UsageRecord {
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
    status: s.status,
    cachedIn: s.cachedIn,
    waitedMs: s.waitedMs,
    cold: s.cold,
    region: s.region,
    shareNanousd: shareOf(cost, feeBps),
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
