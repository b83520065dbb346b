/** What holds for every rate. */

export const ASSET = 'TAO';

/** Milliseconds a rate may be old when a deposit is valued by it, or the amount of a payout fixed. */
export const RATE_MAX_AGE_MS = 15 * 60_000;
