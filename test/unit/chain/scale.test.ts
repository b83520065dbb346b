/** SCALE as it is read: what was written, and nothing that is broken, too long or cut off. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compact, little } from '../../../functions/chain/extrinsic.ts';
import { ChainError } from '../../../functions/chain/rpc.ts';
import { blobBytes, listBytes, ScaleReader, u16Bytes, u64Bytes } from '../../../functions/chain/scale.ts';

const reader = (...bytes: number[]) => new ScaleReader(Uint8Array.from(bytes), 'it');

test('what was written is read', () => {
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 65_535 })), u64, u64, fc.uint8Array(), (list, a, b, blob) => {
      const bytes = [listBytes(list.map(u16Bytes)), u64Bytes(a), compact(b), blobBytes(blob)].flatMap((part) => [...part]);
      const r = reader(...bytes);
      expect([r.list(r.u16), r.u64(), r.compact(), r.blob()]).toEqual([list, a, b, blob]);
      r.end();
      expect(() => r.u8()).toThrow(ChainError);
    }),
  );
});

test.each<[string, ScaleReader, (r: ScaleReader) => unknown, RegExp]>([
  ['a number that is cut off', reader(1, 2, 3), (r) => r.u32(), /it: cut off/],
  ['a compact number that is cut off', reader(0xfe), (r) => r.compact(), /cut off/],
  ['a boolean that is none', reader(2), (r) => r.bool(), /no boolean/],
  ['an option that is none', reader(3), (r) => r.option(r.u8), /no boolean/],
  ['bytes that are not all there', reader(0x0c, 1, 2), (r) => r.blob(), /cut off/],
  ['bytes that are said to be very long', reader(...compact(2n ** 60n)), (r) => r.blob(), /cut off/],
  ['a list that would fill the memory', reader(...compact(65_537n)), (r) => r.list(() => 0), /too long a list/],
  ['more than there should be', reader(1, 2), (r) => [r.u8(), r.end()], /longer than it should be/],
])('%s is an error', (_, r, reading, why) => {
  expect(() => reading(r)).toThrow(why);
});

test('the longest list is read', () => {
  expect(reader(...compact(65_536n)).list(() => 0)).toHaveLength(65_536);
  expect(reader(...little(7n, 4)).u32()).toBe(7);
});
