/** ss58 addresses of sr25519 public keys with prefix 42: base58 of prefix, 32 bytes, and two bytes of a BLAKE2b checksum. */
import { blake2b } from '@noble/hashes/blake2.js';
import { base58 } from '@scure/base';

const PREFIX = 42;
const KEY_BYTES = 32;
const CHECKSUM_BYTES = 2;
const CONTEXT = new TextEncoder().encode('SS58PRE');

/** The public key of an address, or null if it is not exactly an address of ours. */
export function decodeSs58(address: string): Uint8Array | null {
  if (address.length < 46 || address.length > 50) return null;
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(address);
  } catch {
    return null;
  }
  if (bytes.length !== 1 + KEY_BYTES + CHECKSUM_BYTES || bytes[0] !== PREFIX) return null;
  const sum = checksum(bytes.subarray(0, 1 + KEY_BYTES));
  if (sum[0] !== bytes[1 + KEY_BYTES] || sum[1] !== bytes[2 + KEY_BYTES]) return null;
  return bytes.subarray(1, 1 + KEY_BYTES);
}

/** The address of a 32-byte public key. */
export function encodeSs58(publicKey: Uint8Array): string {
  const bytes = new Uint8Array(1 + KEY_BYTES + CHECKSUM_BYTES);
  bytes[0] = PREFIX;
  bytes.set(publicKey, 1);
  bytes.set(checksum(bytes.subarray(0, 1 + KEY_BYTES)).subarray(0, CHECKSUM_BYTES), 1 + KEY_BYTES);
  return base58.encode(bytes);
}

function checksum(body: Uint8Array): Uint8Array {
  return blake2b.create({ dkLen: 64 }).update(CONTEXT).update(body).digest();
}
