import { END } from './tokens.ts';

/** The longest run of tokens that is counted; the model sees the `ORDER - 1` tokens before the next. */
const ORDER = 4;
/** What every seen continuation gives up for the unseen ones (absolute discounting). */
const DISCOUNT = 0.15;

type Continuations = { total: number; counts: Map<number, number> };

/** Counts of runs of up to `ORDER` tokens, and from them the chance of every token to come next. */
export class Ngrams {
  readonly #vocabulary: number;
  readonly #seen = new Map<string, Continuations>();

  constructor(passages: readonly (readonly number[])[], vocabulary: number) {
    this.#vocabulary = vocabulary;
    for (const passage of passages) this.#count([END, ...passage, END]);
  }

  #count(tokens: readonly number[]): void {
    for (let end = 1; end < tokens.length; end++) {
      for (let start = Math.max(0, end - ORDER + 1); start <= end; start++) {
        const context = tokens.slice(start, end).join();
        const entry = this.#seen.get(context) ?? { total: 0, counts: new Map<number, number>() };
        const token = tokens[end] ?? END;
        entry.total += 1;
        entry.counts.set(token, (entry.counts.get(token) ?? 0) + 1);
        this.#seen.set(context, entry);
      }
    }
  }

  /** A chance for every token of the vocabulary, summing to one: each longer context corrects what the shorter said. */
  next(context: readonly number[]): Float64Array {
    const chances = new Float64Array(this.#vocabulary).fill(1 / this.#vocabulary);
    for (let length = 0; length < ORDER && length <= context.length; length++) {
      const entry = this.#seen.get(context.slice(context.length - length).join());
      if (entry === undefined) break;
      const kept = (DISCOUNT * entry.counts.size) / entry.total;
      for (let token = 0; token < chances.length; token++) chances[token] = (chances[token] ?? 0) * kept;
      for (const [token, count] of entry.counts) {
        chances[token] = (chances[token] ?? 0) + (count - DISCOUNT) / entry.total;
      }
    }
    return chances;
  }
}
