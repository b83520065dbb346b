/** How much a chute wants an instance, and what its owner adds for the first. Pure. */

export interface Want {
  /** Milliseconds that instances have been missing. */
  unmetMs: number;
  /** Calls in the line. */
  waiting: number;
  /** Nothing serves. */
  cold: boolean;
}

/**
 * 0 to 1000, in steps of 25. By time, up to 500 points: 2 a second, 5 where nothing serves, 20 while calls wait; by calls,
 * 10 each up to 200, and 200 more where nothing serves them; and 100 from the start.
 */
export function urgencyOf({ unmetMs, waiting, cold }: Want): number {
  const byTime = Math.min(500, (unmetMs / 1000) * (waiting > 0 ? 20 : cold ? 5 : 2));
  const byCalls = (cold && waiting > 0 ? 200 : 0) + Math.min(200, waiting * 10);
  return Math.floor((100 + byTime + byCalls) / 25) * 25;
}

/**
 * Nano-USD: grows in a straight line from 0 to the most that the owner gives, over the time that callers have waited for a
 * cold chute. A straight line as on Chutes (3 per second of age, to the end of a day), where it is the network that pays;
 * shorter here, since a caller waits for minutes at most, and bounded by what the owner said.
 */
export function bountyOf(most: number, waitedMs: number, growMs: number): number {
  return Math.floor(most * Math.min(1, Math.max(0, waitedMs) / growMs));
}
