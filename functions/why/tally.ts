/** How often something was said of late, by code: counts per slice of the window, so that a million of them take no more room than one. */

/** Slices of a window; the oldest is dropped whole. */
const SLICES = 12;
/** Codes told apart; more are not counted. */
const CODES = 32;

export class Tally {
  readonly #sliceMs: number;
  #slices: { at: number; counts: Map<string, number> }[] = [];

  constructor(windowMs: number) {
    this.#sliceMs = windowMs / SLICES;
  }

  add(code: string, now: number): void {
    const at = Math.floor(now / this.#sliceMs);
    let slice = this.#slices.at(-1);
    if (slice?.at !== at) {
      slice = { at, counts: new Map() };
      this.#slices = [...this.#slices.filter((old) => old.at > at - SLICES), slice];
    }
    if (slice.counts.has(code) || slice.counts.size < CODES) slice.counts.set(code, (slice.counts.get(code) ?? 0) + 1);
  }

  /** By code, the most frequent first. */
  counts(now: number): { code: string; count: number }[] {
    const since = Math.floor(now / this.#sliceMs) - SLICES;
    const sums = new Map<string, number>();
    for (const { at, counts } of this.#slices)
      if (at > since) for (const [code, count] of counts) sums.set(code, (sums.get(code) ?? 0) + count);
    return [...sums].map(([code, count]) => ({ code, count })).toSorted((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1));
  }
}
