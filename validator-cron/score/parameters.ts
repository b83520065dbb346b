/**
 * Every number that scores and weights depend on. The table is public, its hash is in every summary, and two judges with the same
 * table and the same files have the same weights. What each number does: docs/scoring.md.
 */
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import type { Suite } from '#protocol/challenge/index.ts';

/** A whole score: every part of it perfect. */
export const FULL = 1_000_000;

/** All of the miners' emission; a miner's share is a part of it. */
export const SHARE = 1_000_000_000_000;

export interface Scoring {
  name: Suite['name'];
  /** Epochs that a score looks back, the newest with them. */
  window: number;
  /** Thousandths of all emission that go by capacity at least. */
  capacity: number;
  /** Nano-USD: at least what an hour's emission of all miners is worth. Too high pays calls less, never more. */
  emissionPerHour: number;
  /** Thousandths: the least fee that is taken on calls, and what emission gives for use. */
  fee: number;
  usePay: number;
  /** Thousandths of what use can get in an epoch that one payer can bring. */
  payer: number;
  flash: {
    /** Thousandths of the devices with a proof that must have been tested, else it was no flash. */
    quorum: number;
    /** Rounds of the beacon that a test's seed may come after the first one's. 0: all at the very same time. */
    rounds: number;
    /** Slots from a flash on in which its transcripts may still be missing. */
    late: number;
    /** Seconds that a proof is good for where no flash follows. */
    keep: number;
  };
  /** Square of z of the lower bound of success, ×10⁴: 1.96², so that 97.5 % of honest miners are at or above it. */
  zSquared: number;
  /** Tests over the window that give the bound its full sharpness; more are scaled down to them. */
  tests: number;
  /** What an epoch's pings and paid attempts are scaled down to. */
  pings: number;
  calls: number;
  latency: {
    /** Milliseconds: whole marks up to `whole`, the least from `least` on, a line between. */
    firstByte: Line;
    rtt: Line;
    /** Thousandths of the marks that the first byte makes; pings make the rest. */
    firstByteShare: number;
    /** The least a slow miner keeps, of `FULL`. */
    floor: number;
  };
  /** Who gets what nobody earned: on a subnet uid 0 is its owner's, and what its owner gets is burned. */
  burnUid: number;
}

export interface Line {
  whole: number;
  least: number;
}

const USD = 1_000_000_000;

const MAINNET: Scoring = {
  name: 'mainnet',
  window: 168,
  capacity: 700,
  emissionPerHour: 2_000 * USD,
  fee: 150,
  usePay: 100,
  payer: 20,
  flash: { quorum: 500, rounds: 0, late: 3, keep: 48 * 3600 },
  zSquared: 38_416,
  tests: 200,
  pings: 4,
  calls: 1_000,
  latency: { firstByte: { whole: 1_000, least: 15_000 }, rtt: { whole: 150, least: 1_500 }, firstByteShare: 800, floor: 250_000 },
  burnUid: 0,
};

/** A few machines, epochs of a minute: what takes a day shows in minutes. */
const DEVELOPMENT: Scoring = {
  ...MAINNET,
  name: 'development',
  window: 10,
  emissionPerHour: USD,
  flash: { quorum: 500, rounds: 20, late: 3, keep: 600 },
  tests: 20,
};

export const SCORING: Record<Suite['name'], Scoring> = { mainnet: MAINNET, development: DEVELOPMENT };

/** What stands in every summary of this table. */
export function scoringSha256(scoring: Scoring): string {
  return sha256Of(canonicalJson(scoring));
}

/** What is wrong with a table, in words; empty: nothing. */
export function brokenLimits(s: Scoring): string[] {
  const limits: [string, boolean][] = [
    ['window: 1 to 1,000 epochs', within(s.window, 1, 1_000)],
    ['capacity: 0 to 1,000', within(s.capacity, 0, 1_000)],
    ['emissionPerHour: more than 0', within(s.emissionPerHour, 1, Number.MAX_SAFE_INTEGER)],
    ['fee: 0 to 1,000', within(s.fee, 0, 1_000)],
    ['usePay: at most the fee, or buying from oneself pays', within(s.usePay, 0, s.fee)],
    ['payer: at most 20, or one payer moves a share by more than 2 %', within(s.payer, 1, 20)],
    ['flash.quorum: 1 to 1,000', within(s.flash.quorum, 1, 1_000)],
    ['flash.rounds, flash.late: 0 to 100', within(s.flash.rounds, 0, 100) && within(s.flash.late, 0, 100)],
    ['flash.keep: at least a minute', within(s.flash.keep, 60, 30 * 86_400)],
    ['zSquared: 0 to 160,000', within(s.zSquared, 0, 160_000)],
    ['tests: 1 to 10,000', within(s.tests, 1, 10_000)],
    ['pings, calls: 0 to 10,000', within(s.pings, 0, 10_000) && within(s.calls, 0, 10_000)],
    [
      'latency: each line rises',
      [s.latency.firstByte, s.latency.rtt].every((l) => within(l.whole, 0, l.least - 1) && within(l.least, 1, 3_600_000)),
    ],
    ['latency.firstByteShare: 0 to 1,000', within(s.latency.firstByteShare, 0, 1_000)],
    ['latency.floor: 0 to 1,000,000', within(s.latency.floor, 0, FULL)],
    ['burnUid: 0 to 65,535', within(s.burnUid, 0, 65_535)],
  ];
  return limits.filter(([, kept]) => !kept).map(([limit]) => limit);
}

function within(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
