import { createHash } from 'node:crypto';
import { hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHALLENGE_LIMITS } from '#protocol';
import {
  BLOCK_LEAVES,
  checkPossession,
  decodePossession,
  encodePossession,
  leafHash,
  leafOf,
  LEAF_BYTES,
  ManifestBuilder,
  pathOf,
  possessionSamples,
  rootOf,
} from '#protocol/challenge/possession.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** RFC 6962 section 2.1, word for word, as a second implementation. */
function mth(hashes: readonly Uint8Array[]): Buffer {
  const [first] = hashes;
  if (hashes.length === 1 && first !== undefined) return Buffer.from(first);
  const k = 2 ** Math.floor(Math.log2(hashes.length - 1));
  return createHash('sha256')
    .update(Uint8Array.of(1))
    .update(mth(hashes.slice(0, k)))
    .update(mth(hashes.slice(k)))
    .digest();
}

const leaves = (count: number) => Array.from({ length: count }, (_, k) => leafHash(leafOf('a', k, Uint8Array.of(k & 255, k >> 8))));

describe('the tree', () => {
  // The test vectors of Certificate Transparency, which has the same tree.
  const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(hexToBytes);
  test.each([
    [1, '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
    [2, 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
    [3, 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'],
    [4, 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'],
    [5, '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4'],
    [6, '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef'],
    [7, 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c'],
    [8, '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'],
  ])('of %i leaves has the known root', (count, root) => {
    expect(hex(rootOf(inputs.slice(0, count).map((input) => leafHash(input))))).toBe(root);
  });

  test.each([1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 771])('of %i leaves is the same over blocks', (count) => {
    const all = leaves(count);
    const blocks = Array.from({ length: Math.ceil(count / BLOCK_LEAVES) }, (_, k) =>
      rootOf(all.slice(k * BLOCK_LEAVES, (k + 1) * BLOCK_LEAVES)),
    );
    expect(hex(rootOf(blocks))).toBe(hex(mth(all)));
    const index = count - 1;
    const from = Math.floor(index / BLOCK_LEAVES) * BLOCK_LEAVES;
    const path = [...pathOf(all.slice(from, from + BLOCK_LEAVES), index - from), ...pathOf(blocks, from / BLOCK_LEAVES)];
    expect(path.map(hex)).toEqual(pathOf(all, index).map(hex));
  });

  test('does not depend on how the bytes of a file come', () => {
    const bytes = Uint8Array.from({ length: 3 * LEAF_BYTES + 7 }, (_, k) => k % 251);
    const whole = new ManifestBuilder();
    whole.begin('a');
    whole.write(bytes);
    whole.end();
    const due = whole.done();
    expect(due?.leaves).toBe(4);
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, (at) => {
        const parts = new ManifestBuilder();
        parts.begin('a');
        const edges = [0, ...at.toSorted((a, b) => a - b), bytes.length];
        for (const [k, edge] of edges.entries()) parts.write(bytes.subarray(edge, edges[k + 1] ?? edge));
        parts.end();
        expect(parts.done()?.root).toBe(due?.root);
      }),
      { numRuns: 50 },
    );
  });

  test('tells an empty file, a name and an order from others', () => {
    const root = (...files: [string, string][]) => {
      const builder = new ManifestBuilder();
      for (const [path, text] of files) {
        builder.begin(path);
        builder.write(Buffer.from(text));
        builder.end();
      }
      return builder.done()?.root;
    };
    const roots = [root(['a', '']), root(['a', 'b']), root(['ab', '']), root(['a', ''], ['b', '']), root(['a', 'x'], ['b', '']), root()];
    expect(new Set(roots).size).toBe(roots.length);
    expect(roots.at(-1)).toBeUndefined();
    expect(() => leafOf('x'.repeat(1025), 0, new Uint8Array())).toThrow(RangeError);
  });
});

/** A folder of one file, and what opens it. */
function stage(count: number, name = 'a') {
  const whole = Array.from({ length: count }, (_, k) => leafOf(name, k, Buffer.alloc(k === count - 1 ? 10 : LEAF_BYTES, k + 1)));
  const hashes = whole.map((leaf) => leafHash(leaf));
  const ask = { root: hex(rootOf(hashes)), leaves: count, seed: 'ab'.repeat(32) };
  const open = (index: number) => ({ leaf: whole[index] ?? new Uint8Array(), path: pathOf(hashes, index) });
  const samples = possessionSamples(ask);
  return { ask, hashes, open, samples, opening: encodePossession(samples.map(open)) };
}

describe('an opening', () => {
  test.each([1, 2, 3, 31, 32, 33, 100, 257])('of a folder of %i leaves is right, and names distinct leaves', (count) => {
    const { ask, opening, samples } = stage(count);
    expect(samples).toHaveLength(Math.min(32, count));
    expect(new Set(samples).size).toBe(samples.length);
    expect(samples.every((index) => index >= 0 && index < count)).toBe(true);
    expect(checkPossession(ask, opening)).toBeNull();
  });

  test('of the largest manifest is far below what an opening may have', () => {
    const most = 32 * (2 + 2 + 1024 + 4 + LEAF_BYTES + 31 * 32);
    expect(most).toBeLessThan(CHALLENGE_LIMITS.openingBytes);
    expect(possessionSamples({ root: '00'.repeat(32), leaves: 2 ** 31 - 1, seed: '11'.repeat(32) })).toHaveLength(32);
  });

  test('asks for other leaves under another seed', () => {
    const { ask } = stage(1000);
    expect(possessionSamples(ask)).toEqual(possessionSamples(ask));
    expect(possessionSamples({ ...ask, seed: 'cd'.repeat(32) })).not.toEqual(possessionSamples(ask));
  });

  const { ask, open, opening, samples, hashes } = stage(100);
  const changed = (at: number) => opening.map((byte, k) => (k === at ? byte ^ 1 : byte));
  const first = samples[0] ?? 0;
  test.each<[string, Uint8Array, 'wrong_bytes' | 'malformed']>([
    ['a byte of a leaf that is another', changed(2 + 7 + 50), 'wrong_bytes'],
    ['a hash of a path that is another', changed(opening.length - 1), 'wrong_bytes'],
    ['a leaf cut short', encodePossession(samples.map((k) => ({ ...open(k), leaf: open(k).leaf.subarray(0, -1) }))), 'wrong_bytes'],
    [
      'the leaf beside the one that was asked for',
      encodePossession([open((first + 1) % 100), ...samples.slice(1).map(open)]),
      'wrong_bytes',
    ],
    [
      'hashes of leaves',
      encodePossession(samples.map((k) => ({ leaf: hashes[k] ?? new Uint8Array(), path: open(k).path }))),
      'wrong_bytes',
    ],
    ['samples in another order', encodePossession(samples.toReversed().map(open)), 'malformed'],
    ['one leaf too few', encodePossession(samples.slice(1).map(open)), 'malformed'],
    ['one leaf too many', encodePossession([...samples, 1].map(open)), 'malformed'],
    ['a leaf longer than any', encodePossession([{ leaf: new Uint8Array(6000), path: [] }]), 'malformed'],
    ['more bytes than an opening may have', new Uint8Array(CHALLENGE_LIMITS.openingBytes + 1), 'malformed'],
    ['nothing', new Uint8Array(), 'malformed'],
    ['one byte', Uint8Array.of(0), 'malformed'],
  ])('with %s is not taken', (_, bytes, reason) => {
    const wrong = checkPossession(ask, bytes);
    // Paths of an unbalanced tree differ in length, so what stands in another place may have no form at all.
    expect(reason === 'malformed' ? ['malformed', 'wrong_bytes'] : [reason]).toContain(wrong?.reason);
  });

  test('any bytes at all are judged, never thrown over', () => {
    const { ask: small } = stage(3);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(checkPossession(small, bytes)?.reason).toMatch(/^(wrong_bytes|malformed)$/);
        expect(decodePossession(bytes, 3, [0, 1, 2])?.length ?? 3).toBe(3);
      }),
      { numRuns: 100 },
    );
  });
});
