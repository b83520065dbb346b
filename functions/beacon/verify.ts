/** Whether a pulse is what the chain's group signed (BLS12-381, `bls-unchained-g1-rfc9380`). Pure; tens of milliseconds in plain JavaScript. */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import type { BeaconChain, Pulse } from '../protocol/challenge/beacon.ts';

const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';

/** False for anything malformed; never throws. */
export function verifyPulse(chain: BeaconChain, { round, randomness, signature }: Pulse): boolean {
  const { shortSignatures } = bls12_381;
  try {
    if (bytesToHex(sha256(hexToBytes(signature))) !== randomness) return false;
    return shortSignatures.verify(hexToBytes(signature), shortSignatures.hash(messageOf(round), DST), hexToBytes(chain.publicKey));
  } catch {
    return false; // the library throws on bytes that are no point
  }
}

/** What a round signs: the hash of its number, which has no round before it in it. */
function messageOf(round: number): Uint8Array {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(round));
  return sha256(number);
}

/** The pulse that a signature makes; whether it is one of the chain says `verifyPulse`. */
export function pulseOf(round: number, signature: string): Pulse {
  return { round, randomness: bytesToHex(sha256(hexToBytes(signature))), signature };
}
