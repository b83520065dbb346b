/**
 * The tokeniser and its vocabulary. A token is a word, a number or a sign together with the one space before it,
 * so that the tokens of a text joined give that text back, byte for byte.
 */
const PIECE = / ?\p{L}{1,16}| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]|\s/gu;

/** Stands between passages: before the first token of a text and after the last. */
export const END = 0;
/** A token that the model never read. */
export const UNKNOWN = -1;

export function tokenise(text: string): string[] {
  return text.match(PIECE) ?? [];
}

export class Vocabulary {
  readonly #texts: string[] = [''];
  readonly #ids = new Map<string, number>([['', END]]);

  get size(): number {
    return this.#texts.length;
  }

  text(id: number): string {
    return this.#texts[id] ?? '';
  }

  /** The ids of a text; tokens not met in `learn` are `UNKNOWN`. */
  encode(text: string): number[] {
    return tokenise(text).map((token) => this.#ids.get(token) ?? UNKNOWN);
  }

  /** The ids of a text; new tokens get the next id. */
  learn(text: string): number[] {
    return tokenise(text).map((token) => {
      const known = this.#ids.get(token);
      if (known !== undefined) return known;
      this.#texts.push(token);
      this.#ids.set(token, this.#texts.length - 1);
      return this.#texts.length - 1;
    });
  }
}
