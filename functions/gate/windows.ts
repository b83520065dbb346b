/** How long a signed request is good, in milliseconds. */

/** A signed request's time may differ from the edge's clock by this. */
export const SIGNATURE_WINDOW_MS = 30_000;

/** A nonce is kept this long: more than twice the window, so that it outlives every request it could come with. */
export const SIGNATURE_NONCE_MS = 120_000;
