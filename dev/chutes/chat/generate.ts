import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { Predict } from './model.ts';
import { type Candidate, likeliest, sample, type Sampling } from './sampler.ts';
import { StopScanner } from './stops.ts';
import { END, type Vocabulary } from './tokens.ts';

export type Plan = Sampling & {
  predict: Predict;
  vocabulary: Vocabulary;
  context: readonly number[];
  maxTokens: number;
  stops: readonly string[];
  /** How many likely alternatives to name beside each token. */
  alternatives: number;
  delayMs: number;
  random: () => number;
};

/** A token as it was chosen; `logprob` is the model's own, before temperature and the rest. */
export type Chosen = Candidate & {
  alternatives: Candidate[];
  /** Where its text begins in the reply, in characters. */
  start: number;
};
export type Piece = { text: string; tokens: Chosen[] };
export type Outcome = { reason: 'stop' | 'length'; tokens: number };

/** Writes a reply token by token. Pieces are never empty; leaves by an AbortError as soon as `signal` says so. */
export async function* generate(plan: Plan, signal: AbortSignal): AsyncGenerator<Piece, Outcome> {
  const scanner = new StopScanner(plan.stops);
  const context = [...plan.context];
  const used = new Map<number, number>();
  let waiting: Chosen[] = [];
  let written = 0;
  let shown = 0;

  /** The piece for `text`, with the tokens that begin in what has been shown by then. */
  const show = (text: string): Piece => {
    shown += text.length;
    const tokens = waiting.filter(({ start }) => start < shown);
    waiting = waiting.filter(({ start }) => start >= shown);
    return { text, tokens };
  };

  for (let count = 1; count <= plan.maxTokens; count++) {
    await (plan.delayMs > 0 ? wait(plan.delayMs, undefined, { signal }) : turn(undefined, { signal }));
    const chosen = { ...choose(plan, context, used, count === 1), start: written };
    if (chosen.token === END) {
      if (scanner.rest() !== '') yield show(scanner.rest());
      return { reason: 'stop', tokens: count - 1 };
    }
    context.push(chosen.token);
    used.set(chosen.token, (used.get(chosen.token) ?? 0) + 1);
    const piece = plan.vocabulary.text(chosen.token);
    waiting.push(chosen);
    written += piece.length;
    const { text, stopped } = scanner.push(piece);
    if (text !== '') yield show(text);
    if (stopped) return { reason: 'stop', tokens: count };
  }
  if (scanner.rest() !== '') yield show(scanner.rest());
  return { reason: 'length', tokens: plan.maxTokens };
}

function choose(plan: Plan, context: readonly number[], used: ReadonlyMap<number, number>, first: boolean): Omit<Chosen, 'start'> {
  const chances = first ? withoutEnd(plan.predict(context)) : plan.predict(context);
  const token = sample(chances, plan, used, plan.random());
  return { token, logprob: Math.log(chances[token] ?? 0), alternatives: likeliest(chances, plan.alternatives) };
}

/** A reply has at least one token. */
function withoutEnd(chances: Float64Array): Float64Array {
  const rest = 1 - (chances[END] ?? 0);
  return rest <= 0 ? chances : chances.map((chance, token) => (token === END ? 0 : chance / rest));
}
