/** The part of a tick that is about epochs: judge those that closed, then bring the newest weights to the chain. */
import { slotOf } from '#protocol/challenge/index.ts';
import type { Bench } from '../bench.ts';
import type { EpochItem, Judgement } from '../edge/feed.ts';
import { closeEpoch, type Closed } from './close.ts';
import { AT_ONCE, closed, PATIENCE } from './due.ts';

export interface EpochsDone {
  closed: (Closed | Passed)[];
  /** What came of the weights: `confirmed`, `submitted`, … with its reason; null: none to post, or no chain. */
  weights: { epoch: number; state: string; why: string } | null;
}

/** What it is made of cannot be had, and others wait behind it. */
interface Passed {
  epoch: number;
  state: 'passed';
  why: string;
}

export async function doEpochs(bench: Bench, atMs: number): Promise<EpochsDone> {
  const epochs = await bench.feed.epochs();
  const { open, judged } = await standing(bench, epochs);
  const done: EpochsDone['closed'] = [];
  const waiting = open.toReversed();
  let passed = 0;
  for (const [at, epoch] of waiting.entries()) {
    if (done.length - passed === AT_ONCE) break;
    const mayPass = waiting.length - 1 - at >= PATIENCE;
    const came = await attempt(() => closeEpoch(bench, epochs, epoch, slotOf(bench.config.suite, atMs)), epoch, mayPass);
    done.push(came);
    if (came.state === 'unjudged') break;
    if (came.state === 'passed') passed++;
    else judged.unshift({ epoch, weights: came.weights, extrinsic: null });
  }
  return { closed: done, weights: await postNewest(bench, judged, atMs) };
}

/**
 * One lost file must not keep all later epochs from their weights. Nothing of it is kept: the next tick tries again, until a later epoch is
 * judged. Throws what closing throws where it may not be passed over.
 */
async function attempt(close: () => Promise<Closed>, epoch: number, mayPass: boolean): Promise<Closed | Passed> {
  try {
    const came = await close();
    if (came.state !== 'unjudged' || came.judged > 0 || !mayPass) return came;
    return { epoch, state: 'passed', why: `${came.left} challenges cannot be judged` };
  } catch (error) {
    if (!mayPass) throw error;
    return { epoch, state: 'passed', why: error instanceof Error ? error.message : 'unknown' };
  }
}

type Standing = Pick<Judgement, 'weights' | 'extrinsic'> & { epoch: number };

/**
 * Goes back to the newest epochs with this judge's word; what is newer than those is open. Both newest first. What was passed over stays so:
 * each summary names the one before, so none can come in between.
 */
async function standing({ feed }: Bench, epochs: readonly EpochItem[]): Promise<{ open: number[]; judged: Standing[] }> {
  const open: number[] = [];
  const judged: Standing[] = [];
  for (const epoch of closed(epochs)) {
    const own = await feed.judgement(epoch);
    if (own !== null) judged.push({ epoch, weights: own.weights, extrinsic: own.extrinsic });
    else if (judged.length === 0) open.push(epoch);
    if (judged.length === POSTED_LATE) break;
  }
  return { open, judged };
}

/** The newest epochs whose way to the chain is followed: the newest may have to wait for the one before. */
const POSTED_LATE = 2;

async function postNewest(bench: Bench, judged: readonly Standing[], atMs: number): Promise<EpochsDone['weights']> {
  if (bench.post === null) return null;
  let newest: EpochsDone['weights'] = null;
  for (const { epoch, weights, extrinsic } of judged.slice(0, POSTED_LATE)) {
    if (extrinsic !== null || weights.uids.length === 0) continue;
    const { state, why, ...report } = await bench.post({ epoch, weights, atMs });
    newest ??= { epoch, state, why };
    if (state === 'confirmed' && report.extrinsic !== undefined && report.block !== undefined)
      await bench.feed.posted({ epoch, extrinsic: report.extrinsic, block: report.block, reveal_round: report.revealRound ?? null });
  }
  return newest;
}
