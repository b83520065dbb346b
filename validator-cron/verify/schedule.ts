/**
 * Whether what was due was done (pure). Who is to be tested in a slot follows from the beacon and from who was there; a challenge that is
 * due and of which no trace exists was left out by somebody.
 */
import { drawingRound, due, type BeaconChain, type Due, type Suite, type Target, type Transcript } from '#protocol/challenge/index.ts';
import type { EvidenceHead, Presence } from '#protocol/epoch.ts';

export interface Schedule {
  /** Due challenges of devices that were surely there. */
  due: number;
  /** Those without a transcript in this file; they may be in a later one. */
  open: Due[];
}

/** Rounds whose pulses draw the slots of an epoch. */
export function drawingRounds(head: EvidenceHead, suite: Suite, chain: BeaconChain): number[] {
  return [...new Set(slotsOf(head, suite).map((slot) => drawingRound(chain, slot)))];
}

export function checkSchedule(of: {
  head: EvidenceHead;
  suite: Suite;
  chain: BeaconChain;
  presence: readonly Presence[];
  transcripts: readonly Transcript[];
  randomness: ReadonlyMap<number, string>;
}): Schedule {
  const done = new Set(of.transcripts.map((t) => t.id));
  const schedule: Schedule = { due: 0, open: [] };
  for (const slot of slotsOf(of.head, of.suite)) {
    const drawn = of.randomness.get(drawingRound(of.chain, slot));
    if (drawn === undefined) continue;
    const there = of.presence.filter((p) => isThere(p, slot, of.suite)).map(targetOf);
    for (const challenge of due(of.suite, slot, drawn, there)) {
      schedule.due += 1;
      if (!done.has(challenge.id)) schedule.open.push(challenge);
    }
  }
  return schedule;
}

/**
 * Of those left out, the ones in slots in which others were tested: there somebody chose. In a slot without any test nobody asked for one,
 * which is told and is no one's fault.
 */
export function chosen(left: readonly Due[], transcripts: readonly Transcript[]): Due[] {
  const tested = new Set(transcripts.filter((t) => t.scheduled && t.device !== null).map((t) => t.slot));
  return left.filter((challenge) => tested.has(challenge.slot));
}

/** Counted in every slot from first to last, and in this one neither for the first nor for the last time: it may have come or gone within those. */
function isThere(p: Presence, slot: number, { cadence }: Suite): boolean {
  const whole = (p.to - p.from) / cadence.slotSeconds + 1 === p.slots;
  return whole && p.from < slot && slot < p.to;
}

function targetOf({ agent, device, since }: Presence): Target {
  return { target: `${agent}/${device}`, what: 'device', since };
}

function slotsOf({ epoch, seconds }: EvidenceHead, { cadence }: Suite): number[] {
  return Array.from({ length: Math.floor(seconds / cadence.slotSeconds) }, (_, k) => epoch + k * cadence.slotSeconds);
}
