/**
 * What a Chute knows, and what a turn of its core asks the shell to do. Rows survive (SQLite); the rest is rebuilt: loads
 * by the next reports, tickets by the Workers that ask again with the same `since`.
 */
import { scalingOf, type Scaling, type StopReason, type VersionSpec } from '#protocol';
import type { CallId, Listing, Offer, Snapshot, Ticket, WaitAnswer } from '../calls/ports.ts';
import { inOrder, type PriceVersion } from '../prices/history.ts';
import type { Terms } from '../prices/terms.ts';
import { NOTHING_ATTACHED, type Attached } from '../secrets/attached.ts';

export interface ChuteRow {
  chute: string;
  /** `owner/name`. */
  name: string;
  slug: string;
  /** Account id. */
  owner: string;
  /** Unix milliseconds. */
  created: number;
  /** The version that new instances run. */
  current: string;
  /** Of the latest deploy; absent in rows of an older one: what the current version says. */
  scaling?: Scaling;
}

export interface VersionRow {
  version: string;
  spec: VersionSpec;
  created: number;
  /** Unix milliseconds when it last became the current one. */
  deployed: number;
}

export interface InstanceRow {
  instance: string;
  agent: string;
  hotkey: string;
  region: string;
  version: string;
  state: 'granted' | 'starting' | 'live' | 'draining';
  slots: number;
  granted: number;
  /** When silence ends it; null while live. */
  deadline: number | null;
  liveSince: number | null;
  /** When the agent's socket went; null while it is there. */
  goneAt: number | null;
  detail: string;
}

/** Failed starts of one version by one agent. */
export interface StrikeRow {
  agent: string;
  version: string;
  count: number;
  at: number;
  /** No claim of this pair is granted before. */
  until: number;
  error: string;
}

/** A stop that the Miner object has not taken yet. */
export interface StopRow {
  instance: string;
  agent: string;
  reason: StopReason;
  noticeMs: number;
  tries: number;
  next: number;
}

export interface DemandRow {
  /** At index k-1: when k instances were last needed (Unix milliseconds). */
  neededAt: number[];
  /** Since when instances are missing; null when none is. */
  unmetSince: number | null;
  /** Until when one instance is needed because somebody asked for it; absent: nobody did. */
  warmUntil?: number;
  /** Agents that came at the last needs; absent: there was none. */
  crowd?: Crowd;
  earning?: Earning;
  /** Nano-USD of bounties that were paid, as of then (Unix milliseconds); they fade. Absent: none was. */
  bountied?: { nanousd: number; at: number };
  /** Milliseconds from a grant to the first `live`, smoothed; absent: none has started yet. */
  startMs?: number;
}

/** So many agents, as of then (Unix milliseconds). */
export interface Crowd {
  count: number;
  at: number;
}

/** Nano-USD that instances earned for their miners, and the milliseconds they lived for it; both fade. */
export interface Earning {
  nanousd: number;
  ms: number;
  at: number;
}

/**
 * A period of a live instance of a private chute, paid by its owner. It is asked for, then held, and when it has ended
 * settled; then the row is gone.
 */
export interface RentRow {
  chute: string;
  /** Account id. */
  owner: string;
  version: string;
  /** Empty: nothing runs; asks whether the account can pay again. */
  instance: string;
  agent: string;
  hotkey: string;
  region: string;
  terms: Terms;
  /** Unix milliseconds, and milliseconds. With the instance the start names the period. */
  start: number;
  ms: number;
  /** When it ran out, or the instance stopped serving; null before. */
  end: number | null;
  /** The account holds its price. */
  held: boolean;
  /** Not a period: one sum, `per_request` of the terms, see `bounty.ts`. */
  bounty?: true;
}

/** The owner cannot pay for instances: none is started. */
export interface UnpaidRow {
  since: number;
  /** How often it was asked again, and when it is next. */
  tries: number;
  next: number;
}

/** Rows by kind; one SQLite row each, the value as JSON. */
export interface Rows {
  chute: ChuteRow;
  version: VersionRow;
  instance: InstanceRow;
  strike: StrikeRow;
  stop: StopRow;
  demand: DemandRow;
  price: PriceVersion;
  rent: RentRow;
  unpaid: UnpaidRow;
  attached: Attached;
}
export type RowKind = keyof Rows;
export type StoredRow = { [K in RowKind]: { kind: K; key: string; value: Rows[K] } }[RowKind];

export type Effect =
  | ({ do: 'put' } & StoredRow)
  | { do: 'delete'; kind: RowKind; key: string }
  | { do: 'alarm'; at: number }
  | { do: 'watch'; agent: string; instances: string[] }
  | { do: 'unwatch'; agent: string }
  | { do: 'reserve'; agent: string; instance: string; call: CallId }
  /** The call of a kept slot went away. */
  | { do: 'release'; agent: string; instance: string; call: CallId }
  | { do: 'stop'; agent: string; instance: string; reason: StopReason; noticeMs: number }
  | { do: 'resolve'; call: CallId; answer: WaitAnswer }
  /** Ask the owner's account for the price of a period, or tell what it came to. */
  | { do: 'rent'; key: string; rent: RentRow }
  | { do: 'settle'; key: string; rent: RentRow }
  | { do: 'post'; chute: string; offer: Offer | null; listing: Listing | null }
  /** A line of the edge's own in an instance's log. */
  | { do: 'note'; agent: string; instance: string; at: number; text: string };

export interface QueuedTicket extends Ticket {
  /** Unix milliseconds. */
  deadline: number;
  /** The instance that is being asked to keep a slot for it. */
  reserving: string | null;
}

/** The conversation about free slots with one Miner object; one message at a time, so order on the wire cannot matter. */
export interface Link {
  /** The Miner may be offering its slots to us. */
  on: boolean;
  pending: 'watch' | 'unwatch' | null;
  /** Look again as soon as the pending message is answered. */
  again: boolean;
  /** When it was last told something, or told so in vain. */
  at: number;
  /** Messages in a row that failed. */
  failures: number;
}

export interface State {
  chute: ChuteRow | null;
  versions: Map<string, VersionRow>;
  instances: Map<string, InstanceRow>;
  strikes: Map<string, StrikeRow>;
  stops: Map<string, StopRow>;
  demand: DemandRow;
  /** The demand as last written; levels move every turn, rows only when it matters. */
  savedDemand: DemandRow;
  /** Now in force and to come, in order. */
  prices: PriceVersion[];
  /** By instance and start. */
  rents: Map<string, RentRow>;
  unpaid: UnpaidRow | null;
  attached: Attached;
  /** Below here: memory only. */
  busy: Map<string, number>;
  /** Free slots a watched instance told and nobody was given. */
  free: Map<string, number>;
  /** Since when calls have asked for more than serves, without a break; null: they do not. */
  pressedSince: number | null;
  /** Milliseconds that callers have waited for the cold chute, as of then, and until when they go on as far as is known. */
  pull: { ms: number; at: number; until: number };
  /** When the last call asked for a place in the line; one that was sent away comes again. */
  askedAt: number;
  /** Agents that have asked since the last need arose, and hotkeys that asked, by when they did last. */
  askers: Set<string>;
  willing: Map<string, number>;
  /** Ten-thousandths of a bounty that the platform keeps. */
  feeBps: number;
  /** Busy slots smoothed over a while, and as of the last look. */
  load: { value: number; busy: number; at: number };
  tickets: Map<CallId, QueuedTicket>;
  /** Waiting calls per account, by `since`. */
  lines: Map<string, QueuedTicket[]>;
  /** Accounts with waiting calls; the next to be served is first. */
  rotation: string[];
  links: Map<string, Link>;
  /** When a rent is asked or settled again, and how often it was. */
  rentTries: Map<string, { at: number; tries: number }>;
  outcomes: Map<CallId, { answer: WaitAnswer; until: number }>;
  /** Milliseconds between two freed slots, smoothed; for the ETA. */
  pace: { everyMs: number; at: number | null };
  snapshot: Snapshot | null;
  posted: string | null;
  postedAt: number;
  /** Since when a post is under way; one at a time, so that an older one never lands last. */
  postingSince: number | null;
  postFailed: boolean;
  alarmAt: number | null;
}

export interface Turn {
  state: State;
  now: number;
  effects: Effect[];
}

export function emptyDemand(): DemandRow {
  return { neededAt: [], unmetSince: null };
}

export function rebuild(rows: Iterable<StoredRow>, feeBps: number): State {
  const state: State = {
    chute: null,
    versions: new Map(),
    instances: new Map(),
    strikes: new Map(),
    stops: new Map(),
    demand: emptyDemand(),
    savedDemand: emptyDemand(),
    prices: [],
    rents: new Map(),
    unpaid: null,
    attached: NOTHING_ATTACHED,
    busy: new Map(),
    free: new Map(),
    pressedSince: null,
    pull: { ms: 0, at: 0, until: 0 },
    askedAt: 0,
    askers: new Set(),
    willing: new Map(),
    feeBps,
    load: { value: 0, busy: 0, at: 0 },
    tickets: new Map(),
    lines: new Map(),
    rotation: [],
    links: new Map(),
    rentTries: new Map(),
    outcomes: new Map(),
    pace: { everyMs: 1000, at: null },
    snapshot: null,
    posted: null,
    postedAt: 0,
    postingSince: null,
    postFailed: false,
    alarmAt: null,
  };
  for (const row of rows) {
    if (row.kind === 'chute') state.chute = row.value;
    else if (row.kind === 'version') state.versions.set(row.key, row.value);
    else if (row.kind === 'instance') state.instances.set(row.key, row.value);
    else if (row.kind === 'strike') state.strikes.set(row.key, row.value);
    else if (row.kind === 'stop') state.stops.set(row.key, row.value);
    else if (row.kind === 'price') state.prices.push(row.value);
    else if (row.kind === 'rent') state.rents.set(row.key, row.value);
    else if (row.kind === 'unpaid') state.unpaid = row.value;
    else if (row.kind === 'attached') state.attached = row.value;
    else {
      state.demand = row.value;
      state.savedDemand = structuredClone(row.value);
    }
  }
  state.prices = inOrder(state.prices);
  return state;
}

/** Keeps a copy of the row as it is now: what is written must not change with the state. */
export function putRow<K extends RowKind>(turn: Turn, kind: K, key: string, value: Rows[K]): void {
  turn.effects.push({ do: 'put', kind, key, value: structuredClone(value) } as Effect);
}

export function dropRow(turn: Turn, kind: RowKind, key: string): void {
  turn.effects.push({ do: 'delete', kind, key });
}

/** The spec that new instances run; null for a chute that is not there. */
export function currentSpec(state: State): VersionSpec | null {
  return state.chute === null ? null : (state.versions.get(state.chute.current)?.spec ?? null);
}

/** How many instances there may be, and how they come and go; null for a chute that is not there. */
export function scalingNow(state: State): Scaling | null {
  const spec = currentSpec(state);
  return spec === null ? null : (state.chute?.scaling ?? scalingOf(spec.config));
}

/** Takes new calls: live, and its agent connected. */
export function serves(row: InstanceRow): boolean {
  return row.state === 'live' && row.goneAt === null;
}
