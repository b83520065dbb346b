/** From the chances of all tokens to one token. Randomness is an argument, so that a seed decides the text. */

export type Sampling = {
  temperature: number;
  topP: number;
  frequencyPenalty: number;
  presencePenalty: number;
};

export type Candidate = { token: number; logprob: number };

/** The token for a `random` in [0, 1). `used` counts the tokens of this reply so far. */
export function sample(chances: Float64Array, sampling: Sampling, used: ReadonlyMap<number, number>, random: number): number {
  const weights = penalise(chances, sampling, used);
  if (sampling.temperature < 0.01) return argmax(weights);
  const sharp = sharpen(weights, sampling.temperature);
  const least = sampling.topP < 1 ? nucleusFloor(sharp, sampling.topP) : 0;
  return pick(sharp, least, random);
}

/** The `count` likeliest tokens, best first, with the natural logarithm of the model's own chances. */
export function likeliest(chances: Float64Array, count: number): Candidate[] {
  const best: { token: number; chance: number }[] = [];
  if (count === 0) return [];
  chances.forEach((chance, token) => {
    if (best.length === count && chance <= (best[count - 1]?.chance ?? 0)) return;
    const at = best.findIndex((other) => chance > other.chance);
    best.splice(at === -1 ? best.length : at, 0, { token, chance });
    if (best.length > count) best.pop();
  });
  return best.map(({ token, chance }) => ({ token, logprob: Math.log(chance) }));
}

/** A generator of numbers in [0, 1) that a seed fixes (mulberry32 over an FNV-1a hash of the seed's text). */
export function randomFrom(seed: string): () => number {
  let state = 2166136261;
  for (const byte of Buffer.from(seed)) state = Math.imul(state ^ byte, 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function penalise(chances: Float64Array, sampling: Sampling, used: ReadonlyMap<number, number>): Float64Array {
  if (sampling.frequencyPenalty === 0 && sampling.presencePenalty === 0) return chances;
  const weights = chances.slice();
  for (const [token, times] of used) {
    const penalty = sampling.frequencyPenalty * times + sampling.presencePenalty;
    weights[token] = (weights[token] ?? 0) * Math.exp(-penalty);
  }
  return weights;
}

/** Raises to 1/temperature relative to the best, so that a low temperature cannot underflow every weight. */
function sharpen(weights: Float64Array, temperature: number): Float64Array {
  const best = weights[argmax(weights)] ?? 1;
  const powers = weights.map((weight) => (weight / best) ** (1 / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** The chance of the last token of the smallest set that holds `topP` of all chance. */
function nucleusFloor(chances: Float64Array, topP: number): number {
  const sorted = chances.slice().sort().reverse();
  let sum = 0;
  for (const chance of sorted) {
    sum += chance;
    if (sum >= topP) return chance;
  }
  return 0;
}

function pick(chances: Float64Array, least: number, random: number): number {
  let total = 0;
  for (const chance of chances) if (chance >= least) total += chance;
  let left = random * total;
  for (let token = 0; token < chances.length; token++) {
    const chance = chances[token] ?? 0;
    if (chance < least) continue;
    left -= chance;
    if (left < 0) return token;
  }
  return argmax(chances);
}

function argmax(values: Float64Array): number {
  let best = 0;
  for (let at = 1; at < values.length; at++) if ((values[at] ?? 0) > (values[best] ?? 0)) best = at;
  return best;
}
