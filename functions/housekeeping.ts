/**
 * What the edge does once a minute: each errand by itself, bounded, and safe to run twice at once or not at all. What one
 * of them leaves the next minute takes up.
 */
import * as db from '#db';
import { syncNeurons } from './chain/sync.ts';
import { creditDeposits } from './deposits/credit.ts';
import { followDeposits } from './deposits/follow.ts';
import type { Env } from './env.ts';
import { census } from './epochs/census.ts';
import { closeEpochs } from './epochs/close.ts';
import { event, whyOf } from './events.ts';
import { tellJails } from './gate/jail.ts';
import { runPayouts } from './payouts/run.ts';
import { feedRates } from './rates/run.ts';

/** Entries folded by one statement, and statements of one minute. */
const FOLD = 5_000;
const FOLDS = 20;
const MATURE = 500;
/** A look at the whole books costs Postgres seconds when they are long. */
const CHECK_MS = 5 * 60_000;

/** What came of each errand: a number it counts, or why it failed. */
export type Housekeeping = Record<string, number | string>;

/** Never throws; an errand that fails says so in its place. */
export async function housekeeping(env: Env, now: number): Promise<{ ok: boolean; errands: Housekeeping }> {
  const base = db.connect(env);
  // Who is there is counted first: what comes after may wait long for others.
  const errands: Record<string, () => Promise<number>> = {
    census: () => census(env, now),
    jails: () => tellJails(env),
    fold: () => repeat(FOLD, FOLDS, () => db.foldEntries(base, FOLD)),
    mature: () => db.matureEarnings(base, new Date(now), MATURE),
    neurons: () => syncNeurons(env),
    deposits: () => followDeposits(env),
    rates: () => feedRates(env),
    credit: () => creditDeposits(env),
    payouts: () => runPayouts(env),
    epochs: () => closeEpochs(env, now),
    check: () => checkBooks(base),
  };
  const came: Housekeeping = {};
  let ok = true;
  for (const [name, errand] of Object.entries(errands)) {
    try {
      came[name] = await errand();
    } catch (error) {
      ok = false;
      came[name] = db.isUnanswered(error) ? 'unanswered' : 'failed';
      event('errand_failed', { of: name, why: whyOf(error, 200) });
    }
  }
  return { ok, errands: came };
}

/** Broken invariants are news each time: nothing mends them by itself. */
async function checkBooks(base: db.Database): Promise<number> {
  const broken = await db.recordBookCheck(base, CHECK_MS);
  if (broken !== null && broken > 0) event('books_broken', { invariants: broken });
  return broken ?? 0;
}

/** Until less than a full batch was done, or as often as this. */
async function repeat(batch: number, times: number, work: () => Promise<number>): Promise<number> {
  let sum = 0;
  for (let k = 0; k < times; k++) {
    const did = await work();
    sum += did;
    if (did < batch) break;
  }
  return sum;
}
