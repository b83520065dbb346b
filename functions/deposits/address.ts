/**
 * Where an account pays in: an address derived softly from a master public key, so that nothing here can spend. Whoever
 * holds the master secret gets the secret of an address with the path `/acc_…`, as wallets and `subkey` write it.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { HDKD } from '@scure/sr25519';
import { compact } from '../chain/extrinsic.ts';
import { encodeSs58 } from '../gate/ss58.ts';

const CODE_BYTES = 32;

/** ss58 (prefix 42). `master`: 64 hex digits; null if they are no public key. */
export function depositAddress(master: string, account: string): string | null {
  try {
    return encodeSs58(HDKD.publicSoft(hexToBytes(master), chainCode(account)));
  } catch {
    return null; // the library throws on bytes that are no curve point
  }
}

/** The chain code of a path's part: its text in SCALE, filled up with zeros, or hashed where it is longer. */
export function chainCode(part: string): Uint8Array {
  const text = new TextEncoder().encode(part);
  const encoded = Uint8Array.from([...compact(BigInt(text.length)), ...text]);
  if (encoded.length > CODE_BYTES) return blake2b(encoded, { dkLen: CODE_BYTES });
  const code = new Uint8Array(CODE_BYTES);
  code.set(encoded);
  return code;
}
