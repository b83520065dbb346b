/**
 * Public randomness: nobody chooses what is tested. One value per round, the same for every judge, seeded without any
 * judge's name. This is the local beacon, a hash of the round; its values can be foretold, so it serves one network
 * that trusts its own clock. A drand beacon takes its place behind the same function.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/** 64 hex digits for the round, a number of minutes since 1970. */
export async function beacon(round: number, epoch: number): Promise<string> {
  return bytesToHex(sha256(utf8ToBytes(`ripcord-local-beacon/1\n${epoch}\n${round}`)));
}
