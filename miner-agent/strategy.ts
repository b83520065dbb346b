/**
 * What this agent would run: a pure function of what it has, what it runs, what the market wants and what its operator
 * wishes. Every offer it does not take comes with the reason.
 */
import { deviceFits, type Inventory } from '#protocol';
import { refusalOf } from './allow.ts';
import type { Allow } from './allow.ts';
import type { MarketOffer } from './market.ts';

export interface Wishes {
  allow: Allow;
  /** `owner/name` of the chutes whose engine runs already. */
  engines: readonly string[];
  maxInstances: number;
}

export interface Running {
  chute: string;
  name: string;
  runtime: 'process' | 'url' | 'docker';
  gpus: number;
}

export interface Situation {
  inventory: Inventory;
  /** Not yet stopped or failed. */
  running: readonly Running[];
  /** Chutes with a claim under way. */
  claiming: ReadonlySet<string>;
  /** By `startOf` or `needOf` an offer: Unix milliseconds before which it is not claimed again. */
  cooling: ReadonlyMap<string, number>;
  now: number;
  /** 0 to 1. */
  jitter: number;
}

export type Choice = { chute: string; name: string; version: string; since: number } & (
  | { take: true; afterMs: number; reason: string }
  | { take: false; reason: string }
);

/** Milliseconds over which agents that saw the same offer spread their claims; an urgent one waits a quarter. */
const SPREAD_MS = 200;

/** What a failed start holds back: this version and no other. */
export function startOf(offer: Pick<MarketOffer, 'chute' | 'version'>): string {
  return `${offer.chute} ${offer.version}`;
}

/** What a refusal holds back: this need. The board may be seconds old, and the next need of the chute is another one. */
export function needOf(offer: Pick<MarketOffer, 'chute' | 'version' | 'since'>): string {
  return `${startOf(offer)} ${offer.since}`;
}

export function choose(offers: readonly MarketOffer[], wishes: Wishes, situation: Situation): Choice[] {
  let room = wishes.maxInstances - situation.running.length - situation.claiming.size;
  let gpus = freeGpus(situation);
  return ranked(offers, situation.running).map((offer) => {
    const named = { chute: offer.chute, name: offer.name, version: offer.version, since: offer.since };
    const reason =
      cannot(offer, wishes, situation) ??
      (room <= 0 ? `${wishes.maxInstances} instances is the most you allow` : gpuProblem(offer, situation, gpus));
    if (reason !== null) return { ...named, take: false, reason };
    room--;
    gpus -= offer.gpu?.count ?? 0;
    const spread = offer.urgency >= 500 ? SPREAD_MS / 4 : SPREAD_MS;
    return {
      ...named,
      take: true,
      afterMs: Math.round(situation.jitter * spread),
      reason: `needs ${offer.need} more, urgency ${offer.urgency}`,
    };
  });
}

/** Most urgent first, then best paid, then what runs here least, then the newest. */
function ranked(offers: readonly MarketOffer[], running: readonly Running[]): MarketOffer[] {
  const here = (chute: string) => running.filter((r) => r.chute === chute).length;
  return [...offers].sort(
    (a, b) =>
      b.urgency - a.urgency ||
      b.bounty_nanousd - a.bounty_nanousd ||
      here(a.chute) - here(b.chute) ||
      b.since - a.since ||
      (a.chute < b.chute ? -1 : 1),
  );
}

function cannot(offer: MarketOffer, wishes: Wishes, s: Situation): string | null {
  if (offer.need <= 0) return 'it has enough instances';
  if (s.claiming.has(offer.chute)) return 'a claim is under way';
  const until = Math.max(s.cooling.get(startOf(offer)) ?? 0, s.cooling.get(needOf(offer)) ?? 0);
  if (until > s.now) return `the last try did not work; again in ${Math.ceil((until - s.now) / 1000)} s`;
  if (wishes.engines.includes(offer.name)) {
    return s.running.some((r) => r.runtime === 'url' && r.name === offer.name) ? 'your engine serves it already' : null;
  }
  if (offer.runtime === 'image') return 'it is a container image; this agent runs none (start it yourself and give --url)';
  return refusalOf(wishes.allow, { account: offer.owner, name: offer.name, code: offer.code, config: null });
}

function freeGpus(s: Situation): number {
  const used = s.running.reduce((sum, r) => sum + r.gpus, 0);
  return s.inventory.devices.filter((d) => d.kind === 'gpu').length - used;
}

function gpuProblem(offer: MarketOffer, s: Situation, free: number): string | null {
  const need = offer.gpu;
  if (need === null) return null;
  const fit = s.inventory.devices.filter((d) => deviceFits(need, d));
  if (fit.length < need.count) return `it needs ${need.count} GPU with ${need.min_vram_gb} GB; this machine has ${fit.length} that fit`;
  return free < need.count ? 'no GPU is free' : null;
}

/** Milliseconds to leave a chute alone after a refusal or a failed start. */
export function coolingMs(failures: number, retryAfterMs: number): number {
  return Math.max(retryAfterMs, Math.min(5 * 60_000, 1000 * 2 ** Math.min(failures, 9)));
}
