/**
 * Rows of A times a tile of B, exact and fast in plain JavaScript (pure). Entries are 4 bits, −8 to 7, eight to a word. Two rows
 * of A and two columns of B are packed into one float64 each, so that one multiplication makes four products, in fields of 13
 * bits: 64 of them add up to −3,584…4,096, so with a bias no field overflows into the next and everything stays a whole number
 * below 2^53. Prover and verifier run this very code.
 */
import { mix, wordAt, type Key } from './mix.ts';
import type { MmProfile } from './suite.ts';

/** A tile of B, two columns to a byte, column after column: `bytes[pair · n + row]`, the even column in the low half. */
export interface Tile {
  index: number;
  bytes: Uint8Array;
}

/** Rows that are multiplied at once. */
export const PACKED = 2;

const FIELD = 2 ** 13;
const HALF = FIELD * FIELD;
const TERMS = 64;
const BIAS = 3_584;
const BIASES = BIAS * (1 + FIELD + HALF + HALF * FIELD);
const MASK = FIELD - 1;
const GOLDEN = 0x9e3779b9;

/** The two columns of a byte. */
const PAIR = Float64Array.from({ length: 256 }, (_, byte) => (byte & 15) - 8 + ((byte >> 4) - 8) * FIELD);

export function tileOf({ n, tile: width }: MmProfile, key: Key, index: number): Tile {
  const bytes = new Uint8Array((n * width) / 2);
  for (let eight = 0; eight < width / 8; eight++) {
    const first = (index * width) / 8 + eight;
    const out = eight * 4 * n;
    for (let row = 0; row < n; row++) {
      const word = wordAt(key, row * (n / 8) + first);
      bytes[out + row] = word;
      bytes[out + n + row] = word >>> 8;
      bytes[out + 2 * n + row] = word >>> 16;
      bytes[out + 3 * n + row] = word >>> 24;
    }
  }
  return { index, bytes };
}

/** Adds a row of A to the packed ones, as the first or the second. */
export function packRow(packed: Float64Array, key: Key, row: number, field: number): void {
  const n = packed.length;
  const scale = field === 0 ? 1 : HALF;
  for (let eight = 0; eight < n / 8; eight++) {
    let word = wordAt(key, row * (n / 8) + eight);
    for (let k = eight * 8; k < eight * 8 + 8; k++) {
      packed[k] = (packed[k] ?? 0) + ((word & 15) - 8) * scale;
      word >>>= 4;
    }
  }
}

/**
 * The leaves of the packed rows over a tile: each the sum of its mixed products. Mixing is what makes the products themselves be
 * needed: a plain sum would be had from the sum of B's columns.
 */
export function leavesOf({ n, tile: width }: MmProfile, packed: Float64Array, tile: Tile): Int32Array {
  const leaves = new Int32Array(PACKED);
  const sums = new Int32Array(16);
  for (let column = 0; column < width; column += 8) {
    eightColumns(packed, tile.bytes, (column / 2) * n, sums);
    for (let at = 0; at < 16; at++) {
      const row = (at >> 1) & 1;
      const salt = Math.imul(tile.index * width + column + (at >> 2) * 2 + (at & 1), GOLDEN);
      leaves[row] = (leaves[row] ?? 0) + mix((sums[at] ?? 0) ^ salt);
    }
  }
  return leaves;
}

/** Sums of both rows over eight columns from `at` on; `sums[pair · 4 + row · 2 + column of the pair]`. */
function eightColumns(packed: Float64Array, bytes: Uint8Array, at: number, sums: Int32Array): void {
  const n = packed.length;
  sums.fill(-BIAS * (n / TERMS));
  for (let begin = 0; begin < n; begin += TERMS) {
    let a = BIASES;
    let b = BIASES;
    let c = BIASES;
    let d = BIASES;
    for (let k = begin; k < begin + TERMS; k++) {
      const rows = packed[k]!;
      a += rows * PAIR[bytes[at + k]!]!;
      b += rows * PAIR[bytes[at + n + k]!]!;
      c += rows * PAIR[bytes[at + 2 * n + k]!]!;
      d += rows * PAIR[bytes[at + 3 * n + k]!]!;
    }
    unpack(a, sums, 0);
    unpack(b, sums, 4);
    unpack(c, sums, 8);
    unpack(d, sums, 12);
  }
}

function unpack(fields: number, sums: Int32Array, at: number): void {
  const high = Math.floor(fields / HALF);
  const low = fields - high * HALF;
  sums[at] = sums[at]! + (low & MASK);
  sums[at + 1] = sums[at + 1]! + (low >>> 13);
  sums[at + 2] = sums[at + 2]! + (high & MASK);
  sums[at + 3] = sums[at + 3]! + (high >>> 13);
}
