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
  /** Of the parts that are null. */
  failures: { part: string; reason: string }[];
}

/** `atMs`: the time the tick was due, Unix milliseconds. Throws the first failure where every part failed. */
export async function tick(bench: Bench, atMs: number): Promise<TickReport> {
  const { suite, epochSeconds } = bench.config;
  const moment = momentAt(atMs, suite.cadence.slotSeconds, epochSeconds);
  const failures: { part: string; reason: string; error: unknown }[] = [];
  const alone = async <T>(part: string, run: () => Promise<T>): Promise<T | null> => {
    try {
      return await run();
    } catch (error) {
      failures.push({ part, reason: error instanceof Error ? error.message : 'unknown', error });
      return null;
    }
  };
  const [challenges, verdicts, calls, epochs] = await Promise.all([
    alone('challenges', () => askDue(bench, atMs)),
    alone('verdicts', () => judgeEnded(bench, moment)),
    alone('calls', () => callMiners(bench, moment)),
    alone('epochs', () => doEpochs(bench, atMs)),
  ]);
  if (failures.length === PARTS) throw failures[0]?.error;
  return { ...moment, challenges, verdicts, calls, epochs, failures: failures.map(({ part, reason }) => ({ part, reason })) };
}

const PARTS = 4;

/** Milliseconds from the begin of a slot until the last of its challenges has ended, with room. */
const LOOK_BACK_MS = 2 * (2 * CHALLENGE_LIMITS.commitMs + CHALLENGE_LIMITS.openMs);

async function judgeEnded(bench: Bench, { round }: Moment): Promise<Judged> {
  const slots = { from: Math.max(0, round - LOOK_BACK_MS / 1000), to: round };
  const [items, mine] = await Promise.all([bench.feed.transcripts(slots), bench.feed.verdicts(slots)]);
  const ended = items.flatMap(({ transcript }) => transcript ?? []);
  return judgeOpen(bench, ended, new Set(mine.map(({ id }) => id)));
}
