/** Marks out of counts and milliseconds, in whole numbers up to `FULL` (pure). */
import { FULL, type Line, type Scoring } from './parameters.ts';

export interface Count {
  all: number;
  ok: number;
}

/** A count as it stands, or with the same rate scaled down to `most`, rounded against it. */
export function scaled({ all, ok }: Count, most: number): Count {
  return all <= most ? { all, ok } : { all: most, ok: Number((BigInt(ok) * BigInt(most)) / BigInt(all)) };
}

/**
 * Marks for tests: the lower bound of the success rate, of what a faultless row of `tests` has. Few tests prove little, so nobody gains
 * by being tested less; beyond `tests` only the rate counts, so nobody gains by being larger.
 */
export function testMarks(count: Count, { tests, zSquared }: Scoring): number {
  const bound = lowerBound(count, Math.min(count.all, tests), zSquared);
  const best = lowerBound({ all: tests, ok: tests }, tests, zSquared);
  return Math.floor((bound * FULL) / best);
}

/** Marks for paid attempts: their plain rate. Who has none has failed none. */
export function callMarks({ all, ok }: Count): number {
  return all === 0 ? FULL : Number((BigInt(ok) * BigInt(FULL)) / BigInt(all));
}

/**
 * Wilson's lower bound of a success rate p, ×FULL, as if it came of n tests: (n·p + z²/2 − √(z²·n·p(1−p) + z⁴/4)) / (n + z²).
 * `zSquared`: ×10⁴.
 */
export function lowerBound(count: Count, tests: number, zSquared: number): number {
  if (count.ok <= 0 || tests <= 0) return 0;
  const unit = 10n ** 12n;
  const [ok, all, n, z2] = [BigInt(count.ok), BigInt(count.all), BigInt(tests), BigInt(zSquared)];
  const middle = (n * ok * unit) / all + (z2 * unit) / 20_000n;
  const spread = rootOf((z2 * n * ok * (all - ok) * unit * unit) / (all * all * 10_000n) + (z2 * z2 * unit * unit) / 400_000_000n);
  const bound = ((middle - spread) * BigInt(FULL) * 10_000n) / (n * unit * 10_000n + z2 * unit);
  return bound < 0n ? 0 : Number(bound);
}

/** Marks of a time: all up to `whole`, `floor` from `least` on. */
export function lineMarks(ms: number, line: Line, floor: number): number {
  if (ms >= line.least) return floor;
  if (ms <= line.whole) return FULL;
  return FULL - Math.ceil(((FULL - floor) * (ms - line.whole)) / (line.least - line.whole));
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
