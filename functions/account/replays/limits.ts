/** Every bound of the answers kept for Idempotency-Keys, per account. Each names its unit and what it prevents. */
export const REPLAY_LIMITS = {
  /** Milliseconds an answer is kept after it came. */
  keepMs: 24 * 3_600_000,
  /** Bytes of an answer, status and headers among them, that are kept; a row of an object has at most 2 MB. */
  answerBytes: 1024 * 1024,
  /** Milliseconds a call runs on that nobody reads: long enough for a client to come back, not for ever on its money. */
  aloneMs: 120_000,
  /** Keyed calls and requests that may run at a time. */
  running: 64,
  /** Bytes of bodies and answers in memory above which nothing new is begun; an object has 128 MiB. */
  heldBytes: 32 * 1024 * 1024,
  /** Clients that may read answers at a time. */
  readers: 2_000,
  /** Answers kept, and their bytes; above that new keys are refused, since forgetting one early would run it again. */
  answers: 10_000,
  keptBytes: 256 * 1024 * 1024,
  /** Bytes that an answer too large to keep may be ahead of its fastest reader, and a reader behind its end. */
  aheadBytes: 256 * 1024,
  behindBytes: 1024 * 1024,
  /** Milliseconds a Worker has to answer a keyed request that is no call; then its outcome is unknown. */
  requestMs: 60_000,
  /** Milliseconds that answers past their time may lie on disk: they are swept together. */
  sweepMs: 10 * 60_000,
} as const;

export type ReplayLimits = { readonly [K in keyof typeof REPLAY_LIMITS]: number };
