/** Closed calls as an Account object would flush them. */
import type { CallRecord, UsageRecord } from '../../../db/index.ts';

export interface CallWish {
  id?: string;
  account?: string;
  epoch?: number | null;
  /** Each attempt's miner and cost, in nano-USD. */
  attempts?: { hotkey: string; cost: bigint }[];
  /** How much of the cost is promo. */
  promo?: bigint;
  hold?: bigint;
  feeBps?: number;
  kind?: 'call' | 'rent';
}

export const AT = 1_790_000_000_000;

/** A call that is as it should be. */
export function closedCall(wish: CallWish = {}): CallRecord {
  const {
    id = crypto.randomUUID(),
    account = 'acc_1',
    epoch = 1,
    attempts = [{ hotkey: '5M', cost: 100n }],
    promo = 0n,
    feeBps = 1000,
  } = wish;
  const cost = attempts.reduce((sum, a) => sum + a.cost, 0n);
  return {
    callId: id,
    kind: wish.kind ?? 'call',
    accountId: account,
    keyId: 'key_1',
    chuteId: 'cht_1',
    version: 'v1',
    openedAt: AT,
    closedAt: AT + 1500,
    state: 'completed',
    code: '',
    holdNanousd: wish.hold ?? cost * 2n,
    costNanousd: cost,
    cashNanousd: cost - promo,
    promoNanousd: promo,
    priceVersion: 'prc_1',
    feeBps,
    leaseEpoch: epoch,
    waitedMs: 3,
    cold: false,
    attempts: attempts.map(({ hotkey, cost: part }, i) => attemptOf(id, account, i, hotkey, part, feeBps)),
  };
}

function attemptOf(callId: string, accountId: string, attempt: number, hotkey: string, cost: bigint, feeBps: number): UsageRecord {
  return {
    callId,
    attempt,
    accountId,
    keyId: 'key_1',
    chuteId: 'cht_1',
    version: 'v1',
    instanceId: 'ins_1',
    agentId: 'agt_1',
    hotkey,
    outcome: 'completed',
    code: '',
    bytes: 10,
    tokensIn: 7,
    tokensOut: 5,
    startedAt: AT + attempt,
    firstByteMs: 1,
    lastByteMs: 9,
    costNanousd: cost,
    receipt: { sha256: 'x' },
    status: 200,
    cachedIn: 2,
    waitedMs: 3,
    cold: false,
    region: 'eu',
    shareNanousd: (cost * BigInt(10_000 - feeBps)) / 10_000n,
  };
}
