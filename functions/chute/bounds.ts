/** Every bound and delay of a Chute object; each says what it prevents. Tests may pass their own. */
export const BOUNDS = {
  /** Versions kept to roll back to. */
  versions: 20,
  /** Milliseconds a grant may stay without any report before it is void. */
  grantMs: 30_000,
  /** Milliseconds from grant to the first `live`, whatever progress is told. */
  startMaxMs: 7_200_000,
  /** Milliseconds after a socket is gone that its instances still count as running, so that a short cut brings no new starts. */
  resumeMs: 10_000,
  /** Milliseconds after a socket is gone that its instances are still known; later reports of them are answered with stop. */
  graceMs: 90_000,
  /** Milliseconds added to the notice of a drain before the row is dropped whatever the agent says. */
  drainSlackMs: 30_000,
  /** An instance that fails within this many milliseconds of being live counts as a failed start. */
  earlyFailureMs: 60_000,
  /** Failed starts of a version by one agent that make a crash loop. */
  crashLoop: 3,
  /** Milliseconds an agent waits after a failed start, doubled per failure up to `coolMaxMs`. */
  coolMs: 5_000,
  coolMaxMs: 1_800_000,
  /** Failure records kept per chute. */
  strikes: 256,
  /** Milliseconds that a warm-up request holds one instance at most. */
  warmMaxMs: 3_600_000,
  /** Milliseconds that callers wait for a cold chute until its bounty is whole. */
  bountyMs: 300_000,
  /** Milliseconds in which bounties come to no more than a whole one: who calls or warms the chute may be who starts it. */
  bountyEachMs: 3_600_000,
  /** Milliseconds a call that was sent away counts as waiting: it was told to come again within them. */
  sentAwayMs: 10_000,
  /** Milliseconds a claim waits until the owner's account holds its bounty; after that the grant goes out without a word of it. */
  bountyWaitMs: 3_000,
  /** Agents counted of the crowd that comes at a need, and milliseconds until half of it is forgotten. */
  askers: 10_000,
  crowdHalfMs: 600_000,
  /** Hotkeys known to be willing, milliseconds since they asked, and for how long a hotkey that has all lets them go first. */
  willing: 64,
  willingMs: 600_000,
  othersFirstMs: 15_000,
  /** Milliseconds over which load is smoothed before it alone asks for one more instance. */
  smoothMs: 30_000,
  /** Share of all slots that may be busy for long before one more instance is wanted. */
  target: 0.8,
  /** Milliseconds an unmet need of a chute with nothing running gives a call hope enough to wait. */
  hopeMs: 60_000,
  /** Waiting calls per slot the chute may have, and the floor and ceiling of the queue. */
  queuePerSlot: 16,
  queueMin: 64,
  queueMax: 1024,
  /** Milliseconds an answer of the queue is kept for a Worker that has not asked yet; the Miner keeps the slot as long. */
  outcomeMs: 5_000,
  /** Milliseconds between two looks at the free slots while calls wait: mends a wake-up that a dying object swallowed. */
  rewatchMs: 5_000,
  /** Milliseconds before a failed watch or unwatch is tried again, and unwatches tried in a row. */
  relinkMs: 1_000,
  unlinkTries: 8,
  /** Milliseconds after which an unanswered watch or post counts as failed. */
  linkMs: 10_000,
  /** Tries to have a Miner stop an instance; after that its next report does it. */
  stopTries: 6,
  /** Milliseconds between two posts of a need whose urgency grows. */
  postMs: 5_000,
  /** Milliseconds an instance of a private chute is paid for at a time, where it is paid by time. */
  rentMs: 60_000,
  /** Most milliseconds between two tries to have a period held or settled. */
  rentAgainMaxMs: 60_000,
  /** Milliseconds until an account that could not pay is asked again, doubled per refusal up to `unpaidMaxMs`. */
  unpaidMs: 15_000,
  unpaidMaxMs: 600_000,
  /** Log bytes and chunks kept per instance, bytes of one chunk, instances whose logs are kept, streams that follow. */
  logBytes: 256 * 1024,
  logChunks: 512,
  logChunkBytes: 64 * 1024,
  logInstances: 16,
  followers: 16,
  /** Bytes a follower may lag before it is cut. */
  followBytes: 1024 * 1024,
} as const;
