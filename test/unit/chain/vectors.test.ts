/**
 * Every call, storage key and payload that is used, restated byte by byte: calls and payloads as four other encoders write
 * them for runtime 424, keys as the runtime's hashers have them. A change here is a change of what is signed or read.
 */
import { secretFromSeed, getPublicKey, sign, verify } from '@scure/sr25519';
import { expect, test } from 'vitest';
import { commitWeightsCall, hiddenWeights, setWeightsCall } from '../../../functions/chain/calls.ts';
import { extrinsicHash } from '../../../functions/chain/extrinsic.ts';
import { u16Bytes, u64Bytes } from '../../../functions/chain/scale.ts';
import { STORAGE, storageKey, type StorageItem } from '../../../functions/chain/storage.ts';
import { eraBytes, signExtrinsic, signedBytes } from '../../../validator-cron/chain/extrinsics.ts';

const hex = (of: Uint8Array) => Buffer.from(of).toString('hex');
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
const ALICE = unhex('d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d');
const FINNEY = '0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03';
const BIRTH = `0x${'09'.repeat(32)}`;
const COMMIT = Uint8Array.from({ length: 1_313 }, (_, i) => i & 255);

test('set_mechanism_weights', () => {
  const call = setWeightsCall({ netuid: 64, uids: [0, 2], values: [65_535, 32_768], versionKey: 0n });
  expect(hex(call)).toBe('0777400000080000020008ffff00800000000000000000');
});

test('commit_timelocked_mechanism_weights', () => {
  const call = commitWeightsCall({ netuid: 64, commit: COMMIT, round: 33_000_000 });
  expect(hex(call.subarray(0, 5))).toBe('0776400000');
  expect(hex(call.subarray(5, 7))).toBe('8514');
  expect(hex(call.subarray(7, -10))).toBe(hex(COMMIT));
  expect(hex(call.subarray(-10))).toBe('408af701000000000400');
});

test('what a commit hides', () => {
  const hidden = hiddenWeights(ALICE, { uids: [0, 1, 2], values: [65_535, 32_768, 1], versionKey: 42n });
  expect(hex(hidden)).toBe(`80${hex(ALICE)}0c0000010002000cffff008001002a00000000000000`);
});

test.each([
  [8_123_456, 64, '0500'],
  [8_123_461, 128, '5604'],
  [8_123_461, 64, '5500'],
])('the era at block %i for %i blocks', (block, period, bytes) => {
  expect(hex(eraBytes(block, period))).toBe(bytes);
});

const terms = { runtime: { spec: 424, transaction: 1 }, genesis: FINNEY, birth: { number: 8_123_461, hash: BIRTH } };
const ADDITIONAL = `a801000001000000${FINNEY.slice(2)}${BIRTH.slice(2)}00`;

test('what is signed of a short extrinsic is the extrinsic and what is known', () => {
  const call = unhex('0777400000080000010008ffff00800000000000000000');
  expect(hex(signedBytes(call, unhex('5604000000'), terms))).toBe(`${hex(call)}5604000000${ADDITIONAL}`);
});

test('what is signed of a long one is its hash', () => {
  const call = unhex(`07764000008514${hex(COMMIT)}408af701000000000400`);
  const signed = signedBytes(call, unhex('550019010000'), terms);
  expect(hex(signed)).toBe('f557ba88b775a1658e223ea471c6830f8349c11f072cef3b7a9e371a3fb0d3cf');
});

test('a signed extrinsic: length, version, signer, signature, extra, call', () => {
  const secret = secretFromSeed(new Uint8Array(32).fill(5));
  const publicKey = getPublicKey(secret);
  const call = setWeightsCall({ netuid: 64, uids: [0, 2], values: [65_535, 32_768], versionKey: 0n });
  const { bytes, hash } = signExtrinsic(call, { ...terms, nonce: 70 }, { publicKey, signBytes: (of) => sign(secret, of) });
  expect(hex(bytes.subarray(0, 4))).toBe('01028400'); // 128 bytes follow
  expect(hex(bytes.subarray(4, 37))).toBe(`${hex(publicKey)}01`);
  expect(hex(bytes.subarray(101))).toBe(`550019010000${hex(call)}`);
  expect(verify(signedBytes(call, unhex('550019010000'), terms), bytes.subarray(37, 101), publicKey)).toBe(true);
  expect(hash).toEqual(extrinsicHash(bytes));
});

const SUBTENSOR = '658faa385070e074c85bf6b568cf0555';
const ALICE_KEY = `de1e86a9a8c739864cf3cc5ec2bea59f${hex(ALICE)}`;
/** Names as xxHash of another library has them: twox128 of the name, and what the hashers make of subnet 64, uid 5, Alice, epoch 9. */
const KEYS: Record<StorageItem, string> = {
  Uids: `${SUBTENSOR}aab1b4e78e1ea8305462ee53b3686dc84000${ALICE_KEY}`,
  SubnetworkN: `${SUBTENSOR}a1048e9d244171852dfe8db314dc68ca4000`,
  SubnetOwnerHotkey: `${SUBTENSOR}68b7553499633fe05caf4d8a51aefe5c4000`,
  LastUpdate: `${SUBTENSOR}696e262a16e52255a69d8acd793541464000`,
  Weights: `${SUBTENSOR}a1e7036061f484bc3048a64b64e35ec440000500`,
  Tempo: `${SUBTENSOR}7641384bb339f3758acddfd7053d33174000`,
  LastEpochBlock: `${SUBTENSOR}90010c37124c14146041452f9ffba0df4000`,
  PendingEpochAt: `${SUBTENSOR}3328b142e30b57e47a52648ba110e3a74000`,
  SubnetEpochIndex: `${SUBTENSOR}4f101d7a30ae31c7ab3099206c5ae12b4000`,
  BlocksSinceLastStep: `${SUBTENSOR}63f934e48e59bf9413de427605faa0244000`,
  RevealPeriodEpochs: `${SUBTENSOR}8f232bcbac768c1d6201850c60f161ed62cf9476b03dd8654000`,
  CommitRevealWeightsEnabled: `${SUBTENSOR}8fb0d3eb3d4ea01122652b09d1d43c654000`,
  CommitRevealWeightsVersion: `${SUBTENSOR}70d1da21926e4e8efdfb497ee508d611`,
  WeightsSetRateLimit: `${SUBTENSOR}2d919f5b3b970cd2c91638872d3aa64c4000`,
  WeightsVersionKey: `${SUBTENSOR}d8cb0c0627a5cd77797c62415dbef9624000`,
  MinAllowedWeights: `${SUBTENSOR}5cd1c97edf92be296fb8ae73ee8611264000`,
  StakeThreshold: `${SUBTENSOR}782d99ebaa64a1ba18b3e8cda1047327`,
  TimelockedWeightCommits: `${SUBTENSOR}119e1c428ff5c7c6dac4c888a10d144362cf9476b03dd86540008cc95d144a400cb10900000000000000`,
  Account: `26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9${ALICE_KEY}`,
  LastStoredRound: 'a285cdb66e8b8524ea70b1693c7b1e05087f3dd6e0ceded0e388dd34f810a73d',
  Now: 'f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb',
};

test.each(Object.entries(KEYS) as [StorageItem, string][])('the key of %s', (name, due) => {
  const values: Record<StorageItem, Uint8Array[]> = {
    ...(Object.fromEntries(Object.keys(STORAGE).map((item) => [item, [u16Bytes(64)]])) as Record<StorageItem, Uint8Array[]>),
    Uids: [u16Bytes(64), ALICE],
    Weights: [u16Bytes(64), u16Bytes(5)],
    TimelockedWeightCommits: [u16Bytes(64), u64Bytes(9n)],
    CommitRevealWeightsVersion: [],
    StakeThreshold: [],
    Account: [ALICE],
    LastStoredRound: [],
    Now: [],
  };
  expect(storageKey(name, ...values[name])).toBe(`0x${due}`);
});
