/** What an instance would earn here, in whole nano-USD an hour. The formulas are in `docs/strategy.md`. */
import type { Device } from '#protocol';
import type { MarketOffer } from '../market.ts';
import { PARAMETERS as P } from './parameters.ts';
import type { Running } from './world.ts';

export interface Terms {
  usdPerKwh: number;
  /** Its image and model are on this machine. */
  cached: boolean;
}

/** Of the whole instance, after power; below zero: power costs more than it pays. */
export function expectedNanoUsdHour(offer: MarketOffer, devices: readonly Device[], terms: Terms): number {
  const gross = offer.earning_nanousd_hour ?? prior(offer);
  const full = fullNanoUsdHour(offer);
  // A GPU draws its watts as soon as one of the slots is busy; what nobody knows is thought to be.
  const drawing = full === 0 ? 1 : Math.min(1, (gross / full) * (offer.concurrency ?? 1));
  const start = startMs(offer, terms.cached);
  const serving = P.stayMs / (P.stayMs + start);
  const bounty = offer.bounty_nanousd * (3_600_000 / P.stayMs);
  return Math.round(gross * serving + bounty - drawing * power(devices, terms.usdPerKwh));
}

/** What nobody knows yet: its prices on a share of its slots, bounded. */
export function prior(offer: MarketOffer): number {
  // Rent is paid whether or not calls come.
  const guess = (offer.price?.per_instance_second ?? 0) * 3600 + fullNanoUsdHour(offer) * P.priorBusy;
  return Math.round(Math.min(guess, P.priorMax * Math.max(1, offer.gpu?.count ?? 0)));
}

/** What its calls would pay in an hour if every slot were busy. */
function fullNanoUsdHour({ price, concurrency = 1 }: MarketOffer): number {
  if (price === undefined) return 0;
  const perSlot =
    price.per_second * 3600 +
    (price.per_request + price.per_image) * P.priorCalls +
    price.per_step * P.priorSteps +
    (price.input_per_million / 1e6) * P.priorInput +
    (price.output_per_million / 1e6) * P.priorOutput;
  return perSlot * concurrency;
}

/** Milliseconds from claim to live, guessed by the size of the model. */
export function startMs(offer: Pick<MarketOffer, 'gpu'>, cached: boolean): number {
  if (cached) return P.warmStartMs;
  const size = Math.min(1, (offer.gpu?.min_vram_gb ?? 0) / P.largeGb);
  return Math.round(P.coldStartMs + size * (P.largeStartMs - P.coldStartMs));
}

/** What running costs more than not running. */
function power(devices: readonly Device[], usdPerKwh: number): number {
  const watts = devices.reduce((sum, d) => sum + (d.watts ?? (d.kind === 'gpu' ? P.watts : 0)), 0);
  return (watts / 1000) * (1 - P.idlePower) * usdPerKwh * 1e9;
}

/** What a running instance is thought to earn now: what was expected of it, fading while no call comes. */
export function earnsNow(running: Running, now: number): number {
  if (running.busy > 0) return Math.max(0, running.expected);
  const quiet = now - Math.max(running.since, running.lastCallAt ?? 0);
  return Math.round(Math.max(0, running.expected) * 2 ** (-Math.max(0, quiet) / P.fadeMs));
}

/** Per GPU; of an instance without one: the whole. */
export function perGpu(nanoUsdHour: number, offer: Pick<MarketOffer, 'gpu'>): number {
  return Math.round(nanoUsdHour / Math.max(1, offer.gpu?.count ?? 1));
}

export function usd(nanoUsd: number): string {
  return `${nanoUsd < 0 ? '-' : ''}$${(Math.abs(nanoUsd) / 1e9).toFixed(3)}`;
}
