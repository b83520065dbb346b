/** How much of a call is held before it runs, and while it runs. Pure. */
import { DEFAULT_MAX_TOKENS, quoteOf } from '../prices/cost.ts';
import type { QuoteFacts, Terms } from '../prices/terms.ts';

/** Output tokens that are held at a time, where a reply can be ended early. */
export const BLOCK_TOKENS = 1_024;
/** Nano-USD up to which the whole of a call is held at once: one cent is not worth asking again for. */
export const WHOLE_NANOUSD = 10_000_000n;

export interface Hold {
  /** Nano-USD. */
  amount: bigint;
  /** Output tokens it pays for; null: all that may come. */
  allowance: number | null;
}

/** The first hold of a call. */
export function holdOf(terms: Terms, facts: QuoteFacts, extensible: boolean): Hold {
  const whole = quoteOf(terms, facts);
  if (!extensible || quoteFor(terms, facts, 0) === whole) return { amount: whole, allowance: null };
  const tokens = facts.maxTokens ?? DEFAULT_MAX_TOKENS;
  if (whole > WHOLE_NANOUSD && tokens > BLOCK_TOKENS) return heldFor(terms, facts, BLOCK_TOKENS);
  return heldFor(terms, facts, tokens);
}

/** A hold that pays for at least so many output tokens, in whole blocks, within what the caller allows. */
export function heldFor(terms: Terms, facts: QuoteFacts, tokens: number): Hold {
  const most = facts.maxTokens ?? Number.MAX_SAFE_INTEGER;
  const allowance = Math.min(Math.ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS, most);
  return { amount: quoteFor(terms, facts, allowance), allowance: allowance === most ? null : allowance };
}

function quoteFor(terms: Terms, facts: QuoteFacts, maxTokens: number): bigint {
  return quoteOf(terms, { ...facts, maxTokens });
}
