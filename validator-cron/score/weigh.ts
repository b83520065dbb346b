/** Weights as they go to the chain, out of shares (pure): whole numbers that sum up to exactly 65,535, by largest remainder. */
import type { EpochNeuron, Weights } from '#protocol/epoch.ts';
import { SHARE, type Scoring } from './parameters.ts';
import type { MinerScore } from './score.ts';

const ALL = 65_535;

/**
 * Uids in rising order, zeros left out. What nobody earned, or who is not registered, goes to the burn uid. Where that one is not
 * registered, what was earned is all there is; nothing at all where nothing was earned.
 */
export function weigh(scores: readonly MinerScore[], neurons: readonly Pick<EpochNeuron, 'uid' | 'hotkey'>[], scoring: Scoring): Weights {
  const uids = new Map(neurons.map((n) => [n.hotkey, n.uid]));
  const shares = new Map<number, bigint>();
  const give = (uid: number, share: bigint): void => void shares.set(uid, (shares.get(uid) ?? 0n) + share);
  for (const { hotkey, share } of scores) {
    const uid = uids.get(hotkey);
    if (uid !== undefined && share > 0) give(uid, BigInt(share));
  }
  const earned = sum([...shares.values()]);
  if (neurons.some((n) => n.uid === scoring.burnUid)) give(scoring.burnUid, BigInt(SHARE) - earned);
  return apportion(shares);
}

/** Of two equal remainders the lower uid's is served first. */
function apportion(shares: ReadonlyMap<number, bigint>): Weights {
  const total = sum([...shares.values()]);
  if (total === 0n) return { uids: [], values: [] };
  const parts = [...shares].map(([uid, share]) => ({
    uid,
    value: Number((share * BigInt(ALL)) / total),
    rest: (share * BigInt(ALL)) % total,
  }));
  const left = ALL - parts.reduce((all, p) => all + p.value, 0);
  const next = parts.toSorted((a, b) => (a.rest === b.rest ? a.uid - b.uid : a.rest > b.rest ? -1 : 1)).slice(0, left);
  const raised = new Set(next.map((p) => p.uid));
  const weights = parts
    .map((p) => ({ uid: p.uid, value: p.value + (raised.has(p.uid) ? 1 : 0) }))
    .filter((p) => p.value > 0)
    .toSorted((a, b) => a.uid - b.uid);
  return { uids: weights.map((w) => w.uid), values: weights.map((w) => w.value) };
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((all, value) => all + value, 0n);
}
