/** The work of a device, whichever it is (pure): made by a prover, checked by a judge, both by what the challenge says and nothing else. */
import { hexToBytes } from '@noble/hashes/utils.js';
import { checkMem, memSamples, proveMem, type MemAsk } from './mem.ts';
import { checkMm, mmSamples, proveMm, sharedSeed, type MmAsk } from './mm.ts';
import { MEM_PROFILES, MM_PROFILES, mmSteps, type DeviceChallenge, type DeviceClass, type Suite } from './suite.ts';
import type { Tiles } from './tiles.ts';
import type { Wrong } from './verdict.ts';

/** `steps`: of `pow.mm` the products, of `pow.mem` the MiB that are filled. */
export interface Work {
  kind: DeviceChallenge;
  profile: string;
  steps: number;
  /** Hex: `challengeSeed`, and the randomness of the round that it is made of. */
  seed: string;
  randomness: string;
}

export interface WorkProof {
  root: string;
  /** `randomness`: of the round that names the samples. */
  open: (randomness: string) => Uint8Array;
}

/** Of the memory of a class, the thousandths that are filled; and MiB where a class tells none. */
const FILLED = 800;
const LEAST_MIB = 2;

/** Profile and size of what a device of a class is asked for. */
export function workFor(suite: Suite, kind: DeviceChallenge, of: DeviceClass): { profile: string; steps: number } {
  if (kind === 'pow.mm') return { profile: of.mm, steps: mmSteps(suite, of) };
  return { profile: of.mem, steps: Math.max(LEAST_MIB, Math.floor((of.memoryMb * FILLED) / 1000)) };
}

/** Whether this code makes and checks a profile. */
export function knowsProfile(kind: DeviceChallenge, profile: string): boolean {
  return kind === 'pow.mm' ? mmProfile(profile) !== null : memProfile(profile) !== null;
}

/** The work, bit for bit as every prover must do it; null where the profile is none. `onStep` hears of every step, and ends the work by throwing. */
export function proveWork(work: Work, onStep?: (done: number) => void): WorkProof | null {
  if (work.kind === 'pow.mm') {
    const ask = mmAsk(work);
    if (ask === null) return null;
    const proof = proveMm(ask, onStep);
    return { root: proof.root, open: (randomness) => proof.open(mmSamples(ask.profile, ask.steps, proof.root, randomness)) };
  }
  const ask = memAsk(work);
  if (ask === null) return null;
  const proof = proveMem(ask, onStep);
  return { root: proof.root, open: (randomness) => proof.open(memSamples(ask.profile, proof.root, randomness)) };
}

/** What is wrong first; null where every sample is right. `randomness`: of the round that names the samples. */
export function checkWork(work: Work, root: string, randomness: string, opening: Uint8Array, tiles: Tiles): Wrong | null {
  if (work.kind === 'pow.mm') {
    const ask = mmAsk(work);
    if (ask === null) return unknownProfile(work);
    return checkMm(ask, root, mmSamples(ask.profile, ask.steps, root, randomness), opening, tiles);
  }
  const ask = memAsk(work);
  if (ask === null) return unknownProfile(work);
  return checkMem(ask, root, memSamples(ask.profile, root, randomness), opening);
}

function mmAsk({ profile, steps, seed, randomness }: Work): MmAsk | null {
  const known = mmProfile(profile);
  return known && { profile: known, steps, seed: hexToBytes(seed), shared: sharedSeed(randomness, profile) };
}

function memAsk({ profile, steps, seed }: Work): MemAsk | null {
  const known = memProfile(profile);
  return known && { profile: known, memoryBytes: steps * 2 ** 20, seed: hexToBytes(seed) };
}

function mmProfile(name: string) {
  return Object.entries(MM_PROFILES).find(([known]) => known === name)?.[1] ?? null;
}

function memProfile(name: string) {
  return Object.entries(MEM_PROFILES).find(([known]) => known === name)?.[1] ?? null;
}

function unknownProfile({ profile }: Work): Wrong {
  return { reason: 'bad_record', at: 'profile', due: 'a profile of the suite', given: profile };
}
