/**
 * `fs` and `weights` (pure): a folder as a Merkle tree, and the proof that somebody has its bytes.
 *
 * A leaf is one piece of 4 KiB of one file, with the file's path and the number of the piece before its bytes; an empty file has one
 * leaf. Files stand in the order of the bytes of their paths. The tree is that of RFC 6962: hashes of leaves and of nodes cannot be
 * taken for each other, and any number of leaves has one shape. Bytes are returned, never hashes of leaves: those are 1 % of the data,
 * and who kept only them would have nothing.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Manifest } from '../chute.ts';
import { drawsOf } from './draws.ts';
import { CHALLENGE_LIMITS } from './suite.ts';
import type { Wrong } from './verdict.ts';

/** Bytes of a file in one leaf, and of a path in one. */
export const LEAF_BYTES = 4_096;
const PATH_BYTES = 1_024;
/** Of what is hashed as a leaf: length and path, number of the piece, bytes. */
const WHOLE_LEAF_BYTES = 2 + PATH_BYTES + 4 + LEAF_BYTES;
const HASH_BYTES = 32;

/** Leaves that one challenge asks for. */
const SAMPLES = 32;

/** Leaves under one kept hash: what a prover keeps of a folder is then 32 bytes a MiB. */
export const BLOCK_LEAVES = 256;

/** SHA-256; where there is a faster one than in plain JavaScript it is an argument. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** What a leaf's hash is over. Throws `RangeError` for a path that no leaf can hold. */
export function leafOf(path: string, piece: number, bytes: Uint8Array): Uint8Array {
  const name = utf8ToBytes(path);
  if (name.length > PATH_BYTES) throw new RangeError(`a path of more than ${PATH_BYTES} bytes`);
  const leaf = new Uint8Array(2 + name.length + 4 + bytes.length);
  const view = new DataView(leaf.buffer);
  view.setUint16(0, name.length);
  leaf.set(name, 2);
  view.setUint32(2 + name.length, piece);
  leaf.set(bytes, 6 + name.length);
  return leaf;
}

export function leafHash(leaf: Uint8Array, hash: Sha256 = sha256): Uint8Array {
  const all = new Uint8Array(1 + leaf.length);
  all.set(leaf, 1);
  return hash(all);
}

function nodeHash(left: Uint8Array, right: Uint8Array, hash: Sha256): Uint8Array {
  const all = new Uint8Array(1 + 2 * HASH_BYTES);
  all[0] = 1;
  all.set(left, 1);
  all.set(right, 1 + HASH_BYTES);
  return hash(all);
}

/** The root over hashes of leaves, or over roots of blocks that are full but for the last: it is the same tree. */
export function rootOf(hashes: readonly Uint8Array[], hash: Sha256 = sha256): Uint8Array {
  let level = hashes;
  // What stands alone at the right end goes up as it is.
  while (level.length > 1) level = pairs(level).map(([left, right]) => (right === undefined ? left : nodeHash(left, right, hash)));
  const [root] = level;
  if (root === undefined) throw new RangeError('a tree without leaves');
  return root;
}

/** The hashes beside the way from one leaf (or block) up to the root, lowest first. */
export function pathOf(hashes: readonly Uint8Array[], index: number, hash: Sha256 = sha256): Uint8Array[] {
  const path: Uint8Array[] = [];
  let level = hashes;
  for (let at = index; level.length > 1; at >>>= 1) {
    const beside = level[at ^ 1];
    if (beside !== undefined) path.push(beside);
    level = pairs(level).map(([left, right]) => (right === undefined ? left : nodeHash(left, right, hash)));
  }
  return path;
}

function pairs(level: readonly Uint8Array[]): [Uint8Array, Uint8Array | undefined][] {
  return level.flatMap((left, at) => (at % 2 === 0 ? [[left, level[at + 1]] satisfies [Uint8Array, Uint8Array | undefined]] : []));
}

/** Makes a manifest of files that come in order, piece by piece of any size. */
export class ManifestBuilder {
  readonly #hash: Sha256;
  readonly #blocks: Uint8Array[] = [];
  readonly #rest = new Uint8Array(LEAF_BYTES);
  #block: Uint8Array[] = [];
  #leaves = 0;
  #path = '';
  #piece = 0;
  #filled = 0;

  constructor(hash: Sha256 = sha256) {
    this.#hash = hash;
  }

  begin(path: string): void {
    this.#path = path;
    this.#piece = 0;
    this.#filled = 0;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === LEAF_BYTES) this.#leaf();
      const taken = Math.min(LEAF_BYTES - this.#filled, bytes.length - at);
      this.#rest.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
    }
  }

  end(): void {
    if (this.#filled > 0 || this.#piece === 0) this.#leaf();
  }

  /** Of a folder without a file there is none. */
  done(): (Manifest & { blocks: readonly Uint8Array[] }) | null {
    if (this.#leaves === 0) return null;
    this.#closeBlock();
    return { root: bytesToHex(rootOf(this.#blocks, this.#hash)), leaves: this.#leaves, blocks: this.#blocks };
  }

  #leaf(): void {
    this.#block.push(leafHash(leafOf(this.#path, this.#piece, this.#rest.subarray(0, this.#filled)), this.#hash));
    this.#piece++;
    this.#leaves++;
    this.#filled = 0;
    if (this.#block.length === BLOCK_LEAVES) this.#closeBlock();
  }

  #closeBlock(): void {
    if (this.#block.length > 0) this.#blocks.push(rootOf(this.#block, this.#hash));
    this.#block = [];
  }
}

/** Leaves of one file. */
export function leavesOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / LEAF_BYTES));
}

/** What was asked: leaves of this manifest, those that the seed names. */
export interface PossessionAsk extends Manifest {
  /** `challengeSeed`, hex. */
  seed: string;
}

/** Which leaves are asked for: distinct ones, rising; all of them where there are few. */
export function possessionSamples({ root, leaves, seed }: PossessionAsk): number[] {
  return drawsOf(root, seed).distinct(SAMPLES, leaves);
}

/** One sampled leaf and the hashes beside its way up. */
export interface OpenedLeaf {
  leaf: Uint8Array;
  path: readonly Uint8Array[];
}

/** In the order of the samples: length of the leaf in two bytes, the leaf, the path, whose length follows from index and number. */
export function encodePossession(opened: readonly OpenedLeaf[]): Uint8Array {
  const parts = opened.flatMap(({ leaf, path }) => [Uint8Array.of(leaf.length >> 8, leaf.length & 255), leaf, ...path]);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Null: it has not the form of an opening of these samples. */
export function decodePossession(opening: Uint8Array, leaves: number, samples: readonly number[]): OpenedLeaf[] | null {
  if (opening.length > CHALLENGE_LIMITS.openingBytes) return null;
  const opened: OpenedLeaf[] = [];
  let at = 0;
  for (const index of samples) {
    const size = (opening[at] ?? 0) * 256 + (opening[at + 1] ?? 0);
    const steps = pathLength(index, leaves);
    const end = at + 2 + size + steps * HASH_BYTES;
    if (size > WHOLE_LEAF_BYTES || end > opening.length) return null;
    const leaf = opening.subarray(at + 2, at + 2 + size);
    const path = Array.from({ length: steps }, (_, k) => {
      const from = at + 2 + size + k * HASH_BYTES;
      return opening.subarray(from, from + HASH_BYTES);
    });
    opened.push({ leaf, path });
    at = end;
  }
  return at === opening.length ? opened : null;
}

function pathLength(index: number, leaves: number): number {
  let steps = 0;
  for (let at = index, last = leaves - 1; last > 0; at >>>= 1, last >>>= 1) if ((at & 1) === 1 || at < last) steps++;
  return steps;
}

/** The first sample that is wrong, or null: every byte is one of the manifest. */
export function checkPossession(ask: PossessionAsk, opening: Uint8Array, hash: Sha256 = sha256): Wrong | null {
  const { root, leaves } = ask;
  const samples = possessionSamples(ask);
  const opened = decodePossession(opening, leaves, samples);
  if (opened === null)
    return { reason: 'malformed', at: 'opening', due: `${samples.length} leaves and their paths`, given: `${opening.length} bytes` };
  const due = hexToBytes(root);
  for (const [k, index] of samples.entries()) {
    const { leaf, path } = opened[k] ?? { leaf: new Uint8Array(), path: [] };
    const given = climb(leafHash(leaf, hash), index, leaves, path, hash);
    if (!same(due, given)) return { reason: 'wrong_bytes', at: `leaf ${index}`, due: `root ${root}`, given: `root ${bytesToHex(given)}` };
  }
  return null;
}

/** From a leaf's hash up to the root. */
function climb(from: Uint8Array, index: number, leaves: number, path: readonly Uint8Array[], hash: Sha256): Uint8Array {
  let node = from;
  let step = 0;
  for (let at = index, last = leaves - 1; last > 0; at >>>= 1, last >>>= 1) {
    const left = (at & 1) === 1;
    if (!left && at >= last) continue;
    const beside = path[step++] ?? new Uint8Array(HASH_BYTES);
    node = left ? nodeHash(beside, node, hash) : nodeHash(node, beside, hash);
  }
  return node;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
