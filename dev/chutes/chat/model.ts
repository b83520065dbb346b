/**
 * The language model: n-grams over the whole corpus, mixed with n-grams over the few passages that share
 * the rarest words with the prompt, which keeps an answer near its question.
 */
import { createHash } from 'node:crypto';
import { Ngrams } from './ngrams.ts';
import { END, UNKNOWN, Vocabulary } from './tokens.ts';

const TOPIC_PASSAGES = 2;
const TOPIC_SHARE = 0.9;
/** The first words of a passage say what it is about, and weigh twice. */
const SUBJECT_WORDS = 3;
const WORD = /\p{L}{3,16}|\p{N}+/gu;

/** Chances of the next token, given the ids before it. */
export type Predict = (context: readonly number[]) => Float64Array;

export class LanguageModel {
  readonly vocabulary = new Vocabulary();
  /** Names the corpus that the model was built from. */
  readonly fingerprint: string;
  readonly #passages: { tokens: number[]; words: Set<string>; subject: Set<string> }[];
  readonly #passagesWith = new Map<string, number>();
  readonly #general: Ngrams;

  constructor(passages: readonly string[]) {
    this.#passages = passages.map((text) => ({
      tokens: this.vocabulary.learn(text),
      words: wordsOf(text),
      subject: wordsOf(text.split(' ', SUBJECT_WORDS).join(' ')),
    }));
    for (const { words } of this.#passages) {
      for (const word of words) this.#passagesWith.set(word, (this.#passagesWith.get(word) ?? 0) + 1);
    }
    this.#general = this.#count(this.#passages);
    this.fingerprint = 'fp_' + createHash('sha256').update(passages.join('\n\n')).digest('hex').slice(0, 12);
  }

  /** The model as it speaks about `topic`. */
  about(topic: string): Predict {
    const near = this.#nearest(wordsOf(topic));
    if (near.length === 0) return (context) => this.#general.next(context);
    const special = this.#count(near);
    return (context) => {
      const chances = this.#general.next(context);
      const bent = special.next(context);
      return chances.map((chance, token) => (1 - TOPIC_SHARE) * chance + TOPIC_SHARE * (bent[token] ?? 0));
    };
  }

  /** The ids after the last token that the model does not know: what came before tells it nothing. */
  contextOf(text: string): number[] {
    if (text === '') return [...FRESH];
    const ids = this.vocabulary.encode(text);
    return ids.slice(ids.lastIndexOf(UNKNOWN) + 1);
  }

  #count(passages: readonly { tokens: number[] }[]): Ngrams {
    return new Ngrams(
      passages.map((passage) => passage.tokens),
      this.vocabulary.size,
    );
  }

  #nearest(words: ReadonlySet<string>): { tokens: number[] }[] {
    const scored = this.#passages.map((passage) => ({
      passage,
      score: this.#overlap(words, passage.words) + this.#overlap(words, passage.subject),
    }));
    scored.sort((a, b) => b.score - a.score);
    const best = scored[0]?.score ?? 0;
    return scored
      .slice(0, TOPIC_PASSAGES)
      .filter(({ score }) => score > 0 && score > best / 2)
      .map(({ passage }) => passage);
  }

  /** Shared words, each weighing more the fewer passages have it; words of most passages weigh nothing. */
  #overlap(words: ReadonlySet<string>, others: ReadonlySet<string>): number {
    let score = 0;
    for (const word of words) {
      if (others.has(word)) score += Math.max(0, Math.log(this.#passages.length / (4 * (this.#passagesWith.get(word) ?? 1))));
    }
    return score;
  }
}

/** The start of a text, for a prompt that the answer does not continue. */
export const FRESH: readonly number[] = [END];

/** Words in lower case, without the `s` of a plural. */
function wordsOf(text: string): Set<string> {
  const words = text.toLowerCase().match(WORD) ?? [];
  return new Set(words.map((word) => (word.length > 3 ? word.replace(/s$/, '') : word)));
}
