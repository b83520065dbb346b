/** What the chain keeps: one table of all storage items, and typed access to the raw keys and values that clients read. */
import { Blake2128Concat, Identity, Twox128, Twox64Concat } from '@polkadot-api/substrate-bindings';
import {
  account,
  blob,
  bool,
  decode,
  encode,
  hash,
  hex,
  struct,
  tuple,
  u128,
  u16,
  u32,
  u64,
  u8,
  unhex,
  vec,
  type Of,
  type Type,
} from './scale.ts';
import { records } from './events.ts';

export const HASHERS = { Identity, Blake2128Concat, Twox64Concat } as const;
export type Hasher = keyof typeof HASHERS;
export type PalletName = 'System' | 'Timestamp' | 'Balances' | 'SubtensorModule' | 'Drand';

type Keys = readonly Type<unknown>[];

export interface Item<K extends Keys = Keys, V = unknown> {
  pallet: PalletName;
  name: string;
  hashers: readonly Hasher[];
  keys: K;
  value: Type<V>;
  /** What it is where nothing was stored; null: then it is not there. */
  fallback: V | null;
}

type KeyValues<K extends Keys> = { [I in keyof K]: Of<K[I]> };

function item<const K extends Keys, V>(
  pallet: PalletName,
  name: string,
  hashers: readonly Hasher[],
  keys: K,
  value: Type<V>,
  fallback: V | null,
): Item<K, V> {
  return { pallet, name, hashers, keys, value, fallback };
}

const accountInfo = struct(['frame_system', 'AccountInfo'], {
  nonce: u32,
  consumers: u32,
  providers: u32,
  sufficients: u32,
  data: struct(['pallet_balances', 'types', 'AccountData'], {
    free: u64,
    reserved: u64,
    frozen: u64,
    flags: struct(['pallet_balances', 'types', 'ExtraFlags'], { _0: u128 }),
  }),
});
export type AccountInfo = Of<typeof accountInfo>;

const EMPTY_ACCOUNT: AccountInfo = {
  nonce: 0,
  consumers: 0,
  providers: 0,
  sufficients: 0,
  data: { free: 0n, reserved: 0n, frozen: 0n, flags: { _0: 1n << 127n } },
};

/** Keyed by nothing, and by a subnet. */
const plain = <V>(pallet: PalletName, name: string, value: Type<V>, fallback: V) => item(pallet, name, [], [], value, fallback);
const bySubnet = <V>(name: string, value: Type<V>, fallback: V) => item('SubtensorModule', name, ['Identity'], [u16], value, fallback);
const byUid = <V>(name: string, value: Type<V>, fallback: V) =>
  item('SubtensorModule', name, ['Identity', 'Identity'], [u16, u16], value, fallback);

const NOBODY = '5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM';

/** Names, hashers, types and defaults of Subtensor; what is not read by anyone here is left out. */
export const ITEMS = {
  account: item('System', 'Account', ['Blake2128Concat'], [account], accountInfo, EMPTY_ACCOUNT),
  blockHash: item('System', 'BlockHash', ['Twox64Concat'], [u32], hash, new Uint8Array(32)),
  number: plain('System', 'Number', u32, 0),
  parentHash: plain('System', 'ParentHash', hash, new Uint8Array(32)),
  events: plain('System', 'Events', records, []),
  eventCount: plain('System', 'EventCount', u32, 0),
  now: plain('Timestamp', 'Now', u64, 0n),
  issuance: plain('Balances', 'TotalIssuance', u64, 0n),
  lastStoredRound: plain('Drand', 'LastStoredRound', u64, 0n),
  taoWeight: plain('SubtensorModule', 'TaoWeight', u64, 0n),
  stakeThreshold: plain('SubtensorModule', 'StakeThreshold', u64, 0n),
  totalNetworks: plain('SubtensorModule', 'TotalNetworks', u16, 0),
  commitVersion: plain('SubtensorModule', 'CommitRevealWeightsVersion', u16, 4),
  owner: item('SubtensorModule', 'Owner', ['Blake2128Concat'], [account], account, NOBODY),
  alpha: item('SubtensorModule', 'TotalHotkeyAlpha', ['Blake2128Concat', 'Identity'], [account, u16], u64, 0n),
  uids: item('SubtensorModule', 'Uids', ['Identity', 'Blake2128Concat'], [u16, account], u16, null),
  keys: byUid('Keys', account, NOBODY),
  weights: byUid('Weights', vec(tuple(u16, u16)), []),
  registeredAt: byUid('BlockAtRegistration', u64, 0n),
  added: bySubnet('NetworksAdded', bool, false),
  size: bySubnet('SubnetworkN', u16, 0),
  ownerColdkey: bySubnet('SubnetOwner', account, NOBODY),
  ownerHotkey: bySubnet('SubnetOwnerHotkey', account, NOBODY),
  tempo: bySubnet('Tempo', u16, 360),
  lastEpoch: bySubnet('LastEpochBlock', u64, 0n),
  pendingEpoch: bySubnet('PendingEpochAt', u64, 0n),
  epochIndex: bySubnet('SubnetEpochIndex', u64, 0n),
  sinceStep: bySubnet('BlocksSinceLastStep', u64, 0n),
  kappa: bySubnet('Kappa', u16, 32_767),
  maxUids: bySubnet('MaxAllowedUids', u16, 256),
  maxValidators: bySubnet('MaxAllowedValidators', u16, 128),
  minWeights: bySubnet('MinAllowedWeights', u16, 1_024),
  rateLimit: bySubnet('WeightsSetRateLimit', u64, 100n),
  versionKey: bySubnet('WeightsVersionKey', u64, 0n),
  commitReveal: bySubnet('CommitRevealWeightsEnabled', bool, true),
  burn: bySubnet('Burn', u64, 100_000_000n),
  permits: bySubnet('ValidatorPermit', vec(bool), []),
  active: bySubnet('Active', vec(bool), []),
  lastUpdate: bySubnet('LastUpdate', vec(u64), []),
  incentive: bySubnet('Incentive', vec(u16), []),
  dividends: bySubnet('Dividends', vec(u16), []),
  consensus: bySubnet('Consensus', vec(u16), []),
  emission: bySubnet('Emission', vec(u64), []),
  revealPeriod: item('SubtensorModule', 'RevealPeriodEpochs', ['Twox64Concat'], [u16], u64, 1n),
  mechanisms: item('SubtensorModule', 'MechanismCountCurrent', ['Twox64Concat'], [u16], u8, 1),
  commits: item(
    'SubtensorModule',
    'TimelockedWeightCommits',
    ['Twox64Concat', 'Twox64Concat'],
    [u16, u64],
    vec(tuple(account, u64, blob, u64)),
    [],
  ),
} as const;

/** `0x…`; with fewer keys than the item has, the prefix of all that begin so. */
export function storageKey<K extends Keys, V>({ pallet, name, hashers, keys }: Item<K, V>, values: readonly unknown[] = []): string {
  const prefix = [pallet, name].map((part) => Twox128(new TextEncoder().encode(part)));
  const hashed = values.map((value, i) => HASHERS[hashers[i] ?? 'Identity'](encode(keys[i] ?? u8, value as number)));
  return hex(Buffer.concat([...prefix, ...hashed]));
}

/** The keys and values of one block. A fork of it is a copy: what is written there is not seen here. */
export class State {
  readonly entries: Map<string, string>;
  /** Keys written since the fork. */
  readonly touched = new Set<string>();

  constructor(entries: Iterable<[string, string]> = []) {
    this.entries = new Map(entries);
  }

  fork(): State {
    return new State(this.entries);
  }

  find<K extends Keys, V>(of: Item<K, V>, ...keys: KeyValues<K>): V | null {
    const stored = this.entries.get(storageKey(of, keys));
    return stored === undefined ? of.fallback : decode(of.value, unhex(stored));
  }

  /** Throws for an item that is not there and has no default: that is a mistake of the stand-in. */
  get<K extends Keys, V>(of: Item<K, V>, ...keys: KeyValues<K>): V {
    const found = this.find(of, ...keys);
    if (found === null) throw new Error(`${of.pallet}.${of.name} is not there`);
    return found;
  }

  set<K extends Keys, V>(of: Item<K, V>, keys: KeyValues<K>, value: V): void {
    this.#write(storageKey(of, keys), hex(encode(of.value, value)));
  }

  remove<K extends Keys, V>(of: Item<K, V>, keys: KeyValues<K>): void {
    this.#write(storageKey(of, keys), null);
  }

  #write(key: string, value: string | null): void {
    if (value === null) this.entries.delete(key);
    else this.entries.set(key, value);
    this.touched.add(key);
  }
}
