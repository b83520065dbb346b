/** The calls of pallet SubtensorModule that are signed here, as bytes: `pallet, call, arguments`. The hotkey pays nothing for them. */
import { concatBytes } from '@noble/hashes/utils.js';
import { blobBytes, listBytes, u16Bytes, u64Bytes } from './scale.ts';

/** Indexes in the runtime, and the types of the arguments as `shape.ts` writes them. */
export const CALLS = {
  set_mechanism_weights: { pallet: 7, call: 119, args: ['netuid:u16', 'mecid:u8', 'dests:[u16]', 'weights:[u16]', 'version_key:u64'] },
  commit_timelocked_mechanism_weights: {
    pallet: 7,
    call: 118,
    args: ['netuid:u16', 'mecid:u8', 'commit:[u8]', 'reveal_round:u64', 'commit_reveal_version:u16'],
  },
} as const;

/** Of a subnet's mechanisms the first; all weights here are its. */
const MECHANISM = 0;

/** The version of timelocked commits that is made here. */
export const COMMIT_VERSION = 4;

/** Bytes of one commit that the chain takes. */
export const COMMIT_BYTES = 5_000;

export interface WeightsCall {
  netuid: number;
  uids: readonly number[];
  values: readonly number[];
  versionKey: bigint;
}

export function setWeightsCall({ netuid, uids, values, versionKey }: WeightsCall): Uint8Array {
  return concatBytes(
    head('set_mechanism_weights', netuid),
    listBytes(uids.map(u16Bytes)),
    listBytes(values.map(u16Bytes)),
    u64Bytes(versionKey),
  );
}

export function commitWeightsCall({ netuid, commit, round }: { netuid: number; commit: Uint8Array; round: number }): Uint8Array {
  return concatBytes(
    head('commit_timelocked_mechanism_weights', netuid),
    blobBytes(commit),
    u64Bytes(BigInt(round)),
    u16Bytes(COMMIT_VERSION),
  );
}

/** What a commit hides; the chain takes it only from the hotkey that it names. */
export function hiddenWeights(hotkey: Uint8Array, { uids, values, versionKey }: Omit<WeightsCall, 'netuid'>): Uint8Array {
  return concatBytes(blobBytes(hotkey), listBytes(uids.map(u16Bytes)), listBytes(values.map(u16Bytes)), u64Bytes(versionKey));
}

function head(name: keyof typeof CALLS, netuid: number): Uint8Array {
  const { pallet, call } = CALLS[name];
  return Uint8Array.from([pallet, call, ...u16Bytes(netuid), MECHANISM]);
}
