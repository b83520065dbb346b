/**
 * What a call costs at most, what an attempt cost, and who gets it. Integers, nano-USD; every rounding is up for the
 * caller's cost and down for the miner's share, so that parts never add up to more than was paid. Pure.
 */
import { WHOLE_BPS, type Metered, type Price, type QuoteFacts, type Terms } from './terms.ts';

/** Output tokens a call is quoted for when it does not say how many it wants. */
export const DEFAULT_MAX_TOKENS = 4096;

const MILLION = 1_000_000n;

/** One line of a quote: so many units at this price each. */
export interface Line {
  /** The price it is for. Input is quoted at the dearer of plain and cached. */
  what: Exclude<keyof Price, 'cached_per_million' | 'per_instance_second'>;
  /** Tokens, milliseconds of `per_second`, images, steps, requests. */
  units: bigint;
  unitPrice: number;
  nanousd: bigint;
}

/** The most a call can be charged. Not below `costOf` of anything that stays within the facts. */
export function quoteOf(terms: Terms, facts: QuoteFacts): bigint {
  const sum = quoteLines(terms, facts).reduce((all, line) => all + line.nanousd, 0n);
  return discounted(terms, sum);
}

/** What the quote is made of, before the discount. */
export function quoteLines({ price }: Pick<Terms, 'price'>, facts: QuoteFacts): Line[] {
  const images = whole(facts.images);
  const line = (what: Line['what'], units: bigint, unitPrice: number, per = 1n): Line => ({
    what,
    units,
    unitPrice,
    nanousd: ceilDiv(units * BigInt(unitPrice), per),
  });
  const input = line('input_per_million', whole(facts.requestBytes), Math.max(price.input_per_million, cachedPrice(price)), MILLION);
  // Cached and other input are rounded each by itself.
  if (input.nanousd > 0n) input.nanousd += 1n;
  return [
    line('per_request', 1n, price.per_request),
    input,
    line('output_per_million', whole(facts.maxTokens ?? DEFAULT_MAX_TOKENS), price.output_per_million, MILLION),
    line('per_second', whole(facts.timeoutMs), price.per_second, 1000n),
    line('per_image', images, price.per_image),
    line('per_step', images * whole(facts.steps), price.per_step),
  ];
}

/**
 * Formula: ⌈(per_request + ⌈(in − cached) × input / 1e6⌉ + ⌈cached × cached_input / 1e6⌉ + ⌈out × output / 1e6⌉
 * + ⌈ms × per_second / 1e3⌉ + images × (per_image + steps × per_step)) × (1 − discount)⌉
 */
export function costOf(terms: Terms, facts: Pick<QuoteFacts, 'images' | 'steps'>, metered: Metered): bigint {
  const { price } = terms;
  const tokensIn = whole(metered.tokensIn ?? 0);
  const claimed = whole(metered.cachedIn ?? 0);
  const cached = claimed < tokensIn ? claimed : tokensIn;
  return discounted(
    terms,
    BigInt(price.per_request) +
      ceilDiv((tokensIn - cached) * BigInt(price.input_per_million), MILLION) +
      ceilDiv(cached * BigInt(cachedPrice(price)), MILLION) +
      ceilDiv(whole(metered.tokensOut ?? 0) * BigInt(price.output_per_million), MILLION) +
      ceilDiv(whole(metered.ms) * BigInt(price.per_second), 1000n) +
      whole(facts.images) * (BigInt(price.per_image) + whole(facts.steps) * BigInt(price.per_step)),
  );
}

/** An instance of a private chute, by the time it is up. */
export function rentOf(terms: Terms, ms: number): bigint {
  return discounted(terms, ceilDiv(whole(ms) * BigInt(terms.price.per_instance_second), 1000n));
}

/** What of a cost its miner gets: ⌊cost × (1 − fee)⌋. The platform takes the remainder. */
export function shareOf(cost: bigint, feeBps: number): bigint {
  return (cost * BigInt(WHOLE_BPS - feeBps)) / BigInt(WHOLE_BPS);
}

/** Cached input costs as much as other input where nothing else is said. */
function cachedPrice(price: Price): number {
  return price.cached_per_million ?? price.input_per_million;
}

function discounted(terms: Terms, sum: bigint): bigint {
  return ceilDiv(sum * BigInt(WHOLE_BPS - terms.discountBps), BigInt(WHOLE_BPS));
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}

/** A count that is none (negative, not a number) is zero; part of a unit is one. */
function whole(count: number): bigint {
  return count > 0 ? BigInt(Math.ceil(Math.min(count, Number.MAX_SAFE_INTEGER))) : 0n;
}
