/** Samples out of public randomness: anybody draws the same ones (pure). */
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { hashOf } from './mix.ts';

/** Numbers below a bound, one after another. */
export interface Draws {
  below(bound: number): number;
  /** `count` different ones below `bound`, rising; all of them where there are no more. */
  distinct(count: number, bound: number): number[];
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
  return { below, distinct: (count, bound) => floyd(below, Math.min(count, bound), bound) };
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
