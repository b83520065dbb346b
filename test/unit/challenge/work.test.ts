/** The work of a device against a second, slow implementation of it, pinned vectors, and bytes that were tampered with. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chachaBlock } from '#protocol/challenge/chacha.ts';
import { drawsOf } from '#protocol/challenge/draws.ts';
import { memOpeningBytes, memSamples } from '#protocol/challenge/mem.ts';
import { keyOf, mix, wordAt } from '#protocol/challenge/mix.ts';
import { mmOpeningBytes, mmSamples } from '#protocol/challenge/mm.ts';
import { leavesOf, packRow, tileOf } from '#protocol/challenge/product.ts';
import { CHALLENGE_LIMITS, DEVELOPMENT, MAINNET, MEM_PROFILES, MM_PROFILES, mmSteps } from '#protocol/challenge/suite.ts';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { climb, treeOf } from '#protocol/challenge/tree.ts';
import { checkWork, knowsProfile, proveWork, workFor, type Work } from '#protocol/challenge/work.ts';

const hex = (byte: number) => byte.toString(16).padStart(2, '0').repeat(32);
const mm = (steps: number): Work => ({ kind: 'pow.mm', profile: 'mm-128', steps, seed: hex(1), randomness: hex(2) });
const mem: Work = { kind: 'pow.mem', profile: 'mem-cpu', steps: 1, seed: hex(1), randomness: hex(2) };
const proved = (work: Work) => proveWork(work) ?? expect.unreachable('a known profile');
const check = (work: Work, root: string, opening: Uint8Array, sample = hex(3)) => checkWork(work, root, sample, opening, new Tiles(4));

describe('rows times a tile', () => {
  const profile = MM_PROFILES['mm-128'];
  const entry = (key: Int32Array, row: number, column: number) => ((wordAt(key, row * 16 + (column >> 3)) >>> ((column & 7) * 4)) & 15) - 8;

  it('is what a plain sum of products gives', () => {
    const [keyA, keyB] = [keyOf('A', new Uint8Array(32)), keyOf('B', new Uint8Array(32))];
    const packed = new Float64Array(profile.n);
    const rows = [5, 127];
    rows.forEach((row, field) => packRow(packed, keyA, row, field));
    const due = rows.map((row) => {
      let leaf = 0;
      for (let j = 2 * profile.tile; j < 3 * profile.tile; j++) {
        let sum = 0;
        for (let k = 0; k < profile.n; k++) sum += entry(keyA, row, k) * entry(keyB, k, j);
        leaf = (leaf + mix(sum ^ Math.imul(j, 0x9e3779b9))) | 0;
      }
      return leaf;
    });
    expect([...leavesOf(profile, packed, tileOf(profile, keyB, 2))]).toEqual(due);
  });

  it.each([
    ['all −8', -8, -8, 0x00],
    ['all 7', 7, 7, 0xff],
    ['7 and −8', 7, -8, 0x00],
    ['−8 and 7', -8, 7, 0xff],
  ])('is exact at the largest sums there are: %s', (_, a, b, byte) => {
    const n = 8_192;
    const large = { n, tile: 8, opened: 1, rows: 1 };
    const packed = new Float64Array(n).fill(a * (1 + 2 ** 26));
    let due = 0;
    for (let j = 0; j < 8; j++) due = (due + mix((a * b * n) ^ Math.imul(j, 0x9e3779b9))) | 0;
    expect([...leavesOf(large, packed, { index: 0, bytes: new Uint8Array((n * 8) / 2).fill(byte) })]).toEqual([due, due]);
  });
});

describe('a proof', () => {
  it('is these bytes for ever: a prover in another language goes by them', () => {
    const roots = [mm(4), mm(40), mem].map((work) => proved(work).root);
    const openings = [mm(4), mem].map((work) =>
      createHash('sha256')
        .update(proved(work).open(hex(3)))
        .digest('hex'),
    );
    expect({ roots, openings }).toMatchInlineSnapshot(`
      {
        "openings": [
          "f3ffe6c18ae461dab5068371faee0e92fe8aaf85e40190db6093e774760d848e",
          "60e4c0a3a7361f7499c2794c8405d02687d5a1a312a12367d9acfb910825c456",
        ],
        "roots": [
          "309377ad721f420b4cdf4dd96093f48511c61d8f6feb0e6ed6d5442e0d075bff",
          "a5d3dedc444efc8ca310399e37be0747d45fd0007a34118c833d1d5ecba52ca2",
          "58868f374937462aeab450b63bd9fbe9145273891a9af4b23aca6d072778f829",
        ],
      }
    `);
  });

  it.each([mm(4), mm(17), mem])('of $kind is right at every sample there may be', (work) => {
    const { root, open } = proved(work);
    for (let byte = 3; byte < 13; byte++) expect(check(work, root, open(hex(byte)), hex(byte))).toBeNull();
  });

  it.each([mm(17), mem])('of $kind is told from one with any byte changed', (work) => {
    const { root, open } = proved(work);
    const bytes = open(hex(3));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] ?? 0) ^ by;
        expect(check(work, root, changed)?.reason).toBe('wrong_root');
      }),
      { numRuns: 100 },
    );
  });

  it.each([mm(17), mem])('of $kind has one length', (work) => {
    const { root, open } = proved(work);
    const bytes = open(hex(3));
    for (const wrong of [new Uint8Array(), bytes.subarray(1), new Uint8Array(bytes.length + 1), new Uint8Array(2_000_000)])
      expect(check(work, root, wrong)?.reason).toBe('malformed');
  });

  it.each([mm(17), mem])('of $kind is no proof of another seed, size or round', (work) => {
    const { root, open } = proved(work);
    const bytes = open(hex(3));
    expect(check({ ...work, seed: hex(9) }, root, bytes)).not.toBeNull();
    expect(check({ ...work, steps: work.steps + 1 }, root, bytes)).not.toBeNull();
    expect(check(work, hex(9), bytes)?.reason).not.toBeUndefined();
    if (work.kind === 'pow.mm') expect(check({ ...work, randomness: hex(9) }, root, bytes)?.reason).toBe('wrong_leaf');
  });

  it('tells of every step, and stops when told to', () => {
    const seen: number[] = [];
    const stop = new Error('enough');
    const onStep = (done: number) => {
      seen.push(done);
      if (done === 3) throw stop;
    };
    expect(() => proveWork(mm(10), onStep)).toThrow(stop);
    expect(seen).toEqual([1, 2, 3]);
  });

  it('is not made of a profile that is none', () => {
    const work = { ...mm(4), profile: 'constructor' };
    expect(proveWork(work)).toBeNull();
    expect(knowsProfile('pow.mm', 'constructor')).toBe(false);
    expect(check(work, hex(1), new Uint8Array())?.reason).toBe('bad_record');
  });
});

describe('samples', () => {
  it('are sixteen steps of their own, each with a row and a tile', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.integer({ min: 4, max: 3_000 }), (byte, steps) => {
        const profile = MM_PROFILES['mm-8192'];
        const samples = mmSamples(profile, steps, hex(byte), hex(7));
        expect(new Set(samples.map((s) => s.step)).size).toBe(Math.min(16, steps));
        for (const { step, row, tile } of samples) {
          expect(step >= 1 && step <= steps && row >= 0 && row < 8_192 && tile >= 0 && tile < 8).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('fall on every step and tile alike', () => {
    const seen = { step: new Map<number, number>(), tile: new Map<number, number>() };
    for (let draw = 0; draw < 400; draw++) {
      const root = createHash('sha256').update(String(draw)).digest('hex');
      for (const { step, tile } of mmSamples(MM_PROFILES['mm-128'], 32, root, hex(7))) {
        seen.step.set(step, (seen.step.get(step) ?? 0) + 1);
        seen.tile.set(tile, (seen.tile.get(tile) ?? 0) + 1);
      }
    }
    // 200 of each step and 1,600 of each tile are expected.
    expect(seen.step.size).toBe(32);
    for (const times of seen.step.values()) expect(Math.abs(times - 200)).toBeLessThan(60);
    expect([...seen.tile.values()]).toEqual([1_600, 1_600, 1_600, 1_600]);
  });

  it('take all where there are fewer than are wanted', () => {
    expect(drawsOf(hex(1), hex(2)).distinct(16, 4)).toEqual([0, 1, 2, 3]);
  });

  it('of memory name lanes and segments that there are', () => {
    const profile = MEM_PROFILES['mem-gpu'];
    for (const { lane, segment } of memSamples(profile, hex(1), hex(2)))
      expect(lane < profile.lanes && segment < profile.checkpoints).toBe(true);
  });
});

describe('sizes', () => {
  it('of every opening of every class stay below the limit', () => {
    for (const suite of [MAINNET, DEVELOPMENT]) {
      for (const of of suite.classes) {
        expect(mmOpeningBytes(MM_PROFILES[of.mm], mmSteps(suite, of))).toBeLessThan(CHALLENGE_LIMITS.openingBytes);
        const profile = MEM_PROFILES[of.mem];
        const all = Array.from({ length: profile.opened }, (_, lane) => ({ lane, segment: 1 }));
        expect(memOpeningBytes(profile, all)).toBeLessThan(CHALLENGE_LIMITS.openingBytes);
        expect(workFor(suite, 'pow.mem', of).steps).toBeGreaterThanOrEqual(2);
      }
    }
  });

  it('of the memory of tiles are bounded: the oldest goes', () => {
    const tiles = new Tiles(2);
    const get = (index: number) => tiles.get(MM_PROFILES['mm-128'], new Uint8Array(32), index);
    const first = get(0);
    expect(get(0)).toBe(first);
    for (const index of [1, 2, 3]) get(index);
    expect(tiles.size).toBe(2);
    expect(get(0)).not.toBe(first);
    expect(get(0)).toEqual(first);
  });
});

describe('parts', () => {
  it('the ChaCha20 block is that of RFC 8439 §2.3.2', () => {
    const words = Uint32Array.from([
      0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0x13121110, 0x17161514, 0x1b1a1918,
      0x1f1e1d1c, 0x00000001, 0x09000000, 0x4a000000, 0x00000000,
    ]);
    chachaBlock(words);
    expect([...words].map((word) => word.toString(16).padStart(8, '0')).join(' ')).toBe(
      'e4e7f110 15593bd1 1fdd0f50 c47120a3 c7f4d1c7 0368c033 9aaa2204 4e6cd4c3 466482d2 09aa9f07 05d7c214 a2028bd9 d19c12b5 b94e16de e883d0cb 4e3c50a2',
    );
  });

  it('every block of a tree climbs to its root, and to no other place', () => {
    const data = Uint8Array.from({ length: 8 * 64 }, (_, at) => at);
    const tree = treeOf(data, 64);
    for (let block = 0; block < 8; block++) {
      const bytes = data.subarray(block * 64, (block + 1) * 64);
      expect(climb(bytes, block, tree.path(block))).toEqual(tree.root);
      expect(climb(bytes, block ^ 1, tree.path(block))).not.toEqual(tree.root);
    }
  });
});
