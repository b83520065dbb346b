/** What others see of a Chute: the snapshot that calls are routed by, its public listing, and the owner's view. */
import type { ChuteConfig } from '#protocol';
import type { Listing, Snapshot, SnapshotInstance } from '../calls/ports.ts';
import { callTerms, timeline, type PriceVersion } from '../prices/history.ts';
import type { Terms } from '../prices/terms.ts';
import type { BOUNDS } from './bounds.ts';
import { crashLoop } from './crash-loop.ts';
import { missing, wanted } from './need.ts';
import { offer } from './offer.ts';
import { termsNow } from './prices.ts';
import { currentSpec, scalingNow } from './state.ts';
import type { InstanceRow, State } from './state.ts';
import { lastError } from './strikes.ts';

export function toSnapshot(state: State, row: InstanceRow): SnapshotInstance {
  return {
    instance: row.instance,
    agent: row.agent,
    hotkey: row.hotkey,
    version: row.version,
    slots: row.slots,
    busy: state.busy.get(row.instance) ?? 0,
    region: row.region,
    state: row.state === 'draining' ? 'draining' : 'live',
    open: true,
    liveSince: row.liveSince ?? 0,
  };
}

/** Built once per change; instances whose agent is away are not in it. */
export function snapshot(state: State, now: number): Snapshot | null {
  const spec = currentSpec(state);
  if (state.chute === null || spec === null) return null;
  state.snapshot ??= {
    chute: state.chute.chute,
    name: state.chute.name,
    slug: state.chute.slug,
    owner: state.chute.owner,
    public: spec.config.public,
    ...(state.attached.shared.length === 0 ? {} : { shared: state.attached.shared }),
    version: spec.version,
    ...(spec.code?.manifest === undefined ? {} : { manifest: spec.code.manifest }),
    config: { ...spec.config, ...scalingNow(state) },
    terms: timeline(state.prices, now).map(({ startsAt, terms }) => ({ startsAt, terms: callTerms(terms, spec.config.public) })),
    instances: [...state.instances.values()]
      .filter((row) => row.goneAt === null && (row.state === 'live' || row.state === 'draining'))
      .map((row) => toSnapshot(state, row)),
    at: now,
  };
  return { ...state.snapshot, at: now };
}

/** The public line of a public chute, else null. */
export function listing(state: State, now: number): Listing | null {
  const spec = currentSpec(state);
  if (state.chute === null || spec === null || !spec.config.public) return null;
  const { chute, name, slug, created } = state.chute;
  const { tagline, template } = spec.config;
  return { chute, name, slug, tagline, template, created, terms: termsNow(state, now) };
}

export interface InstanceView {
  instance: string;
  agent: string;
  hotkey: string;
  region: string;
  version: string;
  state: 'granted' | 'starting' | 'live' | 'draining' | 'away';
  /** Unix milliseconds of its grant. */
  granted: number;
  slots: number;
  busy: number;
  detail: string;
}

/** The whole chute as its owner may see it. `config.env` holds secrets: the API shows names only. */
export interface ChuteView {
  chute: string;
  name: string;
  slug: string;
  owner: string;
  created: number;
  deployed: number;
  version: string;
  /** With the scaling in force. */
  config: ChuteConfig;
  /** Accounts it is shared with. */
  shared: readonly string[];
  /** What is in force, and every price that is or will be. */
  terms: Terms;
  prices: PriceVersion[];
  /** Since when the owner cannot pay for instances; null: it can. */
  unpaidSince: number | null;
  instances: InstanceView[];
  wanted: number;
  need: number;
  /** Since when instances are missing, unix ms; null: none is. */
  unmetSince: number | null;
  /** Of the offer on the board; 0 where there is none. */
  urgency: number;
  /** Nano-USD. */
  bounty: number;
  waiting: number;
  /** Every start fails and nobody may try now: calls are refused. */
  failing: boolean;
  lastError: { at: number; agent: string; text: string; count: number; loop: boolean } | null;
}

export function describe(state: State, now: number, bounds: typeof BOUNDS): ChuteView | null {
  const spec = currentSpec(state);
  if (state.chute === null || spec === null) return null;
  const strike = lastError(state);
  const board = offer({ state, now }, bounds);
  return {
    chute: state.chute.chute,
    name: state.chute.name,
    slug: state.chute.slug,
    owner: state.chute.owner,
    created: state.chute.created,
    deployed: state.versions.get(spec.version)?.deployed ?? state.chute.created,
    version: spec.version,
    config: { ...spec.config, ...scalingNow(state) },
    shared: state.attached.shared,
    terms: termsNow(state, now),
    prices: state.prices,
    unpaidSince: state.unpaid?.since ?? null,
    instances: [...state.instances.values()].map((row) => ({
      instance: row.instance,
      agent: row.agent,
      hotkey: row.hotkey,
      region: row.region,
      version: row.version,
      state: row.goneAt === null ? row.state : 'away',
      granted: row.granted,
      slots: row.slots,
      busy: state.busy.get(row.instance) ?? 0,
      detail: row.detail,
    })),
    wanted: wanted({ state, now }),
    need: missing({ state, now }, bounds),
    unmetSince: state.demand.unmetSince,
    urgency: board?.urgency ?? 0,
    bounty: board?.bounty_nanousd ?? 0,
    waiting: state.tickets.size,
    failing: crashLoop(state, now, bounds) !== null,
    lastError:
      strike === null
        ? null
        : { at: strike.at, agent: strike.agent, text: strike.error, count: strike.count, loop: strike.count >= bounds.crashLoop },
  };
}
