/**
 * When a commit is revealed. The chain's epochs are stateful: the next one follows from the last, from one that was put off,
 * and from the blocks since, all of one block. (The formula `(block + netuid + 1) / (tempo + 1)` is of older runtimes.)
 */
import type { BeaconChain } from '#protocol/challenge/beacon.ts';
import type { EpochClock } from '../../functions/chain/subnet.ts';

/** Blocks after which the chain starts an epoch whatever its tempo says. */
const LONGEST = 50_400;
/** Epochs that are looked ahead. */
const AHEAD = 128;
/** Blocks into its epoch at which a commit is meant to open; the chain tries again at each block of it. */
const INTO = 3;

/** The block of the next epoch at `from` or after it, as seen from block `at`; null: there is none (tempo 0). */
export function nextEpoch({ tempo, last, pending, since }: EpochClock, at: number, from = at + 1): number | null {
  if (tempo === 0) return null;
  const due = [last + tempo, at + LONGEST + 1 - since, ...(pending > 0 ? [pending] : [])];
  return Math.max(from, Math.min(...due));
}

/** First block of the epoch in which a commit opens that is in block `at + 1`; null: none that can be told. */
export function revealBlock(clock: EpochClock, at: number, period: number): number | null {
  const included = at + 1;
  let epoch = nextEpoch(clock, at);
  // A commit in the very block an epoch starts at belongs to that epoch.
  let ahead = period + (epoch === included ? 1 : 0);
  if (ahead > AHEAD) return null;
  if (ahead === 0) return included;
  while (epoch !== null && --ahead > 0) {
    const fired = { ...clock, last: epoch, pending: 0, since: 0 };
    epoch = nextEpoch(fired, epoch);
  }
  return epoch;
}

export interface RevealFacts {
  clock: EpochClock;
  /** Block, and its time (unix ms). */
  at: number;
  atMs: number;
  blockMs: number;
  period: number;
  /** Newest round that the chain has: an older one it does not take. */
  beaconRound: number;
}

/** The round of the beacon that is out by then; null as above. */
export function revealRound(beacon: BeaconChain, { clock, at, atMs, blockMs, period, beaconRound }: RevealFacts): number | null {
  const block = revealBlock(clock, at, period);
  if (block === null) return null;
  const openMs = atMs + (block + INTO - at) * blockMs;
  const round = Math.floor((openMs - beacon.genesis * 1000) / (beacon.period * 1000));
  return Math.max(1, round, beaconRound + 1);
}
