/** A second prover of `pow.mm`, of which any part can be made false; with nothing false it gives what the real one does. */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { hashOf, keyOf } from '#protocol/challenge/mix.ts';
import { mmSamples, sharedSeed } from '#protocol/challenge/mm.ts';
import { leavesOf, packRow, PACKED, tileOf } from '#protocol/challenge/product.ts';
import { MM_PROFILES, type MmProfile } from '#protocol/challenge/suite.ts';
import { joined, treeOf } from '#protocol/challenge/tree.ts';
import type { Work, WorkProof } from '#protocol/challenge/work.ts';

/** One leaf of a step, `row · tiles + tile`, and what it should be. */
export interface Leaf {
  step: number;
  row: number;
  tile: number;
  right: number;
}

export interface Forgery {
  /** What is put in the place of a leaf. */
  leaf?: (leaf: Leaf) => number;
  /** What A of a step comes from, instead of the digest before it. */
  before?: (digest: Uint8Array, step: number) => Uint8Array;
  /** What B comes from, instead of the round. */
  shared?: Uint8Array;
}

const BLOCK = 256;

export function forgeMm(work: Work, { leaf = ({ right }) => right, before = (digest) => digest, shared }: Forgery = {}): WorkProof {
  const profile: MmProfile = MM_PROFILES['mm-128'];
  const tiles = Array.from({ length: profile.n / profile.tile }, (_, index) =>
    tileOf(profile, keyOf('B', shared ?? sharedSeed(work.randomness, work.profile)), index),
  );
  const seed = hexToBytes(work.seed);
  const digests: Uint8Array[] = [];
  const steps: Uint8Array[] = [];
  for (let step = 1; step <= work.steps; step++) {
    const last = digests.at(-1) ?? seed;
    const key = keyOf('A', seed, before(last, step));
    const leaves = new DataView(new ArrayBuffer(profile.n * tiles.length * 4));
    for (let row = 0; row < profile.n; row += PACKED) {
      const packed = new Float64Array(profile.n);
      for (let field = 0; field < PACKED; field++) packRow(packed, key, row + field, field);
      for (const tile of tiles) {
        for (const [field, right] of leavesOf(profile, packed, tile).entries()) {
          const at = { step, row: row + field, tile: tile.index, right: right >>> 0 };
          leaves.setUint32((at.row * tiles.length + at.tile) * 4, leaf(at), true);
        }
      }
    }
    steps.push(new Uint8Array(leaves.buffer));
    digests.push(hashOf(last, treeOf(new Uint8Array(leaves.buffer), BLOCK).root));
  }
  const root = bytesToHex(hashOf(joined(digests)));
  const open = (randomness: string): Uint8Array => {
    const parts = mmSamples(profile, work.steps, root, randomness).map(({ step, row, tile }) => {
      const data = steps[step - 1] ?? new Uint8Array();
      const block = Math.floor(((row * tiles.length + tile) * 4) / BLOCK);
      return joined([data.subarray(block * BLOCK, (block + 1) * BLOCK), treeOf(data, BLOCK).path(block)]);
    });
    return joined([...digests, ...parts]);
  };
  return { root, open };
}
