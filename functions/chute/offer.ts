/** The line of a chute on the public board. */
import { waveMs } from '#protocol/wave.ts';
import type { Offer } from '../calls/ports.ts';
import { bountyNow } from './bounty.ts';
import type { BOUNDS } from './bounds.ts';
import { cold } from './crowd.ts';
import { earningNow } from './earning.ts';
import { missing } from './need.ts';
import { termsNow } from './prices.ts';
import { currentSpec } from './state.ts';
import type { Turn } from './state.ts';
import { urgencyOf } from './urgency.ts';

type Facts = Pick<Turn, 'state' | 'now'>;

/** Null when nothing is missing, or the owner cannot pay for it. Everybody reads it: of a private chute the image is left out. */
export function offer(turn: Facts, bounds: typeof BOUNDS): Offer | null {
  const { state, now } = turn;
  const spec = currentSpec(state);
  const need = missing(turn, bounds);
  if (state.chute === null || spec === null || need === 0 || state.unpaid !== null) return null;
  const { config } = spec;
  const since = state.demand.unmetSince ?? now;
  return {
    chute: state.chute.chute,
    name: state.chute.name,
    version: spec.version,
    need,
    urgency: urgencyOf({ unmetMs: now - since, waiting: state.tickets.size, cold: cold(state) }),
    cold: cold(state),
    bounty_nanousd: bountyNow(turn, bounds),
    price: termsNow(state, now).price,
    earning_nanousd_hour: earningNow(turn),
    gpu: config.gpu ?? null,
    concurrency: config.concurrency,
    memory_mb: config.memory_mb ?? null,
    disk_gb: config.disk_gb ?? null,
    runtime: config.image === undefined ? 'command' : 'image',
    image: config.public ? (config.image ?? null) : null,
    code: spec.code?.sha256 ?? null,
    owner: state.chute.owner,
    since,
    crowd: state.demand.crowd?.count ?? 0,
  };
}

/** Without what grows while nothing happens; that is told only now and then. */
export function steady(offer: Offer | null): Partial<Offer> | null {
  if (offer === null) return null;
  const { urgency: _, bounty_nanousd: __, earning_nanousd_hour: ___, ...rest } = offer;
  return rest;
}

/** Milliseconds until the wave of this agent. */
export function waitOfWave(turn: Facts, agent: string, bounds: typeof BOUNDS): number {
  const { state, now } = turn;
  if (state.chute === null || state.demand.unmetSince === null) return 0;
  const since = state.demand.unmetSince;
  const wave = { chute: state.chute.chute, since, need: missing(turn, bounds), crowd: state.demand.crowd?.count };
  return Math.max(0, since + waveMs(agent, wave) - now);
}
