/**
 * How many instances a chute should have, and how many it misses. Demand has a memory: a level that was needed within
 * the idle time is kept, so a pause between calls stops nothing.
 */
import type { ChuteConfig, Scaling } from '#protocol';
import { pull } from './bounty.ts';
import type { BOUNDS } from './bounds.ts';
import { begin, settle } from './crowd.ts';
import { currentSpec, putRow, scalingNow, serves } from './state.ts';
import type { State, Turn } from './state.ts';

/** Instances that calls ask for now. `smoothed` is the busy slots over a while; the queue counts at once. */
export function asked(
  config: Pick<ChuteConfig, 'concurrency' | 'max'>,
  facts: { busy: number; smoothed: number; waiting: number },
  target: number,
): number {
  // What was busy fades and never is nothing: by itself it keeps no instance. Levels that were needed are remembered anyway.
  if (facts.busy + facts.waiting === 0) return 0;
  const byCalls = Math.ceil((facts.busy + facts.waiting) / config.concurrency);
  const byLoad = Math.ceil(facts.smoothed / (config.concurrency * target) - 1e-9);
  return Math.min(config.max, Math.max(byCalls, byLoad));
}

/**
 * What of it counts. Where something serves, more than serves counts only once calls have asked for more for so long
 * without a break; where nothing does, it counts at once.
 */
export function counted(level: number, serving: number, pressedMs: number, scaling: Pick<Scaling, 'scale_up_after'>): number {
  if (serving === 0 || pressedMs >= scaling.scale_up_after * 1000) return level;
  return Math.min(level, serving);
}

/** Brings the memory of demand up to now. `extra` counts calls that were sent away. */
export function feel(turn: Turn, extra: number, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  const spec = currentSpec(state);
  const scaling = scalingNow(state);
  if (spec === null || scaling === null) return;
  const busy = busySlots(state);
  smooth(state, busy, now, bounds.smoothMs);
  const limits = { concurrency: spec.config.concurrency, max: scaling.max };
  const level = asked(limits, { busy, smoothed: state.load.value, waiting: state.tickets.size + extra }, bounds.target);
  const serving = servingCount(state);
  state.pressedSince = serving > 0 && level > serving ? (state.pressedSince ?? now) : null;
  const { neededAt } = state.demand;
  for (let k = 0; k < counted(level, serving, now - (state.pressedSince ?? now), scaling); k++) neededAt[k] = now;
  neededAt.length = Math.min(neededAt.length, scaling.max);
  const unmet = missing(turn, bounds) > 0;
  if (unmet !== (state.demand.unmetSince !== null)) {
    if (unmet) begin(turn, bounds);
    else settle(turn, bounds);
    state.demand.unmetSince = unmet ? now : null;
  }
  if (extra > 0) state.askedAt = now;
  pull(turn, bounds);
  persist(turn, scaling);
}

/** What was busy until now weighs by how long it was. */
function smooth(state: State, busy: number, now: number, overMs: number): void {
  const { value, busy: before, at } = state.load;
  const past = Math.exp(-Math.max(0, now - at) / overMs);
  state.load = { value: before + (value - before) * past, busy, at: now };
}

/** Calls came: at least one instance is needed, however short they were. */
export function used(turn: Turn): void {
  turn.state.demand.neededAt[0] = turn.now;
}

/** Somebody asked for one instance, for so long from now; a shorter request later takes nothing back. */
export function warm(turn: Turn, forMs: number, bounds: typeof BOUNDS): void {
  const { chute, demand } = turn.state;
  if (chute === null) return;
  const until = turn.now + Math.min(Math.max(0, forMs), bounds.warmMaxMs);
  demand.warmUntil = Math.max(demand.warmUntil ?? 0, until);
}

/** Instances wanted now: between `min` and `max`, by the highest level needed within the idle time. */
export function wanted(turn: Pick<Turn, 'state' | 'now'>): number {
  const scaling = scalingNow(turn.state);
  if (scaling === null) return 0;
  let level = warmed(turn) ? 1 : 0;
  for (const [k, at] of turn.state.demand.neededAt.entries()) if (at + idleMs(scaling) > turn.now) level = Math.max(level, k + 1);
  return Math.min(scaling.max, Math.max(scaling.min, level));
}

function warmed({ state, now }: Pick<Turn, 'state' | 'now'>): boolean {
  return (state.demand.warmUntil ?? 0) > now;
}

/**
 * Starts the chute would grant now. While older versions serve, one instance more than wanted may exist: the new one
 * comes first, then an old one goes.
 */
export function missing(turn: Pick<Turn, 'state' | 'now'>, bounds: typeof BOUNDS): number {
  const { state, now } = turn;
  const want = wanted(turn);
  const counted = [...state.instances.values()].filter(
    (row) => row.state !== 'draining' && (row.goneAt === null || row.goneAt + bounds.resumeMs > now),
  );
  const fresh = counted.filter((row) => row.version === state.chute?.current).length;
  const old = counted.length - fresh;
  const room = want + (old > 0 ? 1 : 0) - counted.length;
  return Math.max(0, Math.min(want - fresh, room));
}

/** When time alone changes something here; null if it does not. */
export function nextNeedAt(turn: Pick<Turn, 'state' | 'now'>, bounds: typeof BOUNDS): number | null {
  const { state, now } = turn;
  const scaling = scalingNow(state);
  if (scaling === null) return null;
  const times = state.demand.neededAt.map((at) => at + idleMs(scaling)).filter((at) => at > now);
  const pressAt = (state.pressedSince ?? now) + scaling.scale_up_after * 1000;
  if (pressAt > now && state.pressedSince !== null) times.push(pressAt);
  if (warmed(turn)) times.push(state.demand.warmUntil ?? now);
  for (const row of state.instances.values())
    if (row.goneAt !== null && row.goneAt + bounds.resumeMs > now) times.push(row.goneAt + bounds.resumeMs);
  if (busySlots(state) > 0) times.push(state.load.at + bounds.smoothMs);
  return times.length === 0 ? null : Math.min(...times);
}

function busySlots(state: State): number {
  let busy = 0;
  for (const row of state.instances.values()) if (serves(row)) busy += state.busy.get(row.instance) ?? 0;
  return busy;
}

function servingCount(state: State): number {
  return [...state.instances.values()].filter(serves).length;
}

const idleMs = ({ idle_after }: Scaling): number => idle_after * 1000;

/** Writes the demand when it changed by more than a tenth of the idle time, not on every call. */
function persist(turn: Turn, scaling: Scaling): void {
  const { demand, savedDemand, chute } = turn.state;
  const step = Math.max(1_000, idleMs(scaling) / 10);
  const moved = demand.neededAt.some((at, k) => at - (savedDemand.neededAt[k] ?? 0) > step);
  const same =
    demand.unmetSince === savedDemand.unmetSince &&
    demand.warmUntil === savedDemand.warmUntil &&
    demand.bountied?.at === savedDemand.bountied?.at;
  if (chute === null || (!moved && same)) return;
  turn.state.savedDemand = structuredClone(demand);
  putRow(turn, 'demand', chute.chute, demand);
}
