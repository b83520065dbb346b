/**
 * Which instances may get a call, best first. Weighted rendezvous on the prompt's prefix keeps caches warm without shared
 * state; inside a load band the order is kept, outside the less busy wins. What the chain gives a miner counts, within bounds.
 */
import type { SnapshotInstance } from './ports.ts';

export interface PickFacts {
  /** The version the call was opened for; an older instance may still serve while it drains others. */
  version: string;
  /** What makes two calls alike (start of the prompt), or a random string. */
  affinity: string;
  /** The caller's own constraint: this instance and no other. */
  instance: string | null;
  now: number;
  /** 0 ≤ random < 1. */
  random: number;
  /** What the chain gives each hotkey, in any unit; who is not in it has nothing. Empty: no chain, all are alike. */
  weights: ReadonlyMap<string, number>;
}

export interface Candidate {
  instance: SnapshotInstance;
  reason: 'affinity' | 'least_busy' | 'newcomer' | 'pinned';
}

/** At most this many candidates are tried and told to the Account. */
export const MAX_CANDIDATES = 4;
/** Share of calls that a newcomer gets first, and for how long an instance is one. */
const NEWCOMER_SHARE = 0.05;
const NEWCOMER_MS = 60_000;
/** Utilisation (0 to 1) within which affinity decides. */
const LOAD_BAND = 0.25;
/** Least and most that a weight on the chain makes of an instance's share. */
const FAVOUR = { least: 0.5, most: 2 } as const;

export function pick(instances: readonly SnapshotInstance[], facts: PickFacts): Candidate[] {
  const able = instances.filter((i) => i.state === 'live' && i.open);
  if (facts.instance !== null) {
    return able.filter((i) => i.instance === facts.instance).map((instance) => ({ instance, reason: 'pinned' }));
  }
  // All full by the snapshot, which may be old: their Miner objects have the last word.
  const free = orAll(able, (i) => i.busy < i.slots);
  const pool = orAll(free, (i) => i.version === facts.version);
  const lowest = Math.min(...pool.map(utilisation));
  const favours = favoursOf(pool, facts.weights);
  const ranked = pool
    .map((instance, k) => ({
      instance,
      inBand: utilisation(instance) <= lowest + LOAD_BAND,
      weight: rendezvous(facts.affinity, instance, favours[k] ?? 1),
    }))
    .sort(
      (a, b) =>
        Number(b.inBand) - Number(a.inBand) ||
        (a.inBand ? b.weight - a.weight : utilisation(a.instance) - utilisation(b.instance)) ||
        compare(a.instance, b.instance),
    );
  const ordered: Candidate[] = ranked.map(({ instance, inBand }) => ({ instance, reason: inBand ? 'affinity' : 'least_busy' }));
  return spread(newcomerFirst(ordered, facts)).slice(0, MAX_CANDIDATES);
}

function orAll(all: readonly SnapshotInstance[], wanted: (i: SnapshotInstance) => boolean): readonly SnapshotInstance[] {
  const some = all.filter(wanted);
  return some.length > 0 ? some : all;
}

function newcomerFirst(ordered: Candidate[], facts: PickFacts): Candidate[] {
  if (facts.random >= NEWCOMER_SHARE) return ordered;
  const newcomer = ordered.find((c) => facts.now - c.instance.liveSince < NEWCOMER_MS);
  if (newcomer === undefined) return ordered;
  return [{ instance: newcomer.instance, reason: 'newcomer' }, ...ordered.filter((c) => c !== newcomer)];
}

/** A second try goes to another agent where there is one. */
function spread(ordered: Candidate[]): Candidate[] {
  const seen = new Set<string>();
  const first = ordered.filter((c) => !seen.has(c.instance.agent) && seen.add(c.instance.agent));
  return [...first, ...ordered.filter((c) => !first.includes(c))];
}

function utilisation(i: SnapshotInstance): number {
  return i.busy / i.slots;
}

function compare(a: SnapshotInstance, b: SnapshotInstance): number {
  return a.instance < b.instance ? -1 : 1;
}

/** Highest random weight; who has more slots or more favour wins more often, in proportion: −slots·favour / ln(u), u uniform in (0, 1). */
function rendezvous(affinity: string, i: SnapshotInstance, favour: number): number {
  const u = (fnv1a(`${affinity}\n${i.instance}`) + 0.5) / 2 ** 32;
  return (-i.slots * favour) / Math.log(u);
}

/**
 * How much more or less of the calls each instance gets for what the chain thinks of its miner: the square root of its weight
 * over the mean of these, so 3 : 1 on the chain is √3 : 1 in calls; never below half nor above twice. One that the chain
 * does not know yet gets half, beside what newcomers are given.
 */
function favoursOf(pool: readonly SnapshotInstance[], weights: ReadonlyMap<string, number>): number[] {
  const given = pool.map((i) => weights.get(i.hotkey) ?? 0);
  const mean = given.reduce((sum, weight) => sum + weight, 0) / given.length;
  if (!(mean > 0)) return given.map(() => 1);
  return given.map((weight) => Math.min(FAVOUR.most, Math.max(FAVOUR.least, Math.sqrt(weight / mean))));
}

/** FNV-1a, 32 bits, with a final mix so that short keys differ in every bit. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
