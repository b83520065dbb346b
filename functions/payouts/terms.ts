/** What holds for every payout. */

/** Nano-USD: one dollar. */
export const MINIMUM_NANOUSD = 1_000_000_000n;

/** Nano-USD: ten million dollars, the most one entry of the ledger may be. */
export const MAXIMUM_NANOUSD = 10_000_000_000_000_000n;

/** What one run does at most. */
export const RUN = {
  /** Open payouts it looks at. */
  payouts: 500,
  /** Payouts it has signed. */
  signed: 20,
  /** Finalized blocks it reads. */
  blocks: 60,
  /** Blocks it asks for together. */
  together: 10,
} as const;
