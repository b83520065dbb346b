/**
 * Where the chain keeps what is read of it: `twox128(pallet) ‖ twox128(item) ‖ keys`, each key as its hasher has it. The
 * whole table is here; `shape.ts` holds it against the runtime's own description, the tests against restated bytes.
 */
import { concatBytes } from '@noble/hashes/utils.js';
import { Blake2128Concat, Identity, Twox128, Twox64Concat } from '@polkadot-api/substrate-bindings';
import { hexOf } from './rpc.ts';
import { u16Bytes, u64Bytes } from './scale.ts';

type Hasher = 'Identity' | 'Blake2128Concat' | 'Twox64Concat';
const HASH = { Identity, Blake2128Concat, Twox64Concat } as const;

interface Item {
  pallet: 'SubtensorModule' | 'System' | 'Drand' | 'Timestamp';
  hashers: readonly Hasher[];
  /** Of the value, as `shape.ts` writes types. */
  type: string;
}

const subtensor = (type: string, ...hashers: Hasher[]): Item => ({ pallet: 'SubtensorModule', hashers, type });

/** Storage items that are read. */
export const STORAGE = {
  Uids: subtensor('u16', 'Identity', 'Blake2128Concat'),
  SubnetworkN: subtensor('u16', 'Identity'),
  SubnetOwnerHotkey: subtensor('[u8;32]', 'Identity'),
  LastUpdate: subtensor('[u64]', 'Identity'),
  Weights: subtensor('[[u16;2]]', 'Identity', 'Identity'),
  Tempo: subtensor('u16', 'Identity'),
  LastEpochBlock: subtensor('u64', 'Identity'),
  PendingEpochAt: subtensor('u64', 'Identity'),
  SubnetEpochIndex: subtensor('u64', 'Identity'),
  BlocksSinceLastStep: subtensor('u64', 'Identity'),
  RevealPeriodEpochs: subtensor('u64', 'Twox64Concat'),
  CommitRevealWeightsEnabled: subtensor('bool', 'Identity'),
  CommitRevealWeightsVersion: subtensor('u16'),
  WeightsSetRateLimit: subtensor('u64', 'Identity'),
  WeightsVersionKey: subtensor('u64', 'Identity'),
  MinAllowedWeights: subtensor('u16', 'Identity'),
  StakeThreshold: subtensor('u64'),
  TimelockedWeightCommits: subtensor('[([u8;32],u64,[u8],u64)]', 'Twox64Concat', 'Twox64Concat'),
  /** Of it only the nonce is read, which is first. */
  Account: { pallet: 'System', hashers: ['Blake2128Concat'], type: '{u32,…}' },
  LastStoredRound: { pallet: 'Drand', hashers: [], type: 'u64' },
  Now: { pallet: 'Timestamp', hashers: [], type: 'u64' },
} as const satisfies Record<string, Item>;

export type StorageItem = keyof typeof STORAGE;

/** `0x…`; as many keys as the item has hashers. */
export function storageKey(name: StorageItem, ...keys: readonly Uint8Array[]): string {
  const { pallet, hashers }: Item = STORAGE[name];
  const hashed = hashers.map((hasher, i) => HASH[hasher](keys[i] ?? new Uint8Array()));
  return hexOf(concatBytes(twox(pallet), twox(name), ...hashed));
}

function twox(name: string): Uint8Array {
  return Twox128(new TextEncoder().encode(name));
}

export const idKey = u16Bytes;
export const epochKey = u64Bytes;
