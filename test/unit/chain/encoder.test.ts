/**
 * What is written by hand here against `@polkadot/api`, which makes calls, keys and payloads out of a runtime's own description:
 * that of the stand-in, and that of the real runtime where RIPCORD_CHAIN_METADATA names it (SCALE, version 15 or 16).
 */
import { readFileSync } from 'node:fs';
import { ApiPromise, Keyring } from '@polkadot/api';
import { expect, test } from 'vitest';
import { metadataOf } from '../../../dev/chain/metadata.ts';
import { commitWeightsCall, hiddenWeights, setWeightsCall } from '../../../functions/chain/calls.ts';
import { FINNEY } from '../../../functions/chain/chain.ts';
import { hexOf } from '../../../functions/chain/rpc.ts';
import { blobBytes, listBytes, u16Bytes, u64Bytes } from '../../../functions/chain/scale.ts';
import { shapeOf } from '../../../functions/chain/shape.ts';
import { STORAGE, storageKey, type StorageItem } from '../../../functions/chain/storage.ts';
import { ERA_BLOCKS, signExtrinsic, signedBytes } from '../../../validator-cron/chain/extrinsics.ts';

const path = process.env['RIPCORD_CHAIN_METADATA'];
const runtimes: [name: string, metadata: Uint8Array, blockMs: number][] = [
  ['the stand-in', metadataOf({ spec: 424, changed: false }, 1_000).v15, 1_000],
  ...(path === undefined ? [] : [['the real runtime', new Uint8Array(readFileSync(path)), 12_000] as [string, Uint8Array, number]]),
];

const NETUID = 64;
const BIRTH = { number: 8_123_461, hash: `0x${'09'.repeat(32)}` };
const RUNTIME = { spec: 424, transaction: 1 };
const alice = new Keyring({ type: 'sr25519' }).addFromUri('//Alice');
const COMMIT = Uint8Array.from({ length: 1_313 }, (_, i) => i & 255);

type ProviderInterface = NonNullable<NonNullable<Parameters<typeof ApiPromise.create>[0]>['provider']>;

/** A node that has nothing but a runtime. */
function only(metadata: Uint8Array): ProviderInterface {
  const version = metadata[4] ?? 0;
  const blob = hexOf(blobBytes(metadata));
  const answers: Record<string, (params: unknown[]) => unknown> = {
    chain_getBlockHash: () => FINNEY,
    state_getRuntimeVersion: () => ({
      specName: 'node-subtensor',
      implName: 'x',
      specVersion: 424,
      transactionVersion: 1,
      // The runtime API `Metadata`.
      apis: [['0x37e397fc7c91f5e4', 2]],
      stateVersion: 1,
    }),
    system_chain: () => 'Bittensor',
    system_properties: () => ({ ss58Format: 42, tokenDecimals: 9, tokenSymbol: 'TAO' }),
    rpc_methods: () => ({ methods: [] }),
    state_call: ([name, args]) => {
      if (name === 'Metadata_metadata_versions') return hexOf(listBytes([Uint8Array.of(version, 0, 0, 0)]));
      if (name === 'Metadata_metadata_at_version' && args === hexOf(Uint8Array.of(version, 0, 0, 0))) return `0x01${blob.slice(2)}`;
      throw new Error(`nothing is known of ${String(name)}`);
    },
  };
  const provider: ProviderInterface = {
    hasSubscriptions: false,
    isClonable: false,
    isConnected: true,
    clone: () => provider,
    connect: () => Promise.resolve(),
    disconnect: () => Promise.resolve(),
    on: (event, listener) => {
      if (event === 'connected') setImmediate(listener);
      return () => undefined;
    },
    // The interface lets the caller say what it gets.
    send: (method, params) => Promise.resolve(answers[method]?.(params) as never),
    subscribe: () => Promise.reject(new Error('no subscriptions')),
    unsubscribe: () => Promise.resolve(true),
  };
  return provider;
}

test.each(runtimes)('%s', { timeout: 30_000 }, async (name, metadata, blockMs) => {
  expect(shapeOf(metadata)).toEqual({ faults: [], blockMs });
  const api = await ApiPromise.create({ provider: only(metadata), noInitWarn: true });
  const told: string[] = [];
  const same = (what: string, ours: string, theirs: string | undefined) => {
    told.push(
      `${ours === theirs ? 'same' : 'DIFFERENT'}  ${what}  ${ours.length > 90 ? `${ours.slice(0, 60)}… (${ours.length / 2 - 1} bytes)` : ours}`,
    );
    expect(ours, what).toBe(theirs);
  };

  const module = api.tx['subtensorModule'];
  const calls = {
    set_mechanism_weights: [
      setWeightsCall({ netuid: NETUID, uids: [0, 1, 5, 250], values: [65_535, 1, 4_096, 777], versionKey: 69_420n }),
      module?.['setMechanismWeights']?.(NETUID, 0, [0, 1, 5, 250], [65_535, 1, 4_096, 777], 69_420n),
    ],
    commit_timelocked_mechanism_weights: [
      commitWeightsCall({ netuid: NETUID, commit: COMMIT, round: 33_000_000 }),
      module?.['commitTimelockedMechanismWeights']?.(NETUID, 0, hexOf(COMMIT), 33_000_000, 4),
    ],
  } as const;
  for (const [what, [ours, theirs]] of Object.entries(calls)) {
    same(`call ${what}`, hexOf(ours), theirs?.method.toHex());
    // The era, the nonce and what is signed, signed by them and by us.
    const payload = api.registry.createType(
      'ExtrinsicPayload',
      {
        method: theirs?.method.toHex(),
        nonce: 70,
        tip: 0,
        mode: 0,
        metadataHash: null,
        assetId: null,
        era: api.registry.createType('ExtrinsicEra', { current: BIRTH.number, period: ERA_BLOCKS }),
        blockHash: BIRTH.hash,
        genesisHash: FINNEY,
        specVersion: RUNTIME.spec,
        transactionVersion: RUNTIME.transaction,
      },
      { version: 4 },
    );
    const terms = { runtime: RUNTIME, genesis: FINNEY, birth: BIRTH, nonce: 70 };
    const mine = signExtrinsic(ours, terms, { publicKey: alice.publicKey, signBytes: (bytes) => alice.sign(bytes) });
    const extra = mine.bytes.subarray(mine.bytes.length - ours.length - 6, mine.bytes.length - ours.length);
    const due = payload.toU8a({ method: true });
    const signed = signedBytes(ours, extra, terms);
    same(`payload of ${what}`, hexOf(signed), hexOf(due.length > 256 ? api.registry.hash(due).toU8a() : due));
    const read = api.registry.createType('Extrinsic', mine.bytes);
    same(`extrinsic with ${what}`, hexOf(mine.bytes), read.toHex());
    same(`hash of it`, hexOf(mine.hash), read.hash.toHex());
    expect([read.signer.toString(), read.nonce.toNumber(), read.method.toHex()]).toEqual([alice.address, 70, hexOf(ours)]);
    expect(alice.verify(signed, read.signature.toU8a(), alice.publicKey)).toBe(true);
  }

  const id = [NETUID, u16Bytes(NETUID)] as const;
  const keys: Partial<Record<StorageItem, (readonly [unknown, Uint8Array])[]>> = {
    Uids: [id, [alice.address, alice.publicKey]],
    Weights: [id, [5, u16Bytes(5)]],
    TimelockedWeightCommits: [id, [9, u64Bytes(9n)]],
    Account: [[alice.address, alice.publicKey]],
    ...Object.fromEntries(['CommitRevealWeightsVersion', 'StakeThreshold', 'LastStoredRound', 'Now'].map((item) => [item, []])),
  };
  for (const item of Object.keys(STORAGE) as StorageItem[]) {
    const args = keys[item] ?? [id];
    const { pallet } = STORAGE[item];
    const query = api.query[pallet[0]?.toLowerCase() + pallet.slice(1)]?.[item[0]?.toLowerCase() + item.slice(1)];
    same(`key of ${pallet}.${item}`, storageKey(item, ...args.map(([, bytes]) => bytes)), query?.key(...args.map(([value]) => value)));
  }

  const hidden = hiddenWeights(alice.publicKey, { uids: [0, 1, 2], values: [65_535, 32_768, 1], versionKey: 42n });
  const theirs = api.registry.createType('(Bytes, Vec<u16>, Vec<u16>, u64)', [hexOf(alice.publicKey), [0, 1, 2], [65_535, 32_768, 1], 42]);
  same('what a commit hides', hexOf(hidden), theirs.toHex());
  await api.disconnect();
  console.log(`${name}, ${told.length} compared\n${told.join('\n')}`);
});
