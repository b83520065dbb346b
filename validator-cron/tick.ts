/**
 * One tick of a judge, once a slot: have due challenges run, judge what has ended, call miners as a client, and close epochs.
 *
 * The judge keeps no state: what it has done it reads from the edge, ids follow from slot and target, and the first word stands. So a
 * tick that runs twice, is cut off, or comes late changes nothing but the time. The four parts stand alone: one that fails is told,
 * the others go on.
 */
import { CHALLENGE_LIMITS } from '#protocol/challenge/index.ts';
import type { Bench } from './bench.ts';
import { callMiners, type Called } from './canary/step.ts';
import { askDue, type Asked } from './challenges/ask.ts';
import { judgeOpen, type Judged } from './challenges/share.ts';
import { momentAt, type Moment } from './clock.ts';
import { doEpochs, type EpochsDone } from './epochs/step.ts';

/** What a tick did, in numbers: enough for a log line. */
export interface TickReport extends Moment {
  challenges: Asked | null;
  verdicts: Judged | null;
  calls: Called | null;
  epochs: EpochsDone | null;
  /** Of parts that are null. */
  failures: { part: string; reason: string }[];
}

/**
 * `atMs`: the time the tick was due, Unix milliseconds. `later`: takes the judge's own calls, which may last longer than a slot, off the
 * tick's hands; they are told in a line of their own. Throws the first failure where every part failed.
 */
export async function tick(bench: Bench, atMs: number, later?: (calls: Promise<PartReport<Called>>) => void): Promise<TickReport> {
  const { suite, epochSeconds } = bench.config;
  const moment = momentAt(atMs, suite.cadence.slotSeconds, epochSeconds);
  const calling = part('calls', () => callMiners(bench, moment));
  later?.(calling);
  const [challenges, verdicts, epochs, calls] = await Promise.all([
    part('challenges', () => askDue(bench, atMs)),
    part('verdicts', () => judgeEnded(bench, moment)),
    part('epochs', () => doEpochs(bench, atMs)),
    later === undefined ? calling : NOT_NOW,
  ]);
  const failures = [challenges, verdicts, epochs, calls].flatMap((done) => done.failure ?? []);
  const [first] = failures;
  if (first !== undefined && failures.length === (later === undefined ? 4 : 3)) throw new Error(first.reason);
  return { ...moment, challenges: challenges.done, verdicts: verdicts.done, epochs: epochs.done, calls: calls.done, failures };
}

export interface PartReport<T> {
  done: T | null;
  failure: { part: string; reason: string } | null;
}

const NOT_NOW: PartReport<Called> = { done: null, failure: null };

/** A part stands alone: what it throws is its own failure. */
async function part<T>(name: string, run: () => Promise<T>): Promise<PartReport<T>> {
  try {
    return { done: await run(), failure: null };
  } catch (error) {
    return { done: null, failure: { part: name, reason: error instanceof Error ? error.message : 'unknown' } };
  }
}

/** Milliseconds from the begin of a slot until the last of its challenges has ended, with room. */
const LOOK_BACK_MS = 2 * (2 * CHALLENGE_LIMITS.commitMs + CHALLENGE_LIMITS.openMs);

async function judgeEnded(bench: Bench, { round }: Moment): Promise<Judged> {
  const slots = { from: Math.max(0, round - LOOK_BACK_MS / 1000), to: round + 1 };
  const [items, mine] = await Promise.all([bench.feed.transcripts(slots), bench.feed.verdicts(slots)]);
  const ended = items.flatMap(({ transcript }) => transcript ?? []);
  return judgeOpen(bench, ended, new Set(mine.map(({ id }) => id)));
}
