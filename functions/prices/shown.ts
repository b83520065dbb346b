/** Prices as lists of models show them. Pure. */
import { WHOLE_BPS, type Terms } from './terms.ts';

/** Nano-USD of a million tokens are 1e-15 USD of one, and the discount has four digits more. */
const TOKEN_DIGITS = 9 + 6 + 4;
const UNIT_DIGITS = 9 + 4;

/** `pricing` in USD of one token, request or image, as decimal text, after the discount; and the price as it was set. */
export function pricingOf(terms: Terms) {
  const { price, discountBps } = terms;
  const usd = (nanousd: number, digits: number): string => decimal(BigInt(nanousd) * BigInt(WHOLE_BPS - discountBps), digits);
  return {
    pricing: {
      prompt: usd(price.input_per_million, TOKEN_DIGITS),
      completion: usd(price.output_per_million, TOKEN_DIGITS),
      input_cache_read: usd(price.cached_per_million ?? price.input_per_million, TOKEN_DIGITS),
      request: usd(price.per_request, UNIT_DIGITS),
      image: usd(price.per_image, UNIT_DIGITS),
    },
    price_nanousd: { ...price, discount_bps: discountBps },
  };
}

/** A whole number of 10^-digits as decimal text without needless zeros. */
function decimal(value: bigint, digits: number): string {
  const text = value.toString().padStart(digits + 1, '0');
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`.replace(/\.?0+$/, '');
}
