/** ss58 addresses of Bittensor (prefix 42): base58 of prefix, public key and the first two bytes of a BLAKE2b checksum. */
import { blake2b } from '@noble/hashes/blake2.js';
import { base58 } from '@scure/base';

const PREFIX = 42;
const LABEL = new TextEncoder().encode('SS58PRE');

/** The address of a 32-byte public key. */
export function encodeAddress(publicKey: Uint8Array): string {
  const body = new Uint8Array(35);
  body[0] = PREFIX;
  body.set(publicKey, 1);
  body.set(checksum(body.subarray(0, 33)), 33);
  return base58.encode(body);
}

/** The public key of an address, or null if it is no Bittensor address. */
export function decodeAddress(address: string): Uint8Array | null {
  let body: Uint8Array;
  try {
    body = base58.decode(address);
  } catch {
    return null;
  }
  if (body.byteLength !== 35 || body[0] !== PREFIX) return null;
  const sum = checksum(body.subarray(0, 33));
  return body[33] === sum[0] && body[34] === sum[1] ? body.slice(1, 33) : null;
}

function checksum(body: Uint8Array): Uint8Array {
  return blake2b(Uint8Array.from([...LABEL, ...body]), { dkLen: 64 }).subarray(0, 2);
}
