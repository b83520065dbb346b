/**
 * What is tested when (pure): a function of the beacon and of who was there, so nobody chooses, anybody can foresee nothing, and a
 * test that was left out shows.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { roundAt, type BeaconChain } from './beacon.ts';
import { challengeId } from './transcript.ts';
import type { ChallengeKind, Suite } from './suite.ts';

/** Something that can be tested. `since`: unix seconds of the slot in which it was first seen. */
export interface Target {
  target: string;
  what: 'device' | 'instance';
  since: number;
}

/** A challenge that is due. */
export interface Due {
  id: string;
  kind: ChallengeKind;
  target: string;
  slot: number;
}

/** Unix seconds of the begin of the slot that holds a time (unix ms). */
export function slotOf(suite: Suite, atMs: number): number {
  const second = Math.floor(atMs / 1000);
  return second - (second % suite.cadence.slotSeconds);
}

/** The round whose pulse draws what a slot holds: the newest one when it begins. */
export function drawingRound(chain: BeaconChain, slot: number): number {
  return roundAt(chain, slot * 1000);
}

/**
 * The round whose pulse seeds a slot's challenges; unknown when they are drawn. One whose turn comes later (it was asked for late, or
 * another ran on the device) is seeded by a later round, the first that is not out then.
 */
export function seedingRound(chain: BeaconChain, slot: number, suite: Suite): number {
  return drawingRound(chain, slot) + suite.cadence.leadRounds;
}

/** What is due of these targets in a slot, in their order. `randomness`: of the drawing round, hex. */
export function due(suite: Suite, slot: number, randomness: string, targets: readonly Target[]): Due[] {
  return targets.flatMap((target) => kindsDue(suite, slot, randomness, target).map((kind) => dueOf(kind, target.target, slot)));
}

/** Whether the schedule has this challenge; else it is a repeat that a judge asked for. */
export function isDue(suite: Suite, slot: number, randomness: string, target: Target, kind: ChallengeKind): boolean {
  return kindsDue(suite, slot, randomness, target).includes(kind);
}

/** A flash tests all devices in one round: what is there at that moment is what there is. */
export function isFlash(suite: Suite, randomness: string): boolean {
  return drawn(randomness, 'flash', '', suite.cadence.flash);
}

function kindsDue({ cadence, ...suite }: Suite, slot: number, randomness: string, target: Target): ChallengeKind[] {
  const draw = (kind: ChallengeKind, every: number) => drawn(randomness, kind, target.target, every);
  if (target.what === 'instance') {
    return [...(draw('fs', cadence.fs) ? ['fs' as const] : []), ...(draw('weights', cadence.weights) ? ['weights' as const] : [])];
  }
  const age = Math.round((slot - target.since) / cadence.slotSeconds);
  const fresh = cadence.newcomer.includes(age);
  const mm = fresh || isFlash({ cadence, ...suite }, randomness);
  // Of all devices at once too: else one with much memory proves it under one name after the other.
  const mem = age === cadence.newcomer[0] || drawn(randomness, 'pow.mem', '', cadence.mem);
  return [...(mm ? ['pow.mm' as const] : []), ...(mem ? ['pow.mem' as const] : [])];
}

/** One in `every`, by the first 48 bits of a hash. */
function drawn(randomness: string, kind: string, target: string, every: number): boolean {
  if (every === 0) return false;
  const hash = sha256(utf8ToBytes(`ripcord/draw/1\n${randomness}\n${kind}\n${target}`));
  let value = 0;
  for (const byte of hash.subarray(0, 6)) value = value * 256 + byte;
  return value % every === 0;
}

function dueOf(kind: ChallengeKind, target: string, slot: number): Due {
  return { id: challengeId(kind, target, slot), kind, target, slot };
}
