/** Closed calls of an account, put on record as its Account object would: credit, a lease, batches. */
import * as db from '../../db/index.ts';

export type CallWish = Partial<Omit<db.CallRecord, 'attempts'>> & { attempts?: Partial<db.UsageRecord>[] };

/** A call that is as it should be; its cost is that of its attempts. */
export function closedCall(wish: CallWish): db.CallRecord {
  const callId = wish.callId ?? crypto.randomUUID();
  const openedAt = wish.openedAt ?? (wish.closedAt ?? Date.now()) - 1_000;
  const cost = (wish.attempts ?? []).reduce((sum, a) => sum + (a.costNanousd ?? 0n), 0n);
  const common = { accountId: 'acc_1', keyId: 'key_1', chuteId: 'cht_1', version: 'v1', waitedMs: 0, cold: false };
  const call = { ...common, ...wish };
  return {
    callId,
    kind: 'call',
    openedAt,
    closedAt: openedAt + 1_000,
    state: 'completed',
    code: '',
    holdNanousd: cost * 2n,
    costNanousd: cost,
    cashNanousd: cost,
    promoNanousd: 0n,
    priceVersion: 'prc_1',
    feeBps: 1_000,
    leaseEpoch: 1,
    ...call,
    attempts: (wish.attempts ?? []).map((attempt, i) => ({
      callId,
      attempt: i,
      accountId: call.accountId,
      keyId: call.keyId,
      chuteId: call.chuteId,
      version: call.version,
      instanceId: 'ins_1',
      agentId: 'agt_1',
      hotkey: '5M',
      outcome: 'completed',
      code: '',
      bytes: 100,
      tokensIn: null,
      cachedIn: null,
      tokensOut: null,
      startedAt: openedAt,
      firstByteMs: null,
      lastByteMs: null,
      costNanousd: 0n,
      receipt: null,
      status: 200,
      waitedMs: call.waitedMs,
      cold: call.cold,
      region: 'eu',
      ...attempt,
      shareNanousd: ((attempt.costNanousd ?? 0n) * BigInt(10_000 - (wish.feeBps ?? 1_000))) / 10_000n,
    })),
  };
}

/** They all belong to this account, which had no lease before. */
export async function putOnRecord(d: db.Database, accountId: string, calls: readonly db.CallRecord[]): Promise<void> {
  const cost = calls.reduce((sum, call) => sum + call.costNanousd, 0n) + 1n;
  await db.postTransfer(d, {
    id: crypto.randomUUID(),
    kind: 'credit',
    ref: `test/${accountId}`,
    owner: accountId,
    entries: { operator_clearing: -cost, [`cash/${accountId}`]: cost },
    reason: '',
  });
  await db.moveLease(d, { accountId, epoch: 1, n: 1, cash: 0n, promo: 0n, want: cost });
  for (let from = 0; from < calls.length; from += 500) await db.flushCalls(d, calls.slice(from, from + 500));
}

/** The same numbers every time. */
export function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
