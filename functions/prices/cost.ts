/**
 * What a call costs at most, what an attempt cost, and who gets it. Integers, nano-USD; every rounding is up for the
 * caller's cost and down for the miner's share, so that parts never add up to more than was paid. Pure.
 */
import { WHOLE_BPS, type Metered, type QuoteFacts, type Terms } from './terms.ts';

/** Output tokens a call is quoted for when it does not say how many it wants. */
export const DEFAULT_MAX_TOKENS = 4096;

const MILLION = 1_000_000n;

/** The most a call can be charged. Not below `costOf` of anything that stays within the facts. */
export function quoteOf(terms: Terms, facts: QuoteFacts): bigint {
  const { price } = terms;
  const tokensIn = BigInt(facts.requestBytes);
  const input = BigInt(Math.max(price.input_per_million, cachedPrice(terms)));
  return discounted(
    terms,
    BigInt(price.per_request) +
      ceilDiv(tokensIn * input, MILLION) +
      ceilDiv(BigInt(facts.maxTokens ?? DEFAULT_MAX_TOKENS) * BigInt(price.output_per_million), MILLION) +
      ceilDiv(BigInt(facts.timeoutMs) * BigInt(price.per_second), 1000n) +
      unitsCost(terms, facts),
  );
}

/**
 * Formula: ⌈(per_request + ⌈(in − cached) × input / 1e6⌉ + ⌈cached × cached_input / 1e6⌉ + ⌈out × output / 1e6⌉
 * + ⌈ms × per_second / 1e3⌉ + images × (per_image + steps × per_step)) × (1 − discount)⌉
 */
export function costOf(terms: Terms, facts: Pick<QuoteFacts, 'images' | 'steps'>, metered: Metered): bigint {
  const { price } = terms;
  const tokensIn = BigInt(metered.tokensIn ?? 0);
  const claimed = BigInt(metered.cachedIn ?? 0);
  const cached = claimed < tokensIn ? claimed : tokensIn;
  return discounted(
    terms,
    BigInt(price.per_request) +
      ceilDiv((tokensIn - cached) * BigInt(price.input_per_million), MILLION) +
      ceilDiv(cached * BigInt(cachedPrice(terms)), MILLION) +
      ceilDiv(BigInt(metered.tokensOut ?? 0) * BigInt(price.output_per_million), MILLION) +
      ceilDiv(BigInt(metered.ms) * BigInt(price.per_second), 1000n) +
      unitsCost(terms, facts),
  );
}

/** An instance of a private chute, by the time it is up. */
export function rentOf(terms: Terms, ms: number): bigint {
  return discounted(terms, ceilDiv(BigInt(ms) * BigInt(terms.price.per_instance_second), 1000n));
}

/** What of a cost its miner gets: ⌊cost × (1 − fee)⌋. The platform takes the remainder. */
export function shareOf(cost: bigint, feeBps: number): bigint {
  return (cost * BigInt(WHOLE_BPS - feeBps)) / BigInt(WHOLE_BPS);
}

function unitsCost({ price }: Terms, { images, steps }: Pick<QuoteFacts, 'images' | 'steps'>): bigint {
  return BigInt(images) * (BigInt(price.per_image) + BigInt(steps) * BigInt(price.per_step));
}

/** Cached input costs as much as other input where nothing else is said. */
function cachedPrice({ price }: Terms): number {
  return price.cached_per_million ?? price.input_per_million;
}

function discounted(terms: Terms, sum: bigint): bigint {
  return ceilDiv(sum * BigInt(WHOLE_BPS - terms.discountBps), BigInt(WHOLE_BPS));
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}
