/** What a call is charged by: frozen when it opens, so a price that changes meanwhile changes nothing for it. Pure. */
import type { Price } from '#protocol';

export type { Price };

export interface Terms {
  /** Id of the price version, kept with every call. */
  version: string;
  price: Price;
  /** Ten-thousandths off the whole cost: 0 to 10,000. */
  discountBps: number;
  /** Ten-thousandths of the cost that the platform keeps; the miner gets the rest. */
  feeBps: number;
}

/** One hundred per cent in ten-thousandths. */
export const WHOLE_BPS = 10_000;

/** What is known of a call before it runs; bounds what it can be charged for. */
export interface QuoteFacts {
  /** A token is at least one byte of the request, so bytes bound the input tokens. */
  requestBytes: number;
  /** What the caller allows; null: it does not say. */
  maxTokens: number | null;
  /** Milliseconds the call may take. */
  timeoutMs: number;
  /** From the request: images wanted, and steps of each. */
  images: number;
  steps: number;
}

/** What an attempt came to, as metered by its Miner object. */
export interface Metered {
  tokensIn: number | null;
  /** Of `tokensIn`, those the engine had in its cache. */
  cachedIn: number | null;
  tokensOut: number | null;
  /** Milliseconds from dispatch to the last byte handed on. */
  ms: number;
}
