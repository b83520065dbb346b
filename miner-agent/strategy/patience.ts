/** How long to wait before a claim: the wave of the edge, and the courtesy of letting those ask first who would serve better. */
import { waveMs, type Device } from '#protocol';
import type { MarketOffer } from '../market.ts';
import { startMs } from './earnings.ts';
import { PARAMETERS as P } from './parameters.ts';
import { startOf } from './world.ts';
import type { World } from './world.ts';

/** Milliseconds from now. For what a CPU runs nobody waits but where many ask. */
export function patience(offer: MarketOffer, devices: readonly Device[], world: World): number {
  const age = Math.max(0, world.now - offer.since);
  const wait = waveMs(world.agent, offer) + courtesy(offer, devices, world) - age;
  const spread = (offer.crowd ?? 0) <= 1 ? 0 : P.spreadMs * (offer.urgency >= 500 ? 0.25 : 1) * (world.jitter ?? 0);
  return Math.round(Math.max(0, wait) + spread);
}

/**
 * First who has the model and starts sooner, who has a GPU no larger than needed, and who runs nothing of the chute yet. The
 * longer an agent ran nothing at all, the less it waits.
 */
function courtesy(offer: MarketOffer, devices: readonly Device[], world: World): number {
  if (offer.gpu === null) return 0;
  const idle = world.idleSince === null ? 0 : (world.now - world.idleSince) / P.courtesyMs;
  const slow = world.cached.has(startOf(offer)) ? 0 : P.slowShare * (startMs(offer, false) - startMs(offer, true));
  const have = devices[0]?.memoryMb ?? 0;
  const need = offer.gpu.min_vram_gb * 1024;
  const larger = have === 0 ? 0 : P.largerMs * Math.max(0, 1 - need / have);
  const same = world.running.some((r) => r.chute === offer.chute) ? P.sameMs : 0;
  return (slow + larger + same) * Math.max(0, 1 - idle);
}
