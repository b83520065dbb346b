/**
 * Signed extrinsics (version 4) as bytes: what can be said of one without the chain's metadata. `compact length | 0x84 |
 * 0x00 signer | 0x01 sr25519 signature | era | nonce … | call`.
 */
import { blake2b } from '@noble/hashes/blake2.js';

/** How long an extrinsic may be included: from a block whose number is `phase` modulo `period`, for `period` blocks. */
export interface Era {
  period: number;
  phase: number;
}

const SIGNED_V4 = 0x84;
const ACCOUNT_ID = 0x00;
const SR25519 = 0x01;

/** Its hash, by which blocks and explorers know it. */
export function extrinsicHash(extrinsic: Uint8Array): Uint8Array {
  return blake2b(extrinsic, { dkLen: 32 });
}

/** The era of a mortal one signed by an sr25519 account; null for anything else. */
export function eraOf(extrinsic: Uint8Array): Era | null {
  const length = readCompact(extrinsic);
  if (length === null || length.value !== BigInt(extrinsic.length - length.bytes)) return null;
  const body = extrinsic.subarray(length.bytes);
  if (body[0] !== SIGNED_V4 || body[1] !== ACCOUNT_ID || body[34] !== SR25519) return null;
  const [low, high] = [body[99], body[100]];
  if (low === undefined || high === undefined || low === 0) return null;
  const encoded = low | (high << 8);
  const period = 2 << (encoded & 15);
  return { period, phase: (encoded >> 4) * Math.max(1, period >> 12) };
}

/** Bytes of a compact number, as amounts are written in calls. */
export function compact(value: bigint): Uint8Array {
  if (value < 1n << 6n) return little(value << 2n, 1);
  if (value < 1n << 14n) return little((value << 2n) | 1n, 2);
  if (value < 1n << 30n) return little((value << 2n) | 2n, 4);
  const bytes = Math.max(4, Math.ceil(value.toString(16).length / 2));
  return Uint8Array.from([((bytes - 4) << 2) | 3, ...little(value, bytes)]);
}

/** A compact number at the start; null where it is cut off. */
export function readCompact(bytes: Uint8Array): { value: bigint; bytes: number } | null {
  const first = bytes[0];
  if (first === undefined) return null;
  const mode = first & 3;
  const width = mode === 3 ? 5 + (first >> 2) : 1 << mode;
  if (bytes.length < width) return null;
  if (mode === 3) return { value: fromLittle(bytes.subarray(1, width)), bytes: width };
  return { value: fromLittle(bytes.subarray(0, width)) >> 2n, bytes: width };
}

export function little(value: bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

function fromLittle(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
