/** What holds for every deposit. */

/** Rao. Less is written down as dust and not credited: moving it would cost more. */
export const MINIMUM_RAO = 1_000_000n;

/** Milliseconds a rate may be old when a deposit is valued by it. */
export const RATE_MAX_AGE_MS = 15 * 60_000;

export const ASSET = 'TAO';
