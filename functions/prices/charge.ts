/** What a settled attempt is charged: for what was delivered, and nothing for what failed. Pure. */
import type { Settlement } from '../calls/ports.ts';
import { costOf } from './cost.ts';
import type { QuoteFacts, Terms } from './terms.ts';

export type Charged = Pick<Settlement, 'outcome' | 'status' | 'bytes' | 'tokensIn' | 'cachedIn' | 'tokensOut' | 'lastByteMs'>;

/** Nano-USD. An error of the instance, or an end before anything came, costs nothing. */
export function chargeOf(terms: Terms, facts: Pick<QuoteFacts, 'images' | 'steps'>, attempt: Charged): bigint {
  const delivered = attempt.outcome === 'completed' || attempt.bytes > 0;
  if (!delivered || attempt.status === null || attempt.status >= 400) return 0n;
  const { tokensIn, cachedIn, tokensOut } = attempt;
  return costOf(terms, facts, { tokensIn, cachedIn, tokensOut, ms: attempt.lastByteMs ?? 0 });
}
