/** Which epochs a judge has still to do (pure). */
import type { EpochItem } from '../edge/feed.ts';

/** Epochs that a judge which was away goes back; what is older stays without its word. */
export const BACK = 24;
/** Epochs of one tick. */
export const AT_ONCE = 2;
/** Newer ones that wait behind an epoch which cannot be judged, before it is passed over. */
export const PATIENCE = 6;

/** Those whose evidence is closed, newest first, as far back as a judge goes. */
export function closed(epochs: readonly EpochItem[]): number[] {
  return epochs
    .filter(({ hash }) => hash !== null)
    .map(({ epoch }) => epoch)
    .toSorted((a, b) => b - a)
    .slice(0, BACK);
}

/** Epochs before this one that its score looks back to. */
export function windowOf(epochs: readonly EpochItem[], epoch: number, window: number, seconds: number): number[] {
  return epochs.map((item) => item.epoch).filter((start) => start < epoch && start > epoch - window * seconds);
}
