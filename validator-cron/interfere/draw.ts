/**
 * Which instance is put under load in a slot, on which devices, and when (pure): drawn by the beacon and a secret of the judge. Never
 * when its devices have a test of the schedule: only those are paid, and the load makes them slow.
 */
import type { AuditAgent, AuditInstance, StoredObservation } from '#protocol/audit.ts';
import { publishedAt, seedingRound, type BeaconChain, type Suite } from '#protocol/challenge/index.ts';
import type { TargetItem } from '#protocol/judging.ts';
import { probesOf, type Probe } from '../canary/ask.ts';
import { rankOf } from '../rank.ts';

/** Slots from one trial of an instance to the next, on average: a week. 0: never; a CPU's proof is over before a load is measured. */
export const TRIAL_EVERY: Record<Suite['name'], number> = { mainnet: 10_080, development: 0 };
/** The same for one that was seen apart. */
const AGAIN_EVERY = 20;
/** Devices of one agent that are asked. */
const MOST_DEVICES = 16;
/** Seconds a device must have been there, or it cannot have proven anything yet. */
const SETTLED_S = 86_400;

export interface Drawn {
  agent: string;
  hotkey: string;
  instance: AuditInstance;
  probe: Probe;
}

export interface DrawFacts {
  /** Of the slot, 64 hex digits. */
  beacon: string;
  secret: string;
  every: number;
  /** Instances that were seen apart. */
  suspects: ReadonlySet<string>;
}

/** At most one. */
export function draw(agents: readonly AuditAgent[], { beacon, secret, every, suspects }: DrawFacts): Drawn | null {
  if (every === 0) return null;
  const drawn = agents
    .flatMap(({ agent, hotkey, instances }) => instances.map((instance) => ({ agent, hotkey, instance })))
    .map((of) => ({ ...of, rank: rankOf(beacon, `${secret} interfere`, of.instance.instance) }))
    .filter(({ instance, rank }) => Number.parseInt(rank.slice(0, 8), 16) % (suspects.has(instance.instance) ? AGAIN_EVERY : every) === 0)
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1));
  for (const { agent, hotkey, instance } of drawn) {
    const [probe] = probesOf(instance);
    if (probe?.kind === 'chat') return { agent, hotkey, instance, probe };
  }
  return null;
}

/** Devices of the agent that could have a measure of their own, or none where there are too many to ask. */
export function devicesOf(targets: readonly TargetItem[], agent: string, slot: number): TargetItem[] {
  const own = targets.filter(
    (t) => t.what === 'device' && t.agent === agent && t.since <= slot - SETTLED_S && (t.kinds?.includes('pow.mm') ?? true),
  );
  return own.length > MOST_DEVICES ? [] : own;
}

/** Milliseconds of load before the seed, and after it beside twice what a proof should take. */
const BEFORE_MS = 8_000;
const AFTER_MS = 4_000;

/** Unix milliseconds. */
export function loadTimes(chain: BeaconChain, suite: Suite, slot: number): { from: number; to: number } {
  const seeded = publishedAt(chain, seedingRound(chain, slot, suite));
  return { from: seeded - BEFORE_MS, to: seeded + 2 * suite.expectedMs + AFTER_MS };
}

/** Trials of an instance, the oldest first, that follow the last one which was settled. */
export function openTrials(own: readonly StoredObservation[], instance: string): StoredObservation[] {
  const trials = own
    .filter((o) => o.type === 'interfere' && o.instance === instance && o.reason !== 'unmeasured')
    .toSorted((a, b) => a.round - b.round);
  return trials.slice(1 + trials.findLastIndex((o) => o.reason !== 'unconfirmed'));
}
