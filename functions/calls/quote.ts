/** The most a call can cost, before anything is dispatched: integers, nano-USD. Prices are zero until they are charged. */
import type { ChuteConfig } from '#protocol';

/** Output tokens assumed when a call does not say how many it wants. */
export const DEFAULT_MAX_TOKENS = 4096;

export interface QuoteFacts {
  /** A token is at least one byte of the request, so bytes bound the input tokens. */
  requestBytes: number;
  maxTokens: number | null;
  timeoutSeconds: number;
}

/** Formula: per_request + ⌈bytes × input / 1e6⌉ + ⌈max_tokens × output / 1e6⌉ + seconds × per_second. */
export function quote(price: ChuteConfig['price'], facts: QuoteFacts): bigint {
  const output = BigInt(facts.maxTokens ?? DEFAULT_MAX_TOKENS);
  return (
    BigInt(price.per_request) +
    ceilDiv(BigInt(facts.requestBytes) * BigInt(price.input_per_million), 1_000_000n) +
    ceilDiv(output * BigInt(price.output_per_million), 1_000_000n) +
    BigInt(facts.timeoutSeconds) * BigInt(price.per_second)
  );
}

function ceilDiv(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}
