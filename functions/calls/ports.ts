/**
 * What the conductor of a call and the objects ask of each other. The Worker reaches objects by RPC, the simulator by a
 * hostile in-memory network; both sides of every port are the production code.
 *
 * Additive changes only, two forms readable: a Worker and an object of different deploys talk to each other.
 */
import type { Metered, QuoteFacts, Terms } from '../prices/terms.ts';
import type { ChuteConfig, Inventory, InstanceReport, LogLine, Manifest, Price, Receipt, RefusalCode, VersionSpec } from '#protocol';
import type { ChallengeKind } from '../protocol/challenge/suite.ts';

/** A UUIDv7 made at the first hop; `X-Request-Id` of every reply. */
export type CallId = string;

// ── Account ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a key may do. `invoke` calls chutes, `read` sees the account's things, `write` changes them, `keys` makes keys. */
export type Scope = 'invoke' | 'read' | 'write' | 'keys';

/** A key as presented: its form and MAC are checked, nothing else. */
export interface KeyClaim {
  account: string;
  key: string;
  /** HMAC of the secret part; compared in constant time with the row. */
  proof: string;
}

export interface OpenAsk {
  call: CallId;
  claim: KeyClaim;
  /** Null when the name resolved to nothing: authenticates, then refuses. */
  chute: { id: string; owner: string; public: boolean; /** Its owner lets this account call it. */ shared?: boolean } | null;
  version: string;
  /** What the chute asks now; the Account applies its own prices to it. */
  terms: Terms;
  facts: QuoteFacts;
  /** The reply can be ended early with a finish reason: then a block of it may be held, and more as it comes. */
  extensible: boolean;
  /** Agents that may get an attempt; the Account asks each of them at the deadline. */
  agents: string[];
  /** Milliseconds from now. */
  deadlineMs: number;
  /** This Worker asked before and got no answer: the call may be open already. */
  again?: boolean;
  /** The Worker opens many calls at this moment: the hold may wait for others, to be written with them. */
  crowd?: boolean;
}

export type OpenRefusal =
  | 'invalid_api_key'
  | 'key_expired'
  | 'insufficient_scope'
  | 'not_found'
  | 'rate_limited'
  | 'duplicate_call'
  | 'too_many_calls'
  | 'insufficient_credit'
  | 'key_cap_reached'
  | 'unavailable';

/** How much of the key's rate is left; the `RateLimit` headers. */
export interface RateState {
  /** Calls a full bucket holds, and milliseconds an empty one takes to fill. */
  limit: number;
  windowMs: number;
  remaining: number;
  /** Milliseconds until it is full again. */
  resetMs: number;
}

export interface Opened {
  ok: true;
  /** With the account's own prices: what the call is charged by. */
  terms: Terms;
  /** Nano-USD held. */
  hold: bigint;
  /** Output tokens the hold pays for; null: all that may come. */
  allowance: number | null;
  rate: RateState;
}

export interface OpenRefused {
  ok: false;
  code: OpenRefusal;
  retryAfterMs?: number;
  /** Nano-USD: what the call needs and what there is, of the account or of the key's cap. */
  required?: bigint;
  available?: bigint;
  /** Unix milliseconds when the cap starts anew. */
  resetAt?: number;
  rate?: RateState;
}

export type OpenAnswer = Opened | OpenRefused;

/** More of a running call may be paid for, or not. `allowance`: output tokens the hold pays for now. */
export type ExtendAnswer = { ok: true; allowance: number | null } | { ok: false };

/** A period of an instance of a private chute: opened before it starts, settled after it. */
export interface RentAsk {
  /** UUID made of instance and start, so that a repeat is the same. */
  call: CallId;
  chute: string;
  version: string;
  instance: string;
  terms: Terms;
  /** Milliseconds of the period. */
  ms: number;
  /** Not a period: one sum, `per_request` of the terms, whatever prices the account has of its own. */
  bounty?: true;
}

/** What one attempt came to; made by the Miner object, captured by the Account, exactly once per `call/k`. */
export interface Settlement {
  call: CallId;
  /** From 0. */
  attempt: number;
  account: string;
  key: string;
  chute: string;
  version: string;
  instance: string;
  agent: string;
  hotkey: string;
  outcome: 'completed' | 'cancelled' | 'failed';
  /** Why it did not complete; an error code of `errors.ts`, or empty. */
  code: string;
  /** No other attempt of this call follows: bytes reached the client, or the call ended here. */
  final: boolean;
  /** Of the instance's reply; null: none came. */
  status: number | null;
  /** Reply bytes handed on to the client. */
  bytes: number;
  /** Tokens, bounded by what was handed on; null where the reply has none. */
  tokensIn: Metered['tokensIn'];
  cachedIn: Metered['cachedIn'];
  tokensOut: Metered['tokensOut'];
  /** Milliseconds the call had waited when it was dispatched, and whether its instance came to life meanwhile. */
  waitedMs: number;
  cold: boolean;
  region: string;
  /** Unix milliseconds of dispatch, then milliseconds to the first and last byte handed on. */
  startedAt: number;
  firstByteMs: number | null;
  lastByteMs: number | null;
  receipt: Receipt | null;
}

/** What a Miner object knows of a call. `never` leaves a tombstone: a later dispatch of the call is refused. */
export type InquiryAnswer = { kind: 'settled'; settlements: Settlement[] } | { kind: 'running' } | { kind: 'never' };

export interface AccountPort {
  open(ask: OpenAsk): Promise<OpenAnswer>;
  /** The conductor's word that attempts 0..attempts-1 are all there will be; a hint that frees the hold early. */
  close(call: CallId, attempts: number, code: string): Promise<void>;
  /** Before an attempt goes to an agent that `open` did not name; false: too late or too many. */
  widen(call: CallId, agents: string[]): Promise<boolean>;
  /** Idempotent per attempt. Returns the attempts (`call/k`) that are durably taken over. */
  settle(settlements: Settlement[]): Promise<string[]>;
  /** Holds more of a running call, up to this many output tokens. */
  extend(call: CallId, tokens: number): Promise<ExtendAnswer>;
  /** Holds the rent of a period; false: the account cannot pay it. Throws while that cannot be said. */
  rent(ask: RentAsk): Promise<boolean>;
}

// ── Chute ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface SnapshotInstance {
  instance: string;
  agent: string;
  hotkey: string;
  version: string;
  slots: number;
  /** Calls running, as last told. */
  busy: number;
  region: string;
  state: 'live' | 'draining';
  /** False: verdicts keep paid traffic away. */
  open: boolean;
  /** Unix milliseconds since it is live; a newcomer gets an exploration share. */
  liveSince: number;
}

/** Terms from this time on (unix ms), until the next ones start. */
export interface TermsFrom {
  startsAt: number;
  terms: Terms;
}

export interface Snapshot {
  chute: string;
  /** `owner/name`. */
  name: string;
  slug: string;
  owner: string;
  public: boolean;
  /** Accounts that the owner of a private chute lets call it. */
  shared?: string[];
  version: string;
  /** Of the code folder of this version, where it has one. */
  manifest?: Manifest;
  config: ChuteConfig;
  /** What it costs now and next, by start; never empty. */
  terms: TermsFrom[];
  instances: SnapshotInstance[];
  /** Unix milliseconds at the Chute object. */
  at: number;
}

export interface Ticket {
  call: CallId;
  account: string;
  /** Unix milliseconds when the call first asked; kept when it has to ask again. */
  since: number;
  /** Instances that already had an attempt; another one of the same agent, as after its restart, may have the next. */
  tried: string[];
  deadlineMs: number;
}

export type QueueAnswer =
  | ({ kind: 'admitted' } & Place)
  | { kind: 'refused'; code: 'no_capacity' | 'queue_full'; retryAfterMs: number }
  | StartFailing
  | { kind: 'refused'; code: 'not_found' };

/** Every start of the chute's program fails; `error`: what it said last, for the chute's owner alone. */
export interface StartFailing {
  kind: 'refused';
  code: 'start_failing';
  retryAfterMs: number;
  error: string;
}

/** Where a waiting call stands: from 1, and a guess at the milliseconds it still has to wait; null: nothing ever served it. */
export interface Place {
  position: number;
  etaMs: number | null;
}

/** A slot that the Miner object keeps for this call for a few seconds. */
export type WaitAnswer =
  | { kind: 'slot'; instance: SnapshotInstance }
  | { kind: 'refused'; code: 'no_capacity' | 'queue_timeout'; retryAfterMs: number }
  | StartFailing
  | { kind: 'refused'; code: 'not_found' };

/** An agent as its Miner object vouches for it. */
export interface AgentFacts {
  agent: string;
  hotkey: string;
  inventory: Inventory;
  /** Of its newest login, hex: what secrets are sealed for. Absent in rows of an older deploy. */
  sealKey?: string;
}

export type ClaimAnswer =
  | {
      kind: 'grant';
      instance: string;
      deadlineMs: number;
      spec: VersionSpec;
      /** Secrets, for this agent only. */ sealed?: string;
      /** Nano-USD. */ bounty?: number;
    }
  | { kind: 'refusal'; code: RefusalCode; retryAfterMs: number };

export interface Load {
  instance: string;
  busy: number;
  /** Nano-USD that calls of it cost since it was last told; the offer's guess at what an instance earns is made of it. */
  earned?: number;
}

/** What a Chute tells a Miner about an instance that it was told of. */
export type ReportAnswer = { known: true; slots: number; watched: boolean } | { known: false };

export interface ChutePort {
  snapshot(): Promise<Snapshot | null>;
  /** Joins the queue, or says at once that there is no hope. */
  enqueue(ticket: Ticket): Promise<QueueAnswer>;
  /** Resolves when a slot is reserved for the call. */
  wait(call: CallId): Promise<WaitAnswer>;
  /** The client left. */
  leave(call: CallId): Promise<void>;
  /** Where the call stands now; null: it does not wait here. */
  place(call: CallId): Promise<Place | null>;

  claim(agent: AgentFacts, version: string): Promise<ClaimAnswer>;
  /** State of one instance; `busy` is what the Miner object counts. */
  report(agent: AgentFacts, report: InstanceReport, busy: number): Promise<ReportAnswer>;
  /** Load, told at most once a second per instance unless the Chute watches it. */
  load(agent: string, loads: Load[]): Promise<void>;
  /** A slot of a watched instance is free and kept. Names the call that gets it; null gives it back. */
  freed(agent: string, instance: string): Promise<CallId | null>;
  /** The agent's socket is gone beyond resuming, or it drained: its instances are not live any more. */
  gone(agent: string): Promise<void>;
  log(agent: string, instance: string, seq: number, lines: LogLine[]): Promise<void>;
}

// ── Miner ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface RelayAsk {
  call: CallId;
  attempt: number;
  account: string;
  key: string;
  chute: string;
  version: string;
  instance: string;
  method: string;
  /** Path and query, as the engine gets it. */
  path: string;
  headers: [string, string][];
  /** Milliseconds from now. */
  deadlineMs: number;
  /** How the reply is checked and metered: `openai` events must be JSON objects or `[DONE]`. */
  template: 'openai' | 'http';
  /** For the cost in the last usage of the reply. */
  terms: Terms;
  facts: Pick<QuoteFacts, 'images' | 'steps'>;
  /** Of the request as the caller sent it: what its input tokens are bounded by. Absent: of the body that comes. */
  requestBytes?: number;
  /** Nano-USD held, as a decimal text: no cost that is told is above it. */
  hold?: string;
  /** For the events that the edge adds to a stream of tokens. */
  stream?: StreamAsk;
  /** Output tokens the hold pays for; before more come, more is held by `extend`. Null: all that may come. */
  allowance: number | null;
  /** Milliseconds the call waited so far, and whether its instance came to life meanwhile. */
  waitedMs: number;
  cold: boolean;
}

/** What the client of a stream of tokens asked for. */
export interface StreamAsk {
  /** Of its chunks. */
  object: 'chat.completion.chunk' | 'text_completion';
  model: string;
  /** Answers side by side. */
  choices: number;
  /** `stream_options.include_usage`. Where it is false the edge asks the engine for it, and keeps the answer to itself. */
  usage: boolean;
  /** It has `stream_options`. */
  options?: boolean;
  /** Tokens of its prompt, counted low: charged where the stream ended before its engine told them. */
  prompt?: number;
}

/** Bytes as they come; `ReadableStreamDefaultReader` fits. A failed `read` means: ask `attach` why. */
export interface ByteSource {
  read(): Promise<{ done: false; value: Uint8Array } | { done: true; value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

/** `WritableStreamDefaultWriter` fits. A failed `write` means: the client left. */
export interface ByteSink {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
}

export interface RelayHead {
  status: number;
  headers: [string, string][];
}

/** What a complete reply will be settled as; a reply that streams is not known yet. */
export type RelayMeter = Pick<Settlement, 'status' | 'bytes' | 'tokensIn' | 'cachedIn' | 'tokensOut' | 'lastByteMs'>;

/** Why the Miner object did not take the call. None of these is an attempt. */
export type RelayRefusal = 'busy' | 'stale' | 'gated' | 'offline' | 'late';

export type RelayAnswer =
  | ({ kind: 'reply'; body: Uint8Array | ByteSource; meter?: RelayMeter } & RelayHead)
  | { kind: 'refused'; code: RelayRefusal; busy: number }
  /** `handed`: the engine may have seen the body. */
  | { kind: 'failed'; code: string; handed: boolean };

/** A challenge that a judge asked for, as the Worker hands it to the agent's Miner object. */
export interface ChallengeOrder {
  id: string;
  kind: ChallengeKind;
  target: string;
  /** Unix seconds. */
  slot: number;
  /** The schedule has it; else it counts against what judges may ask out of turn. */
  scheduled: boolean;
  judge: string;
}

/** `why` of a refusal: `offline`, `no_target`, `busy`, `budget`, `unavailable`. */
export interface ChallengeTold {
  id: string;
  state: 'started' | 'running' | 'ended' | 'refused';
  why: string;
}

export interface MinerPort {
  /** Dispatches one attempt. A `Uint8Array` body can be sent again by the conductor, a stream cannot. */
  relay(ask: RelayAsk, body: Uint8Array | ReadableStream<Uint8Array> | null, signal?: AbortSignal): Promise<RelayAnswer>;
  /** Goes on with the reply of a running attempt from this client offset, after the stream broke. */
  attach(call: CallId, attempt: number, offset: number, signal?: AbortSignal): Promise<RelayAnswer>;
  inquire(call: CallId): Promise<InquiryAnswer>;
  /** Keeps a slot for a few seconds where `relay` would find one now: before a body that can be sent only once is touched. */
  keep(instance: string, version: string, call: CallId): Promise<boolean>;
  /**
   * The Chute has waiting calls: tells the free slots of these instances now, and from then on offers every freed one by
   * `freed` before anyone else can take it.
   */
  watch(chute: string, instances: string[]): Promise<{ instance: string; free: number }[]>;
  unwatch(chute: string): Promise<void>;
  /** Keeps a free slot for this call for a few seconds; false if there is none. */
  reserve(instance: string, call: CallId): Promise<boolean>;
  /** The call that a slot is kept for went away: the slot is free again, and offered like any freed one. */
  release(instance: string, call: CallId): Promise<void>;
  /** Has the agent stop an instance. */
  stop(instance: string, reason: string, noticeMs: number): Promise<void>;
  /** The agent as this object knows it, with what it runs; null for one that never said hello. */
  facts(): Promise<(AgentFacts & { connected: boolean; instances: { instance: string }[] }) | null>;
  /** Milliseconds of one ping to the agent, or null if it is not connected. */
  ping(): Promise<number | null>;
}

// ── Market ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One line of the public board: a chute that wants more instances. */
export interface Offer {
  chute: string;
  name: string;
  version: string;
  /** No instance serves. */
  cold?: boolean;
  /** Nano-USD that one live instance of it earned for its miner per hour lately; null: nobody knows yet. */
  earning_nanousd_hour?: number | null;
  /** Agents that asked at its last need: `waveMs` lets them in little by little. */
  crowd?: number;
  /** Of one instance: calls at a time, MiB of RAM, GB of disk, where the config says. */
  concurrency?: number;
  memory_mb?: number | null;
  disk_gb?: number | null;
  /** Instances wanted beyond those live or starting. */
  need: number;
  /** 0 to 1000; grows while a cold chute waits. */
  urgency: number;
  bounty_nanousd: number;
  price: Price;
  gpu: ChuteConfig['gpu'] | null;
  runtime: 'image' | 'command';
  image: string | null;
  /** SHA-256 of the code folder, for a miner's allow-list. */
  code: string | null;
  owner: string;
  /** Unix milliseconds since it is on the board; eligibility widens with age. */
  since: number;
}

/** A public chute, for `/v1/models` and the list of chutes. */
export interface Listing {
  chute: string;
  name: string;
  slug: string;
  tagline: string;
  template: ChuteConfig['template'];
  created: number;
  /** What it asks now. */
  terms?: Terms;
}

export interface MarketDoc {
  items: Offer[];
  version: number;
  at: number;
}
