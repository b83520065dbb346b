/** What the strategy knows when it decides, and what it can decide. All of it is handed in: no clock, no dice, no I/O. */
import type { Inventory, WhyCode } from '#protocol';
import type { Allow } from '../allow.ts';
import type { MarketOffer } from '../market.ts';

export interface Wishes {
  allow: Allow;
  /** `owner/name` of the chutes whose engine runs already. */
  engines: readonly string[];
  maxInstances: number;
  /** `owner/name`, or `owner` for all of theirs. Pinned: taken first, whatever they pay, and not given up for others. */
  pin: readonly string[];
  forbid: readonly string[];
  /** Nothing new. */
  maintenance: boolean;
  /** USD an hour that one GPU (or, without a GPU, one instance) must earn after power. */
  minUsdPerHour: number;
  usdPerKwh: number;
}

export interface Running {
  instance: string;
  chute: string;
  version: string;
  name: string;
  runtime: 'process' | 'url' | 'docker';
  state: 'starting' | 'live' | 'draining' | 'failed' | 'stopped';
  /** Ids of the devices it was given. */
  devices: readonly string[];
  /** Calls on it now. */
  busy: number;
  /** Unix milliseconds when it came into its state, and when its last call ended; null: it had none. */
  since: number;
  lastCallAt: number | null;
  /** Nano-USD an hour it was expected to earn when it was taken. */
  expected: number;
  /** As its config says; 0: it says nothing. */
  memoryMb: number;
  diskGb: number;
}

export interface World {
  /** Id of this agent; empty while the edge has not told it. */
  agent: string;
  inventory: Inventory;
  /** Not yet stopped or failed. */
  running: readonly Running[];
  offers: readonly MarketOffer[];
  wishes: Wishes;
  /** Chutes with a claim under way, and the devices it would get. */
  claiming: ReadonlyMap<string, { devices: readonly string[] }>;
  /** By `startOf` or `needOf` an offer: not claimed again before this time, and why. */
  cooling: ReadonlyMap<string, { until: number; code: WhyCode }>;
  /** By `startOf`: what ran here before, so that its image and model are on this machine. */
  cached: ReadonlySet<string>;
  /** Per device id (`cpu` for none): Unix milliseconds when an instance on it was given up for a better one. */
  switches: ReadonlyMap<string, readonly number[]>;
  /** Unix milliseconds since when nothing runs here; null: something does. */
  idleSince: number | null;
  now: number;
  /** 0 to 1; absent: 0. */
  jitter?: number;
}

export type Claim = {
  do: 'claim';
  chute: string;
  name: string;
  version: string;
  since: number;
  devices: string[];
  /** Milliseconds to wait before it is sent. */
  afterMs: number;
  reason: string;
  expectedNanoUsdHour: number;
};
/** With notice, as any stop: no new calls, and those that run are finished. */
export type Stop = {
  do: 'stop';
  instance: string;
  /** Keys of `World.switches` that this counts for; none where the operator wants it. */
  counted: string[];
  reason: string;
};
export type Skip = { do: 'skip'; chute: string; name: string; code: WhyCode; reason: string };
export type Action = Claim | Stop | Skip;

/** What a failed start holds back: this version and no other. */
export function startOf(offer: Pick<MarketOffer, 'chute' | 'version'>): string {
  return `${offer.chute} ${offer.version}`;
}

/** What a refusal holds back: this need. The board may be seconds old, and the next need of the chute is another one. */
export function needOf(offer: Pick<MarketOffer, 'chute' | 'version' | 'since'>): string {
  return `${startOf(offer)} ${offer.since}`;
}

/** Whether a list of `owner/name` and `owner` has this chute. */
export function listed(list: readonly string[], name: string): boolean {
  return list.includes(name) || list.includes(name.split('/', 1)[0] ?? '');
}
