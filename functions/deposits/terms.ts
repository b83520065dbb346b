/** Rao. Less is written down as dust and not credited: moving it would cost more. */
export const MINIMUM_RAO = 1_000_000n;
