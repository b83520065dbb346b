/**
 * How many come in per second when all want to at once, and when the rest may try again: spread over the time that those
 * who were refused lately would need, so that a crowd of any size neither comes back together nor waits long after the end.
 */
import { Buckets } from './bucket.ts';

/** Milliseconds over which refusals are forgotten. */
const FORGET_MS = 5_000;
const SHORTEST_SPREAD_MS = 1_000;
const LONGEST_SPREAD_MS = 30_000;

export class Admission {
  readonly #bucket: Buckets;
  readonly #perSecond: number;
  #refused = 0;
  #at = 0;

  constructor(perSecond: number, burst: number) {
    this.#bucket = new Buckets(perSecond, burst, 1);
    this.#perSecond = perSecond;
  }

  /** 0: come in; otherwise milliseconds to wait. @param random - 0 to 1 */
  take(now: number, random: number): number {
    this.#refused *= Math.exp(-Math.max(0, now - this.#at) / FORGET_MS);
    this.#at = now;
    const waitMs = this.#bucket.take('all', now);
    if (waitMs === 0) return 0;
    this.#refused += 1;
    const spread = Math.min(LONGEST_SPREAD_MS, Math.max(SHORTEST_SPREAD_MS, (this.#refused / this.#perSecond) * 1000));
    return Math.ceil(waitMs + random * spread);
  }
}
