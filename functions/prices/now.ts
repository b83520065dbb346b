/** Which of a chute's prices are in force. Pure. */
import type { TermsFrom } from '../calls/ports.ts';
import type { Terms } from './terms.ts';

/** Everything free: what a chute without a price asks. */
export const FREE: Terms = {
  version: 'free',
  price: {
    input_per_million: 0,
    output_per_million: 0,
    per_second: 0,
    per_request: 0,
    per_image: 0,
    per_step: 0,
    per_instance_second: 0,
  },
  discountBps: 0,
  feeBps: 0,
};

/** The latest that started; the list is in order of start. */
export function termsAt(history: readonly TermsFrom[], now: number): Terms {
  return history.findLast(({ startsAt }) => startsAt <= now)?.terms ?? FREE;
}
