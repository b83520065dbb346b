/**
 * What the chain gives each hotkey, as the edge last read it: one copy per isolate. No call waits for it, and none fails
 * without it; an old copy is better than none, as weights change by the hour.
 */

/** Milliseconds a copy is taken as it is. */
const FRESH_MS = 60_000;
/** A read that takes longer is taken for dead with the request that started it. */
const READ_MS = 10_000;

export class WeightsCopy {
  #weights: ReadonlyMap<string, number> = new Map();
  #at = -Infinity;
  #readingSince = -Infinity;

  /** The copy there is; `background` keeps a newer one coming after the request that asked for it. */
  get(
    now: number,
    read: () => Promise<ReadonlyMap<string, number>>,
    background: (work: Promise<unknown>) => void,
  ): ReadonlyMap<string, number> {
    if (now - this.#at >= FRESH_MS && now - this.#readingSince >= READ_MS) {
      this.#readingSince = now;
      background(this.#refresh(now, read).catch(() => {}));
    }
    return this.#weights;
  }

  async #refresh(now: number, read: () => Promise<ReadonlyMap<string, number>>): Promise<void> {
    this.#weights = await read();
    this.#at = now;
  }
}
