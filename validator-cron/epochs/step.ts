/** The part of a tick that is about epochs: judge those that closed, then bring the newest weights to the chain. */
import { slotOf } from '#protocol/challenge/index.ts';
import type { Bench } from '../bench.ts';
import type { EpochItem, Judgement } from '../edge/feed.ts';
import { closeEpoch, type Closed } from './close.ts';
import { AT_ONCE, closed } from './due.ts';

export interface EpochsDone {
  closed: Closed[];
  /** What came of the weights: `confirmed`, `submitted`, … with its reason; null: none to post, or no chain. */
  weights: { epoch: number; state: string; why: string } | null;
}

export async function doEpochs(bench: Bench, atMs: number): Promise<EpochsDone> {
  const epochs = await bench.feed.epochs();
  const { open, judged } = await standing(bench, epochs);
  const done: Closed[] = [];
  for (const epoch of open.toReversed().slice(0, AT_ONCE)) {
    const came = await closeEpoch(bench, epochs, epoch, slotOf(bench.config.suite, atMs));
    done.push(came);
    if (came.state === 'unjudged') break;
    judged.unshift({ epoch, weights: came.weights, extrinsic: null });
  }
  return { closed: done, weights: await postNewest(bench, judged, atMs) };
}

type Standing = Pick<Judgement, 'weights' | 'extrinsic'> & { epoch: number };

/** Goes back to the newest epoch with this judge's word; what it has no word for is open. Both newest first. */
async function standing({ feed }: Bench, epochs: readonly EpochItem[]): Promise<{ open: number[]; judged: Standing[] }> {
  const open: number[] = [];
  const judged: Standing[] = [];
  for (const epoch of closed(epochs)) {
    const own = await feed.judgement(epoch);
    if (own === null) open.push(epoch);
    else judged.push({ epoch, weights: own.weights, extrinsic: own.extrinsic });
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
