/** How long to wait before a claim: the wave of the edge, and the courtesy of letting those ask first who would serve better. */
import { waveMs, type Device } from '#protocol';
import type { MarketOffer } from '../market.ts';
import { PARAMETERS as P } from './parameters.ts';
import { startOf } from './world.ts';
import type { World } from './world.ts';

/** Milliseconds from now. Where nobody else asks, nobody waits. */
export function patience(offer: MarketOffer, devices: readonly Device[], world: World): number {
  if ((offer.crowd ?? 0) <= 1) return 0;
  const age = Math.max(0, world.now - offer.since);
  const wait = waveMs(world.agent, offer) + courtesy(offer, devices, world) - age;
  const spread = P.spreadMs * (offer.urgency >= 500 ? 0.25 : 1) * (world.jitter ?? 0);
  return Math.round(Math.max(0, wait) + spread);
}

/** An agent that has the model starts sooner; one with a smaller GPU leaves the larger to those that need it. Idle ones hurry. */
function courtesy(offer: MarketOffer, devices: readonly Device[], world: World): number {
  const idle = world.idleSince === null ? 0 : (world.now - world.idleSince) / P.courtesyMs;
  const slow = world.cached.has(startOf(offer)) ? 0 : P.slowMs;
  const have = devices[0]?.memoryMb ?? 0;
  const need = (offer.gpu?.min_vram_gb ?? 0) * 1024;
  const larger = have === 0 ? 0 : P.largerMs * Math.max(0, 1 - need / have);
  return (slow + larger) * Math.max(0, 1 - idle);
}
