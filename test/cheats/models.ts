/**
 * Language models without weights, for canaries: the chances of the next token follow from a hash of all that came before, so two
 * copies agree bit for bit and another model agrees in nothing. Noise on the logits makes the honest difference (other hardware) and
 * the dishonest one (coarser weights).
 */
import type { CanaryAsk } from '../../validator-cron/canary/ask.ts';
import type { Token } from '../../validator-cron/canary/reply.ts';
import { Random } from '../sim/random.ts';

/** Tokens that a model chooses from, and how many of them it names. */
const WORDS = 24;
const TOP = 5;
/** Standard deviation of the logits: how sure a model is of itself. */
const SPREAD = 4;

export interface ModelFacts {
  /** Models of the same name are copies of each other. */
  name: string;
  /** Standard deviation of the noise on each logit, nats. */
  noise: number;
}

/** One machine that runs a model; `random` makes its noise. */
export function runs(facts: ModelFacts, random: Random): (ask: CanaryAsk) => Token[] {
  return (ask) => {
    const tokens: Token[] = [];
    const draws = new Random(ask.seed);
    let state = hashOf(`${facts.name}\n${ask.prompt}`);
    for (let at = 0; at < ask.maxTokens; at++) {
      const chances = chancesOf(new Random(state), facts.noise, random);
      const token = ask.temperature === 0 ? argmax(chances) : drawn(chances, draws.next());
      const name = (word: number) => ({ text: ` w${word}`, chance: Math.round(Math.log(chances[word] ?? 0) * 1000) });
      const top = chances.map((_, word) => word).toSorted((a, b) => (chances[b] ?? 0) - (chances[a] ?? 0));
      tokens.push({ ...name(token), top: top.slice(0, TOP).map(name) });
      state = (Math.imul(state ^ (token + 1), 0x9e3779b1) ^ (state >>> 15)) >>> 0;
    }
    return tokens;
  };
}

function chancesOf(logits: Random, noise: number, random: Random): number[] {
  const weights = Array.from({ length: WORDS }, () => Math.exp(SPREAD * normal(logits) + (noise === 0 ? 0 : noise * normal(random))));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Nearly normal: the sum of four even draws, scaled to a deviation of one. */
function normal(random: Random): number {
  return (random.next() + random.next() + random.next() + random.next() - 2) * Math.sqrt(3);
}

function argmax(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

function drawn(chances: readonly number[], at: number): number {
  let left = at;
  const found = chances.findIndex((chance) => (left -= chance) < 0);
  return found === -1 ? chances.length - 1 : found;
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return hash >>> 0;
}
