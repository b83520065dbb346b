/** What was served, by instance and in all. Pure. */

interface Served {
  instance: string;
  outcome: 'completed' | 'cancelled' | 'failed';
  tokensOut: number | null;
}

export interface Sums {
  calls: number;
  failed: number;
  tokens_out: number;
}

const NONE: Sums = { calls: 0, failed: 0, tokens_out: 0 };

export class Tally {
  readonly #by = new Map<string, Sums>();
  #all = NONE;

  add({ instance, outcome, tokensOut }: Served): void {
    const plus = (sums: Sums): Sums => ({
      calls: sums.calls + 1,
      failed: sums.failed + (outcome === 'failed' ? 1 : 0),
      tokens_out: sums.tokens_out + (tokensOut ?? 0),
    });
    this.#all = plus(this.#all);
    this.#by.set(instance, plus(this.of(instance)));
  }

  of(instance: string): Sums {
    return this.#by.get(instance) ?? NONE;
  }

  all(): Sums {
    return this.#all;
  }

  /** The instance is over; its calls stay in the sum. */
  forget(instance: string): void {
    this.#by.delete(instance);
  }
}
