/** What the wait of calls to a cold chute is made of, and the least it could have been. */

/** One call that came when nothing of its chute was live. */
export interface ColdCall {
  /** Milliseconds until it had a slot, or its client gave up. */
  waited: number;
  /** Of them: until a miner had the grant, until that instance was live, and until a slot of it was free. */
  claim: number;
  load: number;
  queue: number;
  /** The model was on the machine that started; null: none did. */
  cached: boolean | null;
  /** Milliseconds it would have waited had the best machine started when the first call came. */
  floor: number;
}

/** A start that made a cold chute live. */
export interface Wake {
  granted: number;
  live: number;
  cached: boolean;
}

/** `wake`: the start that ended the cold, if one did before the call had its slot or gave up at `end`. */
export function coldCall(since: number, end: number, wake: Wake | null, floorAt: number): ColdCall {
  const floor = Math.max(0, floorAt - since);
  if (wake === null || wake.live < since) return { waited: end - since, claim: end - since, load: 0, queue: 0, cached: null, floor };
  const granted = Math.min(end, Math.max(since, wake.granted));
  const live = Math.min(end, wake.live);
  return { waited: end - since, claim: granted - since, load: live - granted, queue: end - live, cached: wake.cached, floor };
}

export interface ColdFigures {
  /** Seconds, of the slowest tenth on average. */
  claim: number;
  load: number;
  queue: number;
  /** Share of the slowest tenth, and of all, that waited for a machine without the model; and for none that came. */
  slowUncached: number;
  uncached: number;
  none: number;
  floorP95: number;
}

export function coldFigures(calls: readonly ColdCall[]): ColdFigures {
  const slow = calls.toSorted((a, b) => b.waited - a.waited).slice(0, Math.ceil(calls.length / 10));
  const mean = (of: 'claim' | 'load' | 'queue') => seconds(slow.reduce((sum, c) => sum + c[of], 0) / Math.max(1, slow.length));
  const share = (of: readonly ColdCall[], cached: boolean | null) =>
    round(of.filter((c) => c.cached === cached).length / Math.max(1, of.length));
  const floors = calls.map((c) => c.floor).sort((a, b) => a - b);
  return {
    claim: mean('claim'),
    load: mean('load'),
    queue: mean('queue'),
    slowUncached: share(slow, false),
    uncached: share(calls, false),
    none: share(calls, null),
    floorP95: seconds(floors[Math.min(floors.length - 1, Math.floor(floors.length * 0.95))] ?? 0),
  };
}

const seconds = (ms: number): number => round(ms / 1000);
const round = (x: number): number => Math.round(x * 1000) / 1000;
