/** Places that nobody chose (pure): by a hash of what is public and what is ranked. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/** 64 hex digits. */
export function rankOf(beacon: string, use: string, target: string): string {
  return bytesToHex(sha256(utf8ToBytes(`${beacon}\n${use}\n${target}`)));
}
