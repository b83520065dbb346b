/**
 * A SHA-256 tree over blocks of equal size, as many as a power of two (pure): a few blocks are opened with their paths, so that
 * an opening is kilobytes where the work is megabytes. The depth is part of the challenge, so a node never passes for a block.
 */
import { hashOf } from './mix.ts';

const HASH = 32;

export interface Tree {
  root: Uint8Array;
  /** The hashes beside the way from a block to the root, lowest first. */
  path(block: number): Uint8Array;
}

export function treeOf(data: Uint8Array, blockBytes: number): Tree {
  const levels = [hashes(data, blockBytes)];
  for (let top = levels[0]; top !== undefined && top.length > HASH; top = levels.at(-1)) levels.push(hashes(top, 2 * HASH));
  return {
    root: levels.at(-1) ?? hashOf(),
    path: (block) => joined(levels.slice(0, -1).map((level, depth) => slot(level, (block >> depth) ^ 1))),
  };
}

/** The root that a block and its path lead to. */
export function climb(bytes: Uint8Array, block: number, path: Uint8Array): Uint8Array {
  let hash = hashOf(bytes);
  for (let depth = 0; depth * HASH < path.length; depth++) {
    const beside = slot(path, depth);
    hash = ((block >> depth) & 1) === 0 ? hashOf(hash, beside) : hashOf(beside, hash);
  }
  return hash;
}

/** Bytes of a path in a tree over so many blocks. */
export function pathBytes(blocks: number): number {
  return Math.log2(blocks) * HASH;
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function slot(hashesInRow: Uint8Array, index: number): Uint8Array {
  return hashesInRow.subarray(index * HASH, (index + 1) * HASH);
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function hashes(data: Uint8Array, blockBytes: number): Uint8Array {
  const all = new Uint8Array((data.length / blockBytes) * HASH);
  for (let at = 0; at * blockBytes < data.length; at++) all.set(hashOf(data.subarray(at * blockBytes, (at + 1) * blockBytes)), at * HASH);
  return all;
}
