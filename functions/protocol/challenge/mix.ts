/** Words that cannot be foretold without their key and can be had in any order: what matrices are filled with (pure). */
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';

/** Four 32-bit words. */
export type Key = Int32Array;

/** A finaliser: each bit of the word turns half of the bits of the result. */
export function mix(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Two rounds under the key: words of neighbouring places have nothing in common, so that no product of them has a short cut. */
export function wordAt(key: Key, place: number): number {
  const once = mix(((place ^ (key[0] ?? 0)) + (key[1] ?? 0)) | 0);
  return mix(((once ^ (key[2] ?? 0)) + (key[3] ?? 0)) | 0);
}

/** The key of one matrix, out of 32 bytes each; `label` tells apart those that come from the same ones. */
export function keyOf(label: string, ...from: readonly Uint8Array[]): Key {
  const hash = hashOf(utf8ToBytes(label), ...from);
  const view = new DataView(hash.buffer, hash.byteOffset);
  return Int32Array.from([0, 4, 8, 12], (at) => view.getInt32(at, true));
}

/** SHA-256 of parts one after another. */
export function hashOf(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = sha256.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
}
