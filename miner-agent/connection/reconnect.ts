/** How long to wait before the next dial. Pure: the dice are an argument. */

export interface Reconnect {
  /** Dials since the last connection that lasted. */
  tries: number;
  /** Streams wait for the edge: be back within a second. */
  streamsOpen: boolean;
  /** Instances run here: be back before those that run nothing, or others are started in their place. */
  serving: boolean;
  /** The edge closed for a broken rule or limit. */
  slow: boolean;
  /** Milliseconds the edge asked for, or null. */
  retryAfterMs: number | null;
  /** 0 to 1. */
  random: number;
}

const LONGEST_MS = 30_000;
const SHORTEST_MS = 200;
/** The first wait of an agent that runs nothing: after a restart of everything the others come first. */
const IDLE_MS = 5_000;

/** Milliseconds: full jitter over a doubling range, so that agents of a restarted edge do not come back together. */
export function reconnectMs(r: Reconnect): number {
  if (r.slow) return Math.round(LONGEST_MS * (0.5 + r.random / 2));
  const doubled = 2 ** Math.min(r.tries, 10);
  if (r.retryAfterMs !== null) return Math.round(Math.min(r.retryAfterMs, LONGEST_MS) * (1 + r.random / 5));
  if (r.streamsOpen) return Math.round(r.random * Math.min(1000, 100 * doubled));
  return Math.round(r.random * Math.min(LONGEST_MS, (r.serving ? SHORTEST_MS : IDLE_MS) * doubled));
}
