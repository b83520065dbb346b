/** What became of the transfers that were sent: read from finalized blocks, each block once for all of them. */
import * as db from '#db';
import type { Block, Chain } from '../chain/chain.ts';
import { extrinsicHash } from '../chain/extrinsic.ts';
import { ChainError, bytesOf, hexOf } from '../chain/rpc.ts';
import type { Attempt } from './step.ts';
import { RUN } from './terms.ts';

export type Outcome = 'success' | 'failed';

/** A payout whose transfer was stored to be sent. */
export interface Sent {
  id: string;
  attempt: Attempt;
}

/** The outcomes by payout that the next blocks hold; how far they were read is noted for all others. Throws `ChainError`. */
export async function readOutcomes(
  handle: db.Database,
  chain: Chain,
  sent: readonly Sent[],
  finalized: number,
): Promise<Map<string, Outcome>> {
  const found = new Map<string, Outcome>();
  if (sent.length === 0) return found;
  const from = Math.min(...sent.map(({ attempt }) => attempt.read)) + 1;
  const last = Math.min(finalized, from + RUN.blocks - 1, Math.max(...sent.map(({ attempt }) => attempt.death)) - 1);
  for (let next = from; next <= last; next += RUN.together) {
    const blocks = await chain.blocks(next, Math.min(next + RUN.together - 1, last));
    for (const block of blocks) for (const [id, outcome] of await outcomesIn(chain, block, sent)) found.set(id, outcome);
  }
  if (last < from) return found;
  const others = sent.filter(({ id, attempt }) => !found.has(id) && attempt.read < last);
  await db.notePayoutsRead(
    handle,
    others.map(({ id }) => id),
    last,
  );
  return found;
}

async function outcomesIn(chain: Chain, block: Block, sent: readonly Sent[]): Promise<[string, Outcome][]> {
  const extrinsics = await chain.extrinsics(block);
  const places = new Map(extrinsics.map((extrinsic, place) => [hexOf(extrinsicHash(bytesOf(extrinsic, 'an extrinsic'))), place]));
  const here = sent.flatMap(({ id, attempt }) => {
    const place = places.get(attempt.hash);
    return place === undefined ? [] : [{ id, place }];
  });
  if (here.length === 0) return [];
  const [events] = await chain.events([block]);
  return here.map(({ id, place }) => {
    const outcome = events?.outcomes.get(place);
    if (outcome === undefined) throw new ChainError('malformed', `block ${block.number} does not say what became of extrinsic ${place}`);
    return [id, outcome];
  });
}
