/** Openings at the size of production, which no CPU makes in time: right in the leaves that are sampled, random everywhere else. */
import { randomBytes } from 'node:crypto';
import { bytesToHex } from '@noble/hashes/utils.js';
import { hashOf, keyOf } from '#protocol/challenge/mix.ts';
import type { MmAsk, MmSample } from '#protocol/challenge/mm.ts';
import { leavesOf, packRow } from '#protocol/challenge/product.ts';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { joined, treeOf } from '#protocol/challenge/tree.ts';

const BLOCK = 256;

export interface Made {
  root: string;
  samples: MmSample[];
  opening: Uint8Array;
}

/** `opened` steps at `rows` rows each; the samples are chosen first, and the digests made to fit. */
export function madeMm(ask: MmAsk, opened: number, rows: number): Made {
  const tiles = new Tiles(8);
  const perRow = ask.profile.n / ask.profile.tile;
  const samples = Array.from({ length: opened * rows }, (_, at) => ({
    step: Math.floor((Math.floor(at / rows) + 0.5) * (ask.steps / opened)),
    row: (at * 1_021) % ask.profile.n,
    tile: (at * 5) % perRow,
  }));
  const digests: Uint8Array[] = [];
  const parts = new Map<MmSample, Uint8Array>();
  for (let step = 1; step <= ask.steps; step++) {
    const before = digests.at(-1) ?? ask.seed;
    const inside = samples.filter((sample) => sample.step === step);
    if (inside.length === 0) {
      digests.push(randomBytes(32));
      continue;
    }
    const leaves = new Uint8Array(randomBytes(ask.profile.n * perRow * 4));
    for (const { row, tile } of inside) {
      const packed = new Float64Array(ask.profile.n);
      packRow(packed, keyOf('A', ask.seed, before), row, 0);
      const leaf = leavesOf(ask.profile, packed, tiles.get(ask.profile, ask.shared, tile))[0] ?? 0;
      new DataView(leaves.buffer).setInt32((row * perRow + tile) * 4, leaf, true);
    }
    const tree = treeOf(leaves, BLOCK);
    for (const sample of inside) {
      const block = Math.floor(((sample.row * perRow + sample.tile) * 4) / BLOCK);
      parts.set(sample, joined([leaves.subarray(block * BLOCK, (block + 1) * BLOCK), tree.path(block)]));
    }
    digests.push(hashOf(before, tree.root));
  }
  const opening = joined([...digests, ...samples.map((sample) => parts.get(sample) ?? new Uint8Array())]);
  return { root: bytesToHex(hashOf(joined(digests))), samples, opening };
}
