/** Every bound of one account. Each names its unit and what it prevents. */
export const ACCOUNT_LIMITS = {
  /** Calls a second one key may open in the long run, and at once; a runaway client must not eat the object's time. */
  keyRate: 2_000,
  keyBurst: 20_000,
  /** Calls of the account that may be open at a time; bounds what is held and inquired after. */
  openCalls: 2_000,
  /** Keys of one account. */
  keys: 100,
  /** Attempts kept of one call; the conductor makes at most three. */
  attempts: 16,
  /** Agents one call may name; each is asked at the deadline. */
  agents: 16,
  /** Nonces kept at a time: signed requests of one hotkey in two minutes. */
  nonces: 10_000,
  /** Closed calls that may wait for Postgres before new calls are refused; bounds memory while it is down. */
  outbox: 20_000,
  /** Calls of one statement, and how many make it leave at once. */
  batch: 500,
  batchNow: 100,
  /** Milliseconds a closed call waits for company. */
  flushMs: 1_000,
  /** Milliseconds after which a flush that told nothing is tried again. */
  flushLostMs: 30_000,
  /** Milliseconds between tries while Postgres is down: doubled from the first to the second. */
  backOffMs: 1_000,
  backOffMaxMs: 60_000,
  /** Calls that Postgres refuses for what they hold; the oldest go first. */
  poison: 1_000,
  /** Milliseconds after a call's deadline before its agents are asked: their settlements are usually on the way. */
  graceMs: 10_000,
  /** Milliseconds between two inquiries of one call. */
  inquireMs: 15_000,
  /** Inquiries sent by one alarm. */
  inquiries: 200,
  /** Milliseconds an agent may be unable to answer before it is fenced: its later word is refused. */
  fenceMs: 15 * 60_000,
  /** Milliseconds an agent may answer `running` after the deadline before it is fenced too. */
  runningMs: 60 * 60_000,
  /** Closed calls kept for GET /calls/{id}: milliseconds, and at most this many. */
  keepMs: 24 * 3_600_000,
  keepCalls: 10_000,
  /** Nano-USD a lease has at least where the balance allows, and minutes of the busiest minute that it should last. */
  leaseNanousd: 1_000_000_000,
  leaseMinutes: 10,
  /** Milliseconds without a call after which unused credit goes back. */
  idleMs: 10 * 60_000,
  /** Milliseconds after which a move of the lease that told nothing is sent again; longer than a statement may take. */
  moveLostMs: 20_000,
  /** Milliseconds between tries while Postgres is down: doubled from the first to the second. */
  moveBackOffMs: 500,
  moveBackOffMaxMs: 30_000,
  /** Milliseconds for which "there is no more" is believed: a client without money must not keep Postgres busy. */
  poorMs: 1_000,
  /** Milliseconds without background refills after one that did not bring all. */
  refillPauseMs: 10_000,
  /** Calls that wait for credit at a time, and milliseconds each waits. */
  parked: 1_000,
  parkMs: 5_000,
  /** Milliseconds after its period in which a rent is settled: a chute's object may be away for long and still settle. */
  rentGraceMs: 24 * 3_600_000,
  /** Alerts kept for GET /accounts/me/alerts. */
  alerts: 100,
  /** Deliveries of one alert, milliseconds to the second (eight times as long to each next), and until one is lost. */
  webhookTries: 5,
  webhookRetryMs: 30_000,
  webhookLostMs: 60_000,
  /** Prices of its own that an account may have. */
  overrides: 200,
} as const;

export type AccountLimits = { readonly [K in keyof typeof ACCOUNT_LIMITS]: number };
