/**
 * A subnet at one finalized block, in two batches. The first learns which block is finalized, and at the best block what the
 * keys of the second depend on; the second reads everything at that one block.
 */
import * as z from 'zod/mini';
import { decodeSs58, encodeSs58 } from '../gate/ss58.ts';
import type { BlockRef, Chain } from './chain.ts';
import { ChainError, bytesOf, hashSchema, hexOf, parsed } from './rpc.ts';
import { ScaleReader, u16Bytes } from './scale.ts';
import { epochKey, idKey, storageKey, type StorageItem } from './storage.ts';

export interface Neuron {
  uid: number;
  /** ss58 */
  hotkey: string;
  coldkey: string;
  permit: boolean;
  /** As the chain counts it for weights, rao. */
  stake: bigint;
  /** Share of 65,535, and rao of alpha, both of the chain's last epoch. */
  incentive: number;
  emission: bigint;
  registeredBlock: number;
  /** Block of its last weights or commit; 0: never. */
  lastUpdate: number;
}

/** What the chain's own epochs follow from. */
export interface EpochClock {
  tempo: number;
  /** Block of the last epoch, block of one that was put off (0: none), number of epochs so far, blocks since the last. */
  last: number;
  pending: number;
  index: number;
  since: number;
}

/** A timelocked commit that is not revealed. */
export interface OpenCommit {
  hotkey: string;
  epoch: number;
  block: number;
  round: number;
}

export interface Subnet {
  netuid: number;
  /** The finalized block that everything is of, and its time, unix ms. */
  head: BlockRef;
  headMs: number;
  runtime: { spec: number; transaction: number };
  neurons: readonly Neuron[];
  /** Hotkey of the owner; null: none is known. */
  owner: string | null;
  clock: EpochClock;
  /** Epochs of the chain between a commit and its reveal. */
  revealPeriod: number;
  /** Whether weights must be committed, and how. */
  commitReveal: boolean;
  commitVersion: number;
  /** Blocks between two sets or commits of one hotkey. */
  rateLimit: number;
  versionKey: bigint;
  minAllowed: number;
  stakeThreshold: bigint;
  /** Newest round of the beacon that the chain has. */
  beaconRound: number;
  commits: readonly OpenCommit[];
  /** What the chain has of the hotkey that asks: uid and value; null where it could not be told. */
  weights: readonly (readonly [uid: number, value: number])[] | null;
  /** Of the hotkey that asks: extrinsics of it in finalized blocks. */
  nonce: number;
}

/** Epochs whose commits are looked at. A commit is open for `revealPeriod` of them; more than this many are not waited for. */
const EPOCHS = 16;

const changesSchema = z.array(z.object({ changes: z.array(z.tuple([z.string(), z.nullable(z.string())])) }));
const headerSchema = z.object({ number: z.string().check(z.regex(/^0x[0-9a-f]{1,12}$/)) });
const runtimeSchema = z.object({ specVersion: z.int(), transactionVersion: z.int() });

/** `hotkey` (ss58): whose weights are read too. Throws `ChainError`. */
export async function readSubnet(chain: Chain, netuid: number, hotkey: string | null = null): Promise<Subnet> {
  const hint = await readHint(chain, netuid, hotkey);
  const keys = keysOf(netuid, hint);
  if (hint.account !== null) keys.plain.set('Account', storageKey('Account', hint.account));
  const [header, runtime, stored, state] = await chain.ask([
    { method: 'chain_getHeader', params: [hint.head] },
    { method: 'state_getRuntimeVersion', params: [hint.head] },
    { method: 'state_queryStorageAt', params: [[...keys.plain.values(), ...keys.commits.values()], hint.head] },
    { method: 'state_call', params: ['SubnetInfoRuntimeApi_get_subnet_state', hexOf(u16Bytes(netuid)), hint.head] },
  ]);
  const { specVersion, transactionVersion } = parsed(runtimeSchema, runtime, 'a runtime version');
  const values = valuesOf(stored);
  const at = (name: StorageItem) => values.get(keys.plain.get(name) ?? '') ?? null;
  const neurons = neuronsOf(bytesOf(state, 'the state of the subnet'), netuid);
  const size = read(at('SubnetworkN'), (r) => r.u16(), 0);
  if (size !== neurons.length) throw new ChainError('malformed', 'the state of the subnet: not as many neurons as the subnet has');
  const whole = (name: StorageItem, fallback: number) => read(at(name), (r) => safe(r.u64()), fallback);
  return {
    netuid,
    head: { number: Number(parsed(headerSchema, header, 'a header').number), hash: hint.head },
    headMs: whole('Now', 0),
    runtime: { spec: specVersion, transaction: transactionVersion },
    neurons,
    owner: read(at('SubnetOwnerHotkey'), (r) => encodeSs58(r.key()), null),
    clock: {
      // Defaults are the runtime's own: what was never set has no value.
      tempo: read(at('Tempo'), (r) => r.u16(), 360),
      last: whole('LastEpochBlock', 0),
      pending: whole('PendingEpochAt', 0),
      index: whole('SubnetEpochIndex', 0),
      since: whole('BlocksSinceLastStep', 0),
    },
    revealPeriod: whole('RevealPeriodEpochs', 1),
    commitReveal: read(at('CommitRevealWeightsEnabled'), (r) => r.bool(), true),
    commitVersion: read(at('CommitRevealWeightsVersion'), (r) => r.u16(), 4),
    rateLimit: whole('WeightsSetRateLimit', 100),
    versionKey: read(at('WeightsVersionKey'), (r) => r.u64(), 0n),
    minAllowed: read(at('MinAllowedWeights'), (r) => r.u16(), 1_024),
    stakeThreshold: read(at('StakeThreshold'), (r) => r.u64(), 0n),
    beaconRound: whole('LastStoredRound', 0),
    commits: [...keys.commits].flatMap(([epoch, key]) => read(values.get(key) ?? null, (r) => commitsOf(r, epoch), [])),
    // A uid that changed hands between the two batches has another's weights.
    nonce: started(at('Account'), (r) => r.u32(), 0),
    weights: hint.uid !== null && neurons[hint.uid]?.hotkey === hotkey ? read(at('Weights'), weightsOf, []) : null,
  };
}

interface Hint {
  head: string;
  index: number;
  revealPeriod: number;
  uid: number | null;
  account: Uint8Array | null;
}

async function readHint(chain: Chain, netuid: number, hotkey: string | null): Promise<Hint> {
  const account = hotkey === null ? null : decodeSs58(hotkey);
  const index = storageKey('SubnetEpochIndex', idKey(netuid));
  const period = storageKey('RevealPeriodEpochs', idKey(netuid));
  const uid = account === null ? null : storageKey('Uids', idKey(netuid), account);
  const [head, stored] = await chain.ask([
    { method: 'chain_getFinalizedHead', params: [] },
    { method: 'state_queryStorageAt', params: [[index, period, ...(uid === null ? [] : [uid])]] },
  ]);
  const values = valuesOf(stored);
  return {
    head: parsed(hashSchema, head, 'the finalized head'),
    index: read(values.get(index) ?? null, (r) => safe(r.u64()), 0),
    revealPeriod: read(values.get(period) ?? null, (r) => safe(r.u64()), 1),
    account,
    uid: uid === null ? null : read(values.get(uid) ?? null, (r) => r.u16(), null),
  };
}

const OF_NETUID = [
  'SubnetworkN',
  'SubnetOwnerHotkey',
  'Tempo',
  'LastEpochBlock',
  'PendingEpochAt',
  'SubnetEpochIndex',
  'BlocksSinceLastStep',
  'RevealPeriodEpochs',
  'CommitRevealWeightsEnabled',
  'WeightsSetRateLimit',
  'WeightsVersionKey',
  'MinAllowedWeights',
] as const satisfies readonly StorageItem[];
const OF_CHAIN = ['CommitRevealWeightsVersion', 'StakeThreshold', 'LastStoredRound', 'Now'] as const satisfies readonly StorageItem[];

/** The finalized block is a little behind the best one: by an epoch at most. */
function keysOf(netuid: number, { index, revealPeriod, uid }: Hint) {
  const id = idKey(netuid);
  const plain = new Map<StorageItem, string>();
  for (const name of OF_NETUID) plain.set(name, storageKey(name, id));
  for (const name of OF_CHAIN) plain.set(name, storageKey(name));
  if (uid !== null) plain.set('Weights', storageKey('Weights', id, idKey(uid)));
  const commits = new Map<number, string>();
  const oldest = Math.max(0, index - 1 - Math.min(revealPeriod, EPOCHS - 3));
  for (let epoch = oldest; epoch <= index + 1; epoch++)
    commits.set(epoch, storageKey('TimelockedWeightCommits', id, epochKey(BigInt(epoch))));
  return { plain, commits };
}

function valuesOf(stored: unknown): Map<string, string | null> {
  return new Map(parsed(changesSchema, stored, 'what is stored').flatMap(({ changes }) => changes));
}

function read<T>(value: string | null, reading: (reader: ScaleReader) => T, fallback: T): T {
  return started(value, reading, fallback, (reader) => reader.end());
}

/** Reads the beginning of a value. */
function started<T>(value: string | null, reading: (reader: ScaleReader) => T, fallback: T, after?: (reader: ScaleReader) => void): T {
  if (value === null) return fallback;
  const reader = new ScaleReader(bytesOf(value, 'a stored value'), 'a stored value');
  const found = reading(reader);
  after?.(reader);
  return found;
}

/** Blocks, epochs and rounds; 2^64 - 1 is what the chain writes for never. */
function safe(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

function commitsOf(reader: ScaleReader, epoch: number): OpenCommit[] {
  return reader.list(() => {
    const hotkey = encodeSs58(reader.key());
    const block = safe(reader.u64());
    reader.blob();
    return { hotkey, epoch, block, round: safe(reader.u64()) };
  });
}

function weightsOf(reader: ScaleReader): [number, number][] {
  return reader.list(() => [reader.u16(), reader.u16()]);
}

/** The fields of the runtime's `SubnetState` up to the last that is read, with their types. More may come after them. */
export const SUBNET_STATE = [
  'netuid:c<u16>',
  'hotkeys:[[u8;32]]',
  'coldkeys:[[u8;32]]',
  'active:[bool]',
  'validator_permit:[bool]',
  'pruning_score:[c<u16>]',
  'last_update:[c<u64>]',
  'emission:[c<u64>]',
  'dividends:[c<u16>]',
  'incentives:[c<u16>]',
  'consensus:[c<u16>]',
  'trust:[c<u16>]',
  'rank:[c<u16>]',
  'block_at_registration:[c<u64>]',
  'alpha_stake:[c<u64>]',
  'tao_stake:[c<u64>]',
  'total_stake:[c<u64>]',
] as const;

function neuronsOf(bytes: Uint8Array, netuid: number): Neuron[] {
  const r = new ScaleReader(bytes, 'the state of the subnet');
  if (!r.bool()) throw new ChainError('refused', `there is no subnet ${netuid} on this chain`);
  if (r.compact() !== BigInt(netuid)) throw new ChainError('malformed', 'the state of the subnet: of another subnet');
  const account = () => encodeSs58(r.key());
  const numbers = () => r.list(r.compact);
  const hotkeys = r.list(account);
  const coldkeys = r.list(account);
  r.list(r.bool);
  const permits = r.list(r.bool);
  numbers();
  const [updates, emissions] = [numbers(), numbers()];
  numbers();
  const incentives = numbers();
  for (const _unread of ['consensus', 'trust', 'rank']) numbers();
  const registered = numbers();
  for (const _unread of ['alpha_stake', 'tao_stake']) numbers();
  const stakes = numbers();
  const columns = [coldkeys, permits, updates, emissions, incentives, registered, stakes];
  if (columns.some((column) => column.length !== hotkeys.length))
    throw new ChainError('malformed', 'the state of the subnet: columns of different length');
  return hotkeys.map((hotkey, uid) => ({
    uid,
    hotkey,
    coldkey: coldkeys[uid] ?? hotkey,
    permit: permits[uid] ?? false,
    stake: stakes[uid] ?? 0n,
    incentive: Number(incentives[uid] ?? 0n),
    emission: emissions[uid] ?? 0n,
    registeredBlock: safe(registered[uid] ?? 0n),
    lastUpdate: safe(updates[uid] ?? 0n),
  }));
}
