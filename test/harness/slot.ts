import { slotOf } from '#protocol/challenge/index.ts';
import type { Bench } from '../../validator-cron/bench.ts';
import { until } from './until.ts';

/** Milliseconds that asking for challenges may take. */
const ROOM_MS = 3_000;

/** The slot that holds the time, with time left to ask in it: the edge takes no asks for one that is over. */
export async function slotWithRoom({ config: { suite } }: Bench): Promise<number> {
  const slotMs = suite.cadence.slotSeconds * 1000;
  return until('a slot with room', () => (Date.now() % slotMs < slotMs - ROOM_MS ? slotOf(suite, Date.now()) : null));
}
