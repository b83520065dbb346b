/**
 * A copy of something read elsewhere: fresh for a second, and good for half a minute while its source does not answer.
 * Requests do not share a pending read: one that ends early would take it along.
 */

const FRESH_MS = 1_000;
const USABLE_MS = 30_000;

/** Reads through a copy. While one request refreshes it, the others are served what is there. */
export class ThroughCopy<T> {
  #copy: { value: T; at: number } | null = null;
  #refreshingUntil = 0;

  async get(read: () => Promise<T>, now: () => number): Promise<T> {
    const copy = this.#copy;
    const age = copy === null ? Number.POSITIVE_INFINITY : now() - copy.at;
    if (copy !== null && (age < FRESH_MS || (age < USABLE_MS && now() < this.#refreshingUntil))) return copy.value;
    this.#refreshingUntil = now() + FRESH_MS;
    try {
      const value = await read();
      this.#copy = { value, at: now() };
      return value;
    } catch (error) {
      if (copy !== null && age < USABLE_MS) return copy.value;
      throw error;
    } finally {
      this.#refreshingUntil = 0;
    }
  }
}
