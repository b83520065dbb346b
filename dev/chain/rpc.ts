/** JSON-RPC methods of a Substrate node, over a chain: what `fetch` clients, `@polkadot/api` and others ask. */
import { blake2b } from '@noble/hashes/blake2.js';
import { Refused, type Block, type Chain } from './chain.ts';
import { multiAddress } from './calls.ts';
import { openExtrinsic, TX_VERSION, type Invalidity } from './extrinsic.ts';
import { metadataOf, validity } from './metadata.ts';
import { account, decode, encode, hex, little, option, blob, u16, u32, Undecodable, unhex, vec, type Of } from './scale.ts';
import { stateOfSubnet, subnetState } from './state-of-subnet.ts';

/** An error as nodes write it. */
export class RpcError extends Error {
  readonly code: number;
  readonly data: string | undefined;
  constructor(code: number, message: string, data?: string) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export interface Node {
  chain: Chain;
  /** Metadata out of a file, in place of the stand-in's own. */
  metadata: Uint8Array | null;
}

type Params = readonly unknown[];
type Method = (node: Node, params: Params) => unknown;

/** Keys of one answer of `state_getKeysPaged`, and of one `state_queryStorageAt`. */
const MOST_KEYS = 1_000;

export const METHODS: Record<string, Method> = {
  rpc_methods: () => ({ version: 1, methods: [...Object.keys(METHODS), ...SUBSCRIPTIONS] }),
  system_chain: () => 'Ripcord stand-in',
  system_chainType: () => 'Development',
  system_name: () => 'ripcord-stand-in',
  system_version: () => '1.0.0',
  system_properties: () => ({ ss58Format: 42, tokenDecimals: 9, tokenSymbol: 'TAO' }),
  system_health: () => ({ peers: 0, isSyncing: false, shouldHavePeers: false }),
  system_accountNextIndex: ({ chain }, [who]) => chain.nextNonce(addressOf(who)),
  chain_getBlockHash: ({ chain }, [number]) =>
    Array.isArray(number)
      ? number.slice(0, MOST_KEYS).map((one) => chain.hashAt(numberOf(one)))
      : number === undefined || number === null
        ? chain.best.hash
        : chain.hashAt(numberOf(number)),
  chain_getFinalizedHead: ({ chain }) => chain.finalized.hash,
  chain_getHeader: ({ chain }, [hash]) => headerOf(blockAt(chain, hash)),
  chain_getBlock: ({ chain }, [hash]) => {
    const block = blockAt(chain, hash);
    return { block: { header: headerOf(block), extrinsics: block.extrinsics }, justifications: null };
  },
  state_getRuntimeVersion: ({ chain }, [hash]) => runtimeOf(blockAt(chain, hash)),
  state_getMetadata: (node, [hash]) => hex(node.metadata ?? metadataAt(node, blockAt(node.chain, hash)).v14),
  state_getStorage: ({ chain }, [key, hash]) => blockAt(chain, hash).state.entries.get(textOf(key)) ?? null,
  state_getStorageHash: ({ chain }, [key, hash]) => {
    const value = blockAt(chain, hash).state.entries.get(textOf(key));
    return value === undefined ? null : hex(blake2b(unhex(value), { dkLen: 32 }));
  },
  state_getStorageSize: ({ chain }, [key, hash]) => {
    const value = blockAt(chain, hash).state.entries.get(textOf(key));
    return value === undefined ? null : unhex(value).length;
  },
  state_getKeysPaged: ({ chain }, [prefix, count, after, hash]) =>
    keysOf(blockAt(chain, hash), textOf(prefix), Math.min(numberOf(count), MOST_KEYS), typeof after === 'string' ? after : null),
  state_queryStorageAt: ({ chain }, [keys, hash]) => {
    const block = blockAt(chain, hash);
    const changes = listOf(keys).map((key) => [key, block.state.entries.get(textOf(key)) ?? null]);
    return [{ block: block.hash, changes }];
  },
  state_call: (node, [name, args, hash]) => {
    const block = blockAt(node.chain, hash);
    const api = Object.hasOwn(APIS, textOf(name)) ? APIS[textOf(name)] : undefined;
    if (api === undefined) throw new RpcError(-32_000, `Client error: Execution failed: Exported method ${textOf(name)} is not found`);
    return hex(api(node, block, bytesOf(args)));
  },
  author_submitExtrinsic: ({ chain }, [extrinsic]) => submitted(chain, extrinsic),
  author_pendingExtrinsics: ({ chain }) => [...chain.pool.values()].map(({ bytes }) => hex(bytes)),
};

const SUBSCRIPTIONS = [
  'state_subscribeRuntimeVersion',
  'state_subscribeStorage',
  'chain_subscribeAllHeads',
  'chain_subscribeNewHeads',
  'chain_subscribeNewHead',
  'chain_subscribeFinalizedHeads',
  'author_submitAndWatchExtrinsic',
];

/** Throws `RpcError`. */
export function answer(node: Node, method: string, params: Params): unknown {
  const own = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
  if (own === undefined) throw new RpcError(-32_601, 'Method not found');
  try {
    return own(node, params);
  } catch (error) {
    if (error instanceof Undecodable) throw new RpcError(-32_602, `Invalid params: ${error.message}`);
    throw error;
  }
}

// ── runtime APIs ──

const maybeBytes = option(blob);

const APIS: Record<string, (node: Node, block: Block, args: Uint8Array) => Uint8Array> = {
  Core_version: (_, block) => versionBytes(block),
  Metadata_metadata: (node, block) => encode(blob, node.metadata ?? metadataAt(node, block).v14),
  Metadata_metadata_versions: (node) => encode(vec(u32), node.metadata === null ? [14, 15] : [versionOf(node.metadata)]),
  Metadata_metadata_at_version: (node, block, args) => {
    const version = decode(u32, args);
    if (node.metadata !== null) return encode(maybeBytes, version === versionOf(node.metadata) ? node.metadata : null);
    const own = metadataAt(node, block);
    return encode(maybeBytes, version === 15 ? own.v15 : version === 14 ? own.v14 : null);
  },
  AccountNonceApi_account_nonce: ({ chain }, _, args) => encode(u32, chain.nextNonce(decode(account, args))),
  SubnetInfoRuntimeApi_get_subnet_state: (_, block, args) => encode(option(subnetState), stateOfSubnet(block.state, decode(u16, args))),
  TaggedTransactionQueue_validate_transaction: ({ chain }, block, args) => {
    // Source, extrinsic with its length, hash of the block.
    const extrinsic = openExtrinsic(args.subarray(1, -32));
    return encode(validity, validityOf(chain.validate(extrinsic, block), extrinsic.nonce));
  },
};

function validityOf(invalid: Invalidity | null, nonce: number): Of<typeof validity> {
  if (invalid === null || invalid.kind === 'Future')
    return {
      type: 'Ok',
      value: { _0: { priority: 0n, requires: [], provides: [Uint8Array.from(little(BigInt(nonce), 8))], longevity: 64n, propagate: true } },
    };
  const value = invalid.kind === 'Custom' ? { _0: invalid.code } : {};
  return { type: 'Err', value: { _0: { type: 'Invalid', value: { _0: { type: invalid.kind, value } as never } } } };
}

function versionOf(metadata: Uint8Array): number {
  return metadata[4] ?? 0;
}

const made = new Map<string, ReturnType<typeof metadataOf>>();

function metadataAt({ chain }: Node, { runtime }: Block): ReturnType<typeof metadataOf> {
  const key = `${runtime.changed}/${chain.blockMs}`;
  const known = made.get(key) ?? metadataOf(runtime, chain.blockMs);
  made.set(key, known);
  return known;
}

// ── answers ──

/** Ids of the runtime APIs that there are (blake2b-64 of their names), with their versions. */
const API_VERSIONS: [string, number][] = [
  ['Core', 5],
  ['Metadata', 2],
  ['TaggedTransactionQueue', 3],
  ['AccountNonceApi', 1],
  ['SubnetInfoRuntimeApi', 1],
].map(([name, version]) => [hex(blake2b(Buffer.from(String(name)), { dkLen: 8 })), Number(version)]);

export function runtimeOf({ runtime }: Block) {
  return {
    specName: 'node-subtensor',
    implName: 'node-subtensor',
    authoringVersion: 1,
    specVersion: runtime.spec,
    implVersion: 1,
    apis: API_VERSIONS,
    transactionVersion: TX_VERSION,
    systemVersion: 1,
    stateVersion: 1,
  };
}

function versionBytes({ runtime }: Block): Uint8Array {
  const name = encode(blob, new TextEncoder().encode('node-subtensor'));
  const apis = API_VERSIONS.flatMap(([id, version]) => [...unhex(id), ...encode(u32, version)]);
  const numbers = [1, runtime.spec, 1].flatMap((value) => [...encode(u32, value)]);
  return Uint8Array.from([...name, ...name, ...numbers, API_VERSIONS.length << 2, ...apis, ...encode(u32, TX_VERSION), 1]);
}

export function headerOf(block: Block) {
  return {
    parentHash: block.parent,
    number: `0x${block.number.toString(16)}`,
    stateRoot: block.stateRoot,
    extrinsicsRoot: block.extrinsicsRoot,
    digest: { logs: [] },
  };
}

export function blockAt(chain: Chain, hash: unknown): Block {
  if (hash === undefined || hash === null) return chain.best;
  const block = typeof hash === 'string' ? chain.blocks.get(hash.toLowerCase()) : undefined;
  if (block === undefined) throw new RpcError(4003, `Client error: UnknownBlock: State already discarded`);
  return block;
}

function keysOf({ state }: Block, prefix: string, count: number, after: string | null): string[] {
  const keys = [...state.entries.keys()].filter((key) => key.startsWith(prefix) && (after === null || key > after));
  return keys.toSorted().slice(0, count);
}

/** As nodes word why an extrinsic is not taken. */
const REASONS: Record<Invalidity['kind'], string> = {
  Call: 'Transaction call is not expected',
  Payment: 'Inability to pay some fees (e.g. account balance too low)',
  Future: 'Transaction will be valid in the future',
  Stale: 'Transaction is outdated',
  BadProof: 'Transaction has a bad signature',
  AncientBirthBlock: 'Transaction has an ancient birth block',
  Custom: 'Custom error',
};

export function submitted(chain: Chain, extrinsic: unknown): string {
  let bytes: Uint8Array;
  try {
    bytes = bytesOf(extrinsic);
    return chain.submit(bytes);
  } catch (error) {
    if (error instanceof Undecodable)
      throw new RpcError(1002, 'Verification Error: Runtime error: Execution failed', `Could not decode: ${error.message}`);
    if (!(error instanceof Refused)) throw error;
    const { why } = error;
    if (why.kind === 'Known') throw new RpcError(1013, 'Transaction Already Imported');
    if (why.kind === 'Banned') throw new RpcError(1012, 'Transaction is temporarily banned');
    if (why.kind === 'Full')
      throw new RpcError(1016, 'Immediately Dropped', "The transaction couldn't enter the pool because of the limit");
    throw new RpcError(1010, 'Invalid Transaction', why.kind === 'Custom' ? `Custom error: ${why.code}` : REASONS[why.kind]);
  }
}

// ── parameters ──

function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new RpcError(-32_602, 'Invalid params: a string is missing');
  return value.toLowerCase().startsWith('0x') ? value.toLowerCase() : value;
}

function numberOf(value: unknown): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw new RpcError(-32_602, 'Invalid params: a number is missing');
  return number;
}

function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value) || value.length > MOST_KEYS) throw new RpcError(-32_602, `Invalid params: a list of at most ${MOST_KEYS}`);
  return value;
}

function bytesOf(value: unknown): Uint8Array {
  return unhex(textOf(value ?? '0x'));
}

function addressOf(value: unknown): string {
  const address = textOf(value);
  encode(multiAddress, { type: 'Id', value: { _0: address } });
  return address;
}
