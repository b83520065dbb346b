/**
 * Timelocked commits against the Rust crate that the chain reads them with, and the real signature of round 1000 of drand's
 * quicknet: bytes that crate made open here, and ours, of the same dice, are those that it opened.
 */
import { expect, test } from 'vitest';
import { QUICKNET } from '#protocol/challenge/beacon.ts';
import { decryptWith, encryptTo } from '../../../validator-cron/chain/timelock.ts';

const hex = (of: Uint8Array) => Buffer.from(of).toString('hex');
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

const SIGNATURE = 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39';
const MESSAGE = '80d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d0c0000010002000cffff008001002a00000000000000';
const OURS =
  'a68879cb700d9865af6875acbfa61b8b5bbce888340e5f4053777e05cbae8f1ab07c1d69fd0c018730a2f27e1a44b91b05a4f65411b2db6a6a1a4e889730eeab21738de906f8373c87cb7d863a2b347c50abab278d7b9d6b0179d69fa1d0a30620000000000000001b3677568ccf5add61ca1f6e751a42a9d5deef5778bb6f3708f43f42895d649420000000000000007fec5b04d8cb3c34c0f70f743cc38a26f2d1e66b51c151ed0cc088ec55f081b163000000000000004700000000000000cbe3e9dc39155fec6e723ee92817704f9ded786440e3cc699d7d7eb9b0a3e8f94a4a65c29732b62e9eaf4f84dcd1b61781b7c1f2f8c204ab77639ac4309a3580b3210a9b8563460c000000000000004142434445464748494a4b4c08000000000000004145535f47434d5f';
const RUST =
  'ab70c853ab2d96673130158c1d9291e5d946ccf4565ce9e712b653ebe002cba637ee01a7ad88ba1a2f68246f2a1e9ab508f20038fa369d3b3fd9b7e44a0a8da6cf69295939b905b9c1e0f7d44fb71321a92b9d396e91d1be884e0a66eaa06efc2000000000000000c2481ffb40920ec0295f05afa19f3d53bab0f3d511ef21330ae208fe7f3ac0f6200000000000000053e957bc9960459f5eed0054c78271ccff5ff17e7728343001f99a7ef52ef0eb6300000000000000470000000000000084ffe6325287919fae21d76484f14c27cde536dfdd5346039e27e761590f039d9e07e7202f9fd25b37af2ebd993a3e5ca095e3442215d0b31313142014e70c91c87addc388f9ee0c00000000000000c1780589d93bebdf40259be908000000000000004145535f47434d5f';
/** 01 … 20, 21 … 40, 41 … 4c */
const count = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => from + i);
const dice = { secret: count(1, 32), sigma: count(33, 32), nonce: count(65, 12) };

test('with the same dice the ciphertext is the one that the Rust crate opens', async () => {
  expect(hex(await encryptTo(1000, QUICKNET.publicKey, unhex(MESSAGE), dice))).toBe(OURS);
});

test.each([
  ['ours', OURS],
  ['of the Rust crate', RUST],
])('the signature of round 1000 opens it: %s', async (_, ciphertext) => {
  expect(hex(await decryptWith(SIGNATURE, unhex(ciphertext)))).toBe(MESSAGE);
});

test('256 weights fit into a commit', async () => {
  expect((await encryptTo(1000, QUICKNET.publicKey, new Uint8Array(1_069), dice)).length).toBe(1_313);
});

test('for another round it does not open', async () => {
  const other = await encryptTo(1001, QUICKNET.publicKey, unhex(MESSAGE), dice);
  await expect(decryptWith(SIGNATURE, other)).rejects.toThrow();
});

test('what is cut off or changed does not open', async () => {
  const bytes = unhex(OURS);
  await expect(decryptWith(SIGNATURE, bytes.subarray(0, -40))).rejects.toThrow();
  await expect(decryptWith(SIGNATURE, bytes.with(200, (bytes[200] ?? 0) ^ 1))).rejects.toThrow();
});
