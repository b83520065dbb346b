/** How much of a key's rate is left, as every reply under the key says it (draft-ietf-httpapi-ratelimit-headers-10). Pure. */
import type { RateState } from './ports.ts';

export function rateHeaders(rate: RateState | undefined): [string, string][] {
  if (rate === undefined || rate.limit < 1) return [];
  return [
    ['ratelimit-policy', `"key";q=${Math.floor(rate.limit)};w=${Math.max(1, seconds(rate.windowMs))}`],
    ['ratelimit', `"key";r=${Math.max(0, Math.floor(rate.remaining))};t=${seconds(rate.resetMs)}`],
  ];
}

function seconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1000));
}
