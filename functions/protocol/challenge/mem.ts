/**
 * `pow.mem`: memory is filled with pages, each a chain whose elements are dear to make, and walked through by many lanes at once;
 * where a lane reads next depends on what it just read, so whoever keeps less makes elements anew at every step. Made by the
 * prover as told here, checked by a few segments of lanes (pure).
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import { chachaBlock } from './chacha.ts';
import { drawsOf } from './draws.ts';
import { hashOf, mix } from './mix.ts';
import type { MemProfile } from './suite.ts';
import { climb, joined, pathBytes, same, slot, treeOf, type Tree } from './tree.ts';
import type { Wrong } from './verdict.ts';

/** One challenge: `memoryBytes` are filled; `seed` is the device's own (`challengeSeed`). */
export interface MemAsk {
  profile: MemProfile;
  memoryBytes: number;
  seed: Uint8Array;
}

/** A lane from one checkpoint to the next; segment 0 begins where the seed says. */
export interface MemSample {
  lane: number;
  segment: number;
}

export interface MemProof {
  root: string;
  open: (samples: readonly MemSample[]) => Uint8Array;
}

/** Words of an element and of a lane's state. */
const ELEMENT = 16;
const STATE = 4;
const STATE_BYTES = STATE * 4;
/** Lanes in a block of the tree over all states at a checkpoint. */
const BLOCK_LANES = 16;
const BLOCK = BLOCK_LANES * STATE_BYTES;
const HASH = 32;
/** ChaCha20 blocks from one element of a page to the next. */
const ROUNDS = 8;
/** "expand 32-byte k", as in ChaCha20. */
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;

export function memSamples(profile: MemProfile, root: string, randomness: string): MemSample[] {
  const all = profile.lanes * profile.checkpoints;
  return drawsOf(root, randomness)
    .distinct(profile.opened, all)
    .map((one) => ({ lane: Math.floor(one / profile.checkpoints), segment: one % profile.checkpoints }));
}

/** The work itself. `onStep` hears of the memory that is filled, then of every checkpoint; what it throws ends the work. */
export function proveMem(ask: MemAsk, onStep: (done: number) => void = () => {}): MemProof {
  const { profile } = ask;
  const read = readerOf(filled(ask));
  onStep(0);
  const states = Uint32Array.from({ length: profile.lanes * STATE }, (_, at) => firstWord(ask, Math.floor(at / STATE), at % STATE));
  const checkpoints: { bytes: Uint8Array; tree: Tree }[] = [];
  const elements = elementsOf(ask);
  for (let checkpoint = 1; checkpoint <= profile.checkpoints; checkpoint++) {
    for (let lane = 0; lane < profile.lanes; lane++) {
      const state = states.subarray(lane * STATE, (lane + 1) * STATE);
      walk(profile, state, elements, read);
    }
    const bytes = bytesOf(states);
    checkpoints.push({ bytes, tree: treeOf(bytes, BLOCK) });
    onStep(checkpoint);
  }
  const roots = joined(checkpoints.map(({ tree }) => tree.root));
  const block = (lane: number, checkpoint: number): Uint8Array => {
    const of = checkpoints[checkpoint - 1];
    const at = Math.floor(lane / BLOCK_LANES);
    return of === undefined ? new Uint8Array() : joined([of.bytes.subarray(at * BLOCK, (at + 1) * BLOCK), of.tree.path(at)]);
  };
  const open = (samples: readonly MemSample[]): Uint8Array =>
    joined([roots, ...samples.flatMap(({ lane, segment }) => [block(lane, segment), block(lane, segment + 1)])]);
  return { root: bytesToHex(hashOf(roots)), open };
}

/** Bytes of an opening: the roots, then for each sample the states' blocks with paths at its begin (where it has one) and its end. */
export function memOpeningBytes(profile: MemProfile, samples: readonly MemSample[]): number {
  const blocks = samples.reduce((sum, { segment }) => sum + (segment === 0 ? 1 : 2), 0);
  return profile.checkpoints * HASH + blocks * blockWithPath(profile);
}

/** What is wrong first, in the order of the samples; null where everything is right. */
export function checkMem(ask: MemAsk, root: string, samples: readonly MemSample[], opening: Uint8Array): Wrong | null {
  const { profile } = ask;
  const length = memOpeningBytes(profile, samples);
  if (opening.length !== length) return { reason: 'malformed', at: 'bytes', due: String(length), given: String(opening.length) };
  const roots = opening.subarray(0, profile.checkpoints * HASH);
  const opened = bytesToHex(hashOf(roots));
  if (opened !== root) return { reason: 'wrong_root', at: 'roots', due: root, given: opened };
  let at = roots.length;
  for (const sample of samples) {
    const first = sample.segment === 0 ? 1 : 0;
    const given: Uint8Array[] = first === 1 ? [bytesOf(firstState(ask, sample.lane))] : [];
    for (let edge = first; edge < 2; edge++) {
      const bytes = opening.subarray(at, at + blockWithPath(profile));
      at += bytes.length;
      const wrong = wrongBlock(sample, sample.segment + edge, roots, bytes);
      if (wrong !== null) return wrong;
      const within = (sample.lane % BLOCK_LANES) * STATE_BYTES;
      given.push(bytes.subarray(within, within + STATE_BYTES));
    }
    const wrong = wrongWalk(ask, sample, given[0] ?? new Uint8Array(), given[1] ?? new Uint8Array());
    if (wrong !== null) return wrong;
  }
  return null;
}

function wrongBlock({ lane }: MemSample, checkpoint: number, roots: Uint8Array, bytes: Uint8Array): Wrong | null {
  const due = slot(roots, checkpoint - 1);
  const given = climb(bytes.subarray(0, BLOCK), Math.floor(lane / BLOCK_LANES), bytes.subarray(BLOCK));
  if (same(due, given)) return null;
  return { reason: 'wrong_root', at: `lane ${lane} checkpoint ${checkpoint}`, due: bytesToHex(due), given: bytesToHex(given) };
}

function wrongWalk(ask: MemAsk, { lane, segment }: MemSample, begin: Uint8Array, end: Uint8Array): Wrong | null {
  const view = new DataView(begin.buffer, begin.byteOffset);
  const state = Uint32Array.from({ length: STATE }, (_, at) => view.getUint32(at * 4, true));
  walk(ask.profile, state, elementsOf(ask), (index) => elementAt(ask, index));
  const due = bytesOf(state);
  if (same(due, end)) return null;
  return { reason: 'wrong_leaf', at: `lane ${lane} segment ${segment}`, due: bytesToHex(due), given: bytesToHex(end) };
}

/** From one checkpoint to the next: the state takes in all words of an element, each under the words before, so none can be left out. */
function walk({ steps, checkpoints }: MemProfile, state: Uint32Array, elements: number, read: (index: number) => Uint32Array): void {
  for (let step = 0; step < steps / checkpoints; step++) {
    const element = read(state[0]! % elements);
    for (let at = 0; at < ELEMENT; at++) state[at & 3] = mix(state[at & 3]! ^ ((element[at]! + state[(at + 1) & 3]!) | 0));
  }
}

/** Elements that the memory holds, in whole pages. */
function elementsOf({ profile, memoryBytes }: MemAsk): number {
  const page = profile.chain * ELEMENT * 4;
  return Math.max(1, Math.floor(memoryBytes / page)) * profile.chain;
}

function filled(ask: MemAsk): Uint32Array {
  const memory = new Uint32Array(elementsOf(ask) * ELEMENT);
  const element = new Uint32Array(ELEMENT);
  for (let index = 0; index * ELEMENT < memory.length; index++) {
    if (index % ask.profile.chain === 0) begin(ask, index / ask.profile.chain, element);
    advance(element);
    memory.set(element, index * ELEMENT);
  }
  return memory;
}

/** Apart from the proof, which is held until it is opened: the memory must not be. */
function readerOf(memory: Uint32Array): (index: number) => Uint32Array {
  return (index) => memory.subarray(index * ELEMENT, (index + 1) * ELEMENT);
}

/** One element without the memory: its page from the begin. */
function elementAt(ask: MemAsk, index: number): Uint32Array {
  const element = new Uint32Array(ELEMENT);
  begin(ask, Math.floor(index / ask.profile.chain), element);
  for (let at = 0; at <= index % ask.profile.chain; at++) advance(element);
  return element;
}

function begin({ seed }: MemAsk, page: number, element: Uint32Array): void {
  const view = new DataView(seed.buffer, seed.byteOffset);
  element.set(SIGMA, 0);
  for (let at = 0; at < 8; at++) element[4 + at] = view.getUint32(at * 4, true);
  element.set([page, 0, 0, 0], 12);
}

function advance(element: Uint32Array): void {
  for (let round = 0; round < ROUNDS; round++) chachaBlock(element);
}

function firstState(ask: MemAsk, lane: number): Uint32Array {
  return Uint32Array.from({ length: STATE }, (_, at) => firstWord(ask, lane, at));
}

function firstWord({ seed }: MemAsk, lane: number, at: number): number {
  const view = new DataView(seed.buffer, seed.byteOffset);
  return mix(mix(view.getUint32(at * 4, true) ^ lane) + view.getUint32(16 + at * 4, true));
}

function bytesOf(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, at) => view.setUint32(at * 4, word, true));
  return bytes;
}

function blockWithPath({ lanes }: MemProfile): number {
  return BLOCK + pathBytes(lanes / BLOCK_LANES);
}
