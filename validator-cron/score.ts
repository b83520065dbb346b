/**
 * Scores of one epoch out of its observations (pure, integers only). What a judge thinks of a miner can be computed
 * again by anyone, bit for bit, from the observations the edge publishes.
 *
 *   score = success × availability × latency, each a share of FULL_SCORE
 *
 * It says how well a miner serves, not how much. Without a canary that counts it is 0, and `parts.canaries` says so.
 * Order, duplicates and records of other epochs change nothing. What is nobody's doing (`void`) counts as never asked.
 */
import { AUDIT_LIMITS, FULL_SCORE, REASONS, type Observation, type Score } from '#protocol/audit.ts';

/** Every number a score depends on. */
const SCORING = {
  /** Square of z of the one lower bound of success, ×10⁴: 1.96², so 97.5 % of honest miners are at or above it. */
  zSquared: 38_416n,
  /** Milliseconds to the first byte of a canary: whole marks up to `whole`, the least from `least` on, a line between. */
  firstByte: { whole: 1_000, least: 15_000 },
  /** The same for a ping. */
  rtt: { whole: 150, least: 1_500 },
  /** Permille of the latency part that the first byte makes; pings make the rest. */
  firstByteShare: 800,
  /** The least a slow miner keeps of the latency part. */
  latencyFloor: 250_000,
} as const;

const FULL = BigInt(FULL_SCORE);

/** One score per miner that was tested, ordered by hotkey. `round` is the newest round that is taken into account. */
export function score(observations: readonly Observation[], epoch: { start: number; seconds: number; round: number }): Score[] {
  const byMiner = Map.groupBy(recordsOf(observations, epoch), (o) => o.hotkey);
  return [...byMiner].map(([hotkey, records]) => scoreMiner(hotkey, records, epoch)).toSorted((a, b) => (a.hotkey < b.hotkey ? -1 : 1));
}

function scoreMiner(hotkey: string, records: readonly Observation[], epoch: { start: number; round: number }): Score {
  const canaries = records.filter((o) => o.type === 'canary');
  const pings = records.filter((o) => o.type === 'rtt');
  const served = canaries.filter((o) => REASONS[o.reason] === 'merit');
  const answered = pings.filter((o) => REASONS[o.reason] === 'merit');
  const success = lowerBound(served.length, canaries.length);
  const availability = pings.length === 0 ? FULL_SCORE : Math.floor((answered.length * FULL_SCORE) / pings.length);
  const latency = served.length === 0 ? 0 : latencyOf(served, answered);
  return {
    hotkey,
    epoch: epoch.start,
    round: epoch.round,
    score: Number((BigInt(success) * BigInt(availability) * BigInt(latency)) / (FULL * FULL)),
    parts: {
      success,
      availability,
      latency,
      canaries: canaries.length,
      canaries_ok: served.length,
      pings: pings.length,
      pings_ok: answered.length,
    },
  };
}

/** What counts: of this epoch, in time, somebody's doing, each id once (of two that differ, the same one for everybody). */
function recordsOf(observations: readonly Observation[], epoch: { start: number; seconds: number }): Observation[] {
  const from = epoch.start * 1000;
  const until = from + epoch.seconds * 1000 + AUDIT_LIMITS.lateMs;
  const byId = new Map<string, Observation>();
  for (const o of observations) {
    if (o.epoch !== epoch.start || o.at < from || o.at >= until || REASONS[o.reason] === 'void') continue;
    const other = byId.get(o.id);
    if (other === undefined || sortText(o) < sortText(other)) byId.set(o.id, o);
  }
  return [...byId.values()];
}

function sortText(o: Observation): string {
  return JSON.stringify([o.type, o.hotkey, o.reason, o.value_ms, o.first_byte_ms, o.at]);
}

/**
 * Wilson's lower bound of a success rate, ×FULL_SCORE: (s + z²/2 − √(z²·s(n−s)/n + z⁴/4)) / (n + z²). Few tests prove
 * little, so a miner cannot gain by being seen less.
 */
export function lowerBound(successes: number, tests: number): number {
  if (successes <= 0 || tests <= 0) return 0;
  const unit = 10n ** 12n;
  const s = BigInt(successes);
  const n = BigInt(tests);
  const z2 = SCORING.zSquared;
  const middle = s * unit + (z2 * unit) / 20_000n;
  const spread = rootOf((z2 * s * (n - s) * unit * unit) / (n * 10_000n) + (z2 * z2 * unit * unit) / 400_000_000n);
  const bound = ((middle - spread) * FULL * 10_000n) / (n * unit * 10_000n + z2 * unit);
  return bound < 0n ? 0 : Number(bound);
}

/** Whole square root, rounded up, by Newton's method. */
function rootOf(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) / 2n;
    if (next >= root) return root * root === value ? root : root + 1n;
    root = next;
  }
}

function latencyOf(served: readonly Observation[], answered: readonly Observation[]): number {
  const firstByte = marks(median(served.map((o) => o.first_byte_ms ?? o.value_ms ?? SCORING.firstByte.least)), SCORING.firstByte);
  const rtt = marks(median(answered.map((o) => o.value_ms ?? SCORING.rtt.least)) ?? SCORING.rtt.least, SCORING.rtt);
  return Math.floor((firstByte * SCORING.firstByteShare + rtt * (1000 - SCORING.firstByteShare)) / 1000);
}

function marks(ms: number | null, line: { whole: number; least: number }): number {
  if (ms === null || ms >= line.least) return SCORING.latencyFloor;
  if (ms <= line.whole) return FULL_SCORE;
  return FULL_SCORE - Math.ceil(((FULL_SCORE - SCORING.latencyFloor) * (ms - line.whole)) / (line.least - line.whole));
}

/** The lower of the two middle ones where there are two. */
function median(values: readonly number[]): number | null {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? null;
}
