/**
 * `pow.mm`: T products of n×n matrices, each of whose A follows from the product before it, so that they cannot be had at the
 * same time, nor sooner than a device multiplies. Made by the prover as told here, and checked by sixteen leaves (pure).
 */
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { drawsOf } from './draws.ts';
import { hashOf, keyOf } from './mix.ts';
import { leavesOf, packRow, PACKED, tileOf, type Tile } from './product.ts';
import type { MmProfile } from './suite.ts';
import type { Tiles } from './tiles.ts';
import { climb, joined, pathBytes, same, slot, treeOf, type Tree } from './tree.ts';
import type { Wrong } from './verdict.ts';

/**
 * One challenge. `seed`: the device's own (`challengeSeed`), which is in the A of every step, so that no step is good for another
 * device; `shared`: everybody's of the round (`sharedSeed`), which B is made of.
 */
export interface MmAsk {
  profile: MmProfile;
  steps: number;
  seed: Uint8Array;
  shared: Uint8Array;
}

/** One leaf: row `row` of step `step` (from 1) over the columns of tile `tile`. */
export interface MmSample {
  step: number;
  row: number;
  tile: number;
}

export interface MmProof {
  /** Hex; what is committed to. */
  root: string;
  /** What shows the samples to be right. Makes the sampled steps anew. */
  open: (samples: readonly MmSample[]) => Uint8Array;
}

const LEAF = 4;
const BLOCK_LEAVES = 64;
const BLOCK = BLOCK_LEAVES * LEAF;
const HASH = 32;

/** B is the same for all devices of a round, so that a judge makes a tile of it once; A is every device's own, and new at each step. */
export function sharedSeed(randomness: string, profile: string): Uint8Array {
  return hashOf(utf8ToBytes(`ripcord/mm/1\n${profile}\n${randomness}`));
}

/**
 * Each sample in a step and a row of its own, and all tiles alike: whatever part is left out, steps, rows or columns, every sample
 * may fall in it.
 */
export function mmSamples(profile: MmProfile, steps: number, root: string, randomness: string): MmSample[] {
  const draws = drawsOf(root, randomness);
  const places = draws
    .distinct(profile.opened, steps)
    .flatMap((step) => draws.distinct(profile.rows, profile.n).map((row) => ({ step: step + 1, row })));
  const tiles = draws.spread(places.length, tilesOf(profile));
  return places.map((place, at) => ({ ...place, tile: tiles[at] ?? 0 }));
}

/** The work itself. `onStep` hears of every step that is done; what it throws ends the work. */
export function proveMm(ask: MmAsk, onStep: (done: number) => void = () => {}): MmProof {
  const work = workOf(ask);
  const chain = [ask.seed];
  for (let step = 1; step <= ask.steps; step++) {
    const before = chain[step - 1] ?? ask.seed;
    chain.push(hashOf(before, work(before).tree.root));
    onStep(step);
  }
  const digests = joined(chain.slice(1));
  const open = (samples: readonly MmSample[]): Uint8Array => {
    const opened = samples.map((sample) => {
      const { leaves, tree } = work(chain[sample.step - 1] ?? ask.seed);
      const block = blockOf(ask.profile, sample);
      return joined([leaves.subarray(block * BLOCK, (block + 1) * BLOCK), tree.path(block)]);
    });
    return joined([digests, ...opened]);
  };
  return { root: bytesToHex(hashOf(digests)), open };
}

/** Bytes of an opening: T digests, then a block of leaves with its path for each sample. */
export function mmOpeningBytes(profile: MmProfile, steps: number): number {
  const samples = Math.min(profile.opened, steps) * Math.min(profile.rows, profile.n);
  return steps * HASH + samples * (BLOCK + pathBytes(blocksOf(profile)));
}

/** What is wrong first, in the order of the samples; null where everything is right. */
export function checkMm(ask: MmAsk, root: string, samples: readonly MmSample[], opening: Uint8Array, tiles: Tiles): Wrong | null {
  const length = mmOpeningBytes(ask.profile, ask.steps);
  if (opening.length !== length) return { reason: 'malformed', at: 'bytes', due: String(length), given: String(opening.length) };
  const digests = opening.subarray(0, ask.steps * HASH);
  const opened = bytesToHex(hashOf(digests));
  if (opened !== root) return { reason: 'wrong_root', at: 'digests', due: root, given: opened };
  return wrongPath(ask, digests, samples, opening) ?? wrongLeaf(ask, digests, samples, opening, tiles);
}

function wrongPath(ask: MmAsk, digests: Uint8Array, samples: readonly MmSample[], opening: Uint8Array): Wrong | null {
  for (const [index, sample] of samples.entries()) {
    const { block, path } = part(ask, opening, index);
    const given = hashOf(digestBefore(ask, digests, sample.step), climb(block, blockOf(ask.profile, sample), path));
    const due = slot(digests, sample.step - 1);
    if (!same(given, due)) return { reason: 'wrong_root', at: `step ${sample.step}`, due: bytesToHex(due), given: bytesToHex(given) };
  }
  return null;
}

/** Tile by tile, two rows at a time, of whatever steps they are. */
function wrongLeaf(ask: MmAsk, digests: Uint8Array, samples: readonly MmSample[], opening: Uint8Array, tiles: Tiles): Wrong | null {
  const due = new Map<MmSample, number>();
  for (let index = 0; index < tilesOf(ask.profile); index++) {
    const inside = samples.filter((sample) => sample.tile === index);
    if (inside.length === 0) continue;
    const tile = tiles.get(ask.profile, ask.shared, index);
    for (let at = 0; at < inside.length; at += PACKED) {
      const rows = inside.slice(at, at + PACKED);
      const packed = new Float64Array(ask.profile.n);
      for (const [field, { step, row }] of rows.entries())
        packRow(packed, keyOf('A', ask.seed, digestBefore(ask, digests, step)), row, field);
      const leaves = leavesOf(ask.profile, packed, tile);
      for (const [field, sample] of rows.entries()) due.set(sample, (leaves[field] ?? 0) >>> 0);
    }
  }
  for (const [index, sample] of samples.entries()) {
    const { block } = part(ask, opening, index);
    const given = new DataView(block.buffer, block.byteOffset).getUint32((leafOf(ask.profile, sample) % BLOCK_LEAVES) * LEAF, true);
    const right = due.get(sample) ?? 0;
    if (given === right) continue;
    return { reason: 'wrong_leaf', at: `step ${sample.step} row ${sample.row} tile ${sample.tile}`, due: hex(right), given: hex(given) };
  }
  return null;
}

/** All leaves of a step, row after row, and the tree over them. */
function workOf({ profile, seed, shared }: MmAsk): (before: Uint8Array) => { leaves: Uint8Array; tree: Tree } {
  const key = keyOf('B', shared);
  const tiles: Tile[] = Array.from({ length: tilesOf(profile) }, (_, index) => tileOf(profile, key, index));
  return (before) => {
    const keyA = keyOf('A', seed, before);
    const leaves = new Uint8Array(profile.n * tiles.length * LEAF);
    const view = new DataView(leaves.buffer);
    for (let row = 0; row < profile.n; row += PACKED) {
      const packed = new Float64Array(profile.n);
      for (let field = 0; field < PACKED; field++) packRow(packed, keyA, row + field, field);
      for (const tile of tiles) {
        leavesOf(profile, packed, tile).forEach((leaf, field) =>
          view.setInt32(leafOf(profile, { row: row + field, tile: tile.index }) * LEAF, leaf, true),
        );
      }
    }
    return { leaves, tree: treeOf(leaves, BLOCK) };
  };
}

function part(ask: MmAsk, opening: Uint8Array, index: number): { block: Uint8Array; path: Uint8Array } {
  const path = pathBytes(blocksOf(ask.profile));
  const at = ask.steps * HASH + index * (BLOCK + path);
  return { block: opening.subarray(at, at + BLOCK), path: opening.subarray(at + BLOCK, at + BLOCK + path) };
}

function digestBefore(ask: MmAsk, digests: Uint8Array, step: number): Uint8Array {
  return step === 1 ? ask.seed : slot(digests, step - 2);
}

const tilesOf = ({ n, tile }: MmProfile): number => n / tile;
const blocksOf = (profile: MmProfile): number => (profile.n * tilesOf(profile)) / BLOCK_LEAVES;
const leafOf = (profile: MmProfile, { row, tile }: { row: number; tile: number }): number => row * tilesOf(profile) + tile;
const blockOf = (profile: MmProfile, sample: MmSample): number => Math.floor(leafOf(profile, sample) / BLOCK_LEAVES);
const hex = (leaf: number): string => leaf.toString(16).padStart(8, '0');
