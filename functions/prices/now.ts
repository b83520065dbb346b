/** Which of a chute's prices are in force. Pure. */
import { NO_PRICE } from '#protocol';
import type { TermsFrom } from '../calls/ports.ts';
import type { Terms } from './terms.ts';

/** Everything free: what a chute without a price asks. */
export const FREE: Terms = {
  version: 'free',
  price: NO_PRICE,
  discountBps: 0,
  feeBps: 0,
};

/** The latest that started; the list is in order of start. */
export function termsAt(history: readonly TermsFrom[], now: number): Terms {
  return history.findLast(({ startsAt }) => startsAt <= now)?.terms ?? FREE;
}
