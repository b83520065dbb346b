/** Bytes of extrinsics, against numbers that were worked out apart. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compact, eraOf, readCompact } from '../../../functions/chain/extrinsic.ts';
import { compactOf, eraBytes, signedExtrinsic, transferCall } from '../../harness/chain.ts';
import { FIRST_RUNTIME } from '../../harness/chain-metadata.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';

const who = encodeSs58(new Uint8Array(32).fill(1));
const hex = (of: Uint8Array) => Buffer.from(of).toString('hex');

test.each([
  [0n, '00'],
  [1n, '04'],
  [63n, 'fc'],
  [64n, '0101'],
  [16_383n, 'fdff'],
  [16_384n, '02000100'],
  [1_073_741_823n, 'feffffff'],
  [1_073_741_824n, '0300000040'],
  [1_000_000_000n, '02286bee'],
  [21_000_000_000_000_000n, '0f00804884639b4a'],
])('compact %d', (value, bytes) => {
  expect(hex(compact(value))).toBe(bytes);
  expect(readCompact(Buffer.from(bytes, 'hex'))).toEqual({ value, bytes: bytes.length / 2 });
});

test('compact numbers are read as they were written, and no longer', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.uint8Array(), (value, tail) => {
      const written = compact(value);
      expect([...written]).toEqual(compactOf(value));
      expect(readCompact(Uint8Array.from([...written, ...tail]))).toEqual({ value, bytes: written.length });
      expect(readCompact(written.subarray(0, -1))).toBeNull();
    }),
  );
});

const extrinsic = (extra: Uint8Array) => signedExtrinsic(who, new Uint8Array(64), extra, transferCall(FIRST_RUNTIME, who, 5n));

// Vectors of the chain note: era bytes of block 8,123,456 (period 64) and 8,123,461 (periods 128 and 64).
test.each([
  [64, 8_123_456, '0500'],
  [128, 8_123_461, '5604'],
])('the era of period %i at block %i', (period, block, bytes) => {
  expect(hex(eraBytes(period, block))).toBe(bytes);
  const era = eraOf(extrinsic(Uint8Array.from([...Buffer.from(bytes, 'hex'), 0, 0, 0])));
  expect(era).toEqual({ period, phase: block % period });
});

test('what is no mortal extrinsic of an sr25519 account has no era', () => {
  const good = extrinsic(Uint8Array.from([0x05, 0x00, 0, 0, 0]));
  expect(eraOf(good)).not.toBeNull();
  const changed = (at: number, to: number) => Uint8Array.from(good, (byte, i) => (i === at ? to : byte));
  expect(eraOf(extrinsic(Uint8Array.from([0, 0, 0, 0])))).toBeNull();
  expect(eraOf(changed(2, 0x04))).toBeNull();
  expect(eraOf(changed(3, 0x01))).toBeNull();
  expect(eraOf(changed(36, 0x00))).toBeNull();
  expect(eraOf(good.subarray(0, -1))).toBeNull();
  expect(eraOf(Uint8Array.from([...good, 0]))).toBeNull();
  expect(eraOf(new Uint8Array(0))).toBeNull();
});
