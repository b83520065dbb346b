/** Every number of the strategy, with why. `docs/strategy.md` has the formulas they stand in. */
export const PARAMETERS = {
  /** Milliseconds an instance is expected to stay: a bounty and a start are spread over it. */
  stayMs: 3_600_000,
  /** Milliseconds from claim to live: with image and model on this machine; of the smallest and the largest model without. */
  warmStartMs: 15_000,
  coldStartMs: 30_000,
  largeStartMs: 100_000,
  /** GB of GPU memory of a model that counts as the largest. */
  largeGb: 80,
  /** Of a chute nobody has earned with yet: the share of its slots thought busy. Low, so that a known earner goes first. */
  priorBusy: 0.1,
  /** What one busy slot is thought to do in an hour: tokens in and out, calls, images, steps. */
  priorInput: 432_000,
  priorOutput: 108_000,
  priorCalls: 360,
  priorSteps: 7_200,
  /** Nano-USD a GPU-hour: a price that nobody has paid yet draws no machine by more than this. */
  priorMax: 500_000_000,
  /** Share of its watts that a GPU draws anyway. */
  idlePower: 0.2,
  /** Watts of a GPU whose driver does not say. */
  watts: 300,
  /** Milliseconds without a call after which an instance is thought to earn half. */
  fadeMs: 300_000,
  /** An instance is given up for what earns this many times as much … */
  better: 1.5,
  /** … and has stood on the board for so many milliseconds: nobody with a free device wants it. */
  stoodMs: 60_000,
  /** Milliseconds without a call, or live with no call right now, after which an instance may be given up. */
  idleMs: 60_000,
  liveMs: 1_800_000,
  /** Instances given up per device and day. */
  switches: 2,
  dayMs: 86_400_000,
  /** Milliseconds a chute that was given up is left to others. */
  givenUpMs: 600_000,
  /** An instance is given up in haste for a chute that nothing serves, of this urgency: calls wait for it. */
  hasteUrgency: 300,
  /** That is: where it starts so many milliseconds sooner than where the model is not, or anywhere once it stood for so long. */
  hasteGainMs: 30_000,
  hasteLongMs: 20_000,
  /** Milliseconds without a call that are enough then, and those that it must have stood, the fewer the longer it was quiet. */
  hasteIdleMs: 15_000,
  hasteMs: 6_000,
  /** The factor then: its calls come at once, those of the quiet one perhaps. */
  hasteBetter: 0.67,
  /** Who would start slower waits this share of what it would be slower by. More is waited in vain where nobody has the model. */
  slowShare: 0.12,
  /** Milliseconds that those wait at most whose GPU is larger than needed: more than the time between two looks. */
  largerMs: 2_500,
  /** And those that run the chute already: what has several owners survives one of them. */
  sameMs: 10_000,
  /** Milliseconds without any instance after which nobody waits for others any more. */
  courtesyMs: 7_200_000,
  /** Milliseconds over which agents that saw the same offer spread their claims; an urgent one waits a quarter. */
  spreadMs: 200,
} as const;
