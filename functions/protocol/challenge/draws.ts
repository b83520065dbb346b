/** Samples out of public randomness: anybody draws the same ones (pure). */
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { hashOf } from './mix.ts';

/** Numbers below a bound, one after another. */
export interface Draws {
  below(bound: number): number;
  /** `count` different ones below `bound`, rising; all of them where there are no more. */
  distinct(count: number, bound: number): number[];
  /** `count` below `bound` in any order, each as often as any other. */
  spread(count: number, bound: number): number[];
}

/** Draws that are known when both the root of a work and a later pulse are. */
export function drawsOf(root: string, randomness: string): Draws {
  const from = hashOf(utf8ToBytes('ripcord/samples/1'), hexToBytes(root), hexToBytes(randomness));
  let next = 0;
  const below = (bound: number): number => {
    const hash = hashOf(from, Uint8Array.of(next & 255, next >>> 8));
    next += 1;
    // 48 bits: none is likelier than another by more than one in 2^20.
    let value = 0;
    for (const byte of hash.subarray(0, 6)) value = value * 256 + byte;
    return value % bound;
  };
  return {
    below,
    distinct: (count, bound) => floyd(below, Math.min(count, bound), bound),
    spread: (count, bound) => shuffled(below, count, bound),
  };
}

/** Floyd's sampling without replacement: as many draws as samples. */
function floyd(below: (bound: number) => number, count: number, bound: number): number[] {
  const drawn = new Set<number>();
  for (let last = bound - count; last < bound; last++) {
    const one = below(last + 1);
    drawn.add(drawn.has(one) ? last : one);
  }
  return [...drawn].sort((a, b) => a - b);
}

/** Begins anywhere, so that none is left out more often where `count` is no multiple of `bound`. */
function shuffled(below: (bound: number) => number, count: number, bound: number): number[] {
  const first = below(bound);
  const all = Array.from({ length: count }, (_, at) => (first + at) % bound);
  for (let at = count - 1; at > 0; at--) {
    const other = below(at + 1);
    [all[at], all[other]] = [all[other] ?? 0, all[at] ?? 0];
  }
  return all;
}
