/**
 * What one live instance earned for its miner lately, so that others can tell whether the next one is worth a start: an
 * average over about an hour of instances' time, the newest weighing most.
 */
import { rentOf, shareOf } from '../prices/cost.ts';
import { rented } from '../prices/history.ts';
import { termsNow } from './prices.ts';
import { currentSpec, serves } from './state.ts';
import type { Earning, Turn } from './state.ts';

const HOUR_MS = 3_600_000;
/** Nano-USD an hour that are told at most: agents leave offers alone whose numbers sums cannot bear. */
const MOST = 1e15;

/** Brings the time that instances lived up to now; `nanousd` more was earned. */
export function earn({ state, now }: Turn, nanousd: number): void {
  const { demand } = state;
  if (demand.earning === undefined && nanousd <= 0) return;
  const live = [...state.instances.values()].filter(serves).length;
  demand.earning = averaged(demand.earning ?? { nanousd: 0, ms: 0, at: now }, live, nanousd, now);
}

/** Both sums fade alike, so their quotient is an average. Told amounts that are none count as nothing. */
export function averaged({ nanousd, ms, at }: Earning, live: number, earned: number, now: number): Earning {
  const lived = live * Math.max(0, now - at);
  const kept = Math.exp(-lived / HOUR_MS);
  const more = Number.isFinite(earned) && earned > 0 ? earned : 0;
  return { nanousd: nanousd * kept + more, ms: ms * kept + HOUR_MS * (1 - kept), at: now };
}

/**
 * Nano-USD an hour, of three digits; null while nothing was earned yet. Where instances are paid by time it is what they
 * are paid. Less than a minute of life counts as a minute: one call is no hour's worth of calls.
 */
export function earningNow({ state, now }: Pick<Turn, 'state' | 'now'>): number | null {
  const spec = currentSpec(state);
  const terms = termsNow(state, now);
  if (spec !== null && rented(terms, spec.config.public)) return Math.min(MOST, Number(shareOf(rentOf(terms, HOUR_MS), terms.feeBps)));
  const { earning } = state.demand;
  if (earning === undefined) return null;
  return Math.min(MOST, Math.round(Number(((earning.nanousd / Math.max(earning.ms, 60_000)) * HOUR_MS).toPrecision(3))));
}
