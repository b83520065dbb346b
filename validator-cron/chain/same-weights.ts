/** Whether the chain has these weights (pure). It keeps them scaled so that the largest is 65,535, rounded its own way. */
import type { Weights } from '#protocol/epoch.ts';

const FULL = 65_535;

export function sameWeights({ uids, values }: Weights, kept: readonly (readonly [uid: number, value: number])[]): boolean {
  const largest = Math.max(0, ...values);
  const stored = new Map(kept.filter(([, value]) => value > 0));
  if (stored.size !== uids.length) return false;
  return uids.every((uid, i) => Math.abs((stored.get(uid) ?? 0) * largest - (values[i] ?? 0) * FULL) <= largest);
}
