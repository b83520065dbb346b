/**
 * What a judge and the edge tell each other, over plain HTTPS. Everything a score is made of passes here and is public:
 *
 *   GET  /audit/agents        who may be tested now                 POST /audit/challenges    ping this agent for me
 *   POST /audit/observations  what I saw                            POST /audit/scores        what I make of it
 *   GET  /audit/observations?epoch=&miner=&judge=&types=&after=     GET  /audit/scores?epoch=
 *
 * POSTs are hotkey-signed. An `epoch` is named by the Unix second it starts at, so a record says which one it means
 * whatever length a judge has configured.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod/mini';
import { cordSchema } from './chute.ts';

/** Bounds of the audit routes; both sides keep them. */
export const AUDIT_LIMITS = {
  /** Agents on one page of `GET /audit/agents`. */
  agentsPage: 200,
  /** Observations in one POST, or on one page of the public list. */
  observations: 256,
  /** Scores in one POST. A longer list is sent in parts. */
  scores: 256,
  /** Bytes of one POST body. */
  bodyBytes: 256 * 1024,
  /** Milliseconds after which an observation is not taken any more, so that a past epoch stands still. */
  lateMs: 600_000,
  /** Milliseconds a judge's clock may be ahead of the edge's. */
  aheadMs: 60_000,
  /** Seconds an epoch may have. */
  epochSeconds: 24 * 3600,
} as const;

/** All of it, and all of the miners' emission. */
export const FULL_SCORE = 1_000_000;
export const FULL_SHARE = 1_000_000_000_000;

const id = z.string().check(z.minLength(1), z.maxLength(64));
const hotkey = z.string().check(z.minLength(40), z.maxLength(60));
const count = z.number().check(z.int(), z.nonnegative());
const millis = z.number().check(z.int(), z.nonnegative(), z.lte(3_600_000));

const auditInstanceSchema = z.object({
  instance: id,
  chute: id,
  /** `owner/name`, the model's name on `/v1`. */
  name: z.string().check(z.maxLength(96)),
  version: z.string().check(z.maxLength(64)),
  template: z.enum(['openai', 'http']),
  /** The path whose GET says that the program can serve. */
  health: z.string().check(z.maxLength(256)),
  /** Empty: any route. */
  cords: z.array(cordSchema).check(z.maxLength(64)),
});
export type AuditInstance = z.infer<typeof auditInstanceSchema>;

const auditAgentSchema = z.object({
  agent: id,
  hotkey,
  instances: z.array(auditInstanceSchema).check(z.maxLength(256)),
});
export type AuditAgent = z.infer<typeof auditAgentSchema>;

export const agentsReplySchema = z.object({
  items: z.array(auditAgentSchema).check(z.maxLength(AUDIT_LIMITS.agentsPage)),
  next: z.nullable(id),
});

export const challengeAskSchema = z.strictObject({ type: z.literal('rtt'), agent: id, id });
export const challengeResultSchema = z.object({ id, rtt_ms: z.nullable(millis) });

/**
 * Why an observation came out as it did, and whose doing that is: the miner's merit, the miner's fault, or nobody's
 * (`void`: the edge, the judge's account or the network between; it never counts).
 */
export const REASONS = {
  answered: 'merit',
  /** The agent did not answer a ping. */
  silent: 'fault',
  /** No whole reply within the time of a canary. */
  too_slow: 'fault',
  /** The engine answered with a status that is no success. */
  bad_status: 'fault',
  /** The reply is not what the route must answer. */
  bad_shape: 'fault',
  /** It does not run the model that was deployed: it differs from instances of three other entities. */
  swapped: 'fault',
  /** A well-formed reply with nothing in it. */
  empty: 'fault',
  /** More bytes or tokens than were asked for. */
  too_much: 'fault',
  /** The stream stopped before its end was said. */
  cut_short: 'fault',
  /** The edge says that the instance or its miner failed. */
  broken: 'fault',
  /** Answering slowed the device's work down, and the work the answers: both are done by one device. */
  interferes: 'merit',
  /** Neither slowed the other down, two times of three: the answers are made elsewhere. */
  apart: 'fault',
  /** A load was put on the instance while its device worked; what it shows is told apart. */
  loaded: 'void',
  /** Seen apart once, and not yet two times of three. */
  unconfirmed: 'void',
  /** Too few answers, no proof under load, or too few proofs before it. */
  unmeasured: 'void',
  /** The instance was serving others or had just gone. */
  busy: 'void',
  /** The judge's key, credit or rate. */
  refused: 'void',
  /** The edge failed or was not reached. */
  edge_failed: 'void',
} as const satisfies Record<string, 'merit' | 'fault' | 'void'>;
export type Reason = keyof typeof REASONS;
export const REASON_NAMES = Object.keys(REASONS) as [Reason, ...Reason[]];

/** A canary that was asked of others too, question by question, until it was clear whether they run one model. */
const comparisonSchema = z.strictObject({
  /** `same`, `swapped` (three others said so), `unconfirmed` (they differ, and who is wrong is not known), `undecided`, or `silent`. */
  end: z.enum(['same', 'swapped', 'unconfirmed', 'undecided', 'silent']),
  /** Instance that it was compared with, tokens that were compared, and how many of them differed. */
  duels: z.array(z.strictObject({ instance: id, compared: count, differ: count })).check(z.maxLength(3)),
});
export type Comparison = z.infer<typeof comparisonSchema>;

/** Many answers at once, and when their tokens came. */
const loadSchema = z.strictObject({
  /** Unix milliseconds; tokens that came in each `step` milliseconds from then on. */
  from: count,
  step: count.check(z.positive()),
  tokens: z.array(count).check(z.maxLength(96)),
  /** Challenges that ran meanwhile: `pow.mm` of the agent's devices. */
  proofs: z.array(id).check(z.maxLength(16)),
});
export type Load = z.infer<typeof loadSchema>;

const paceSchema = z.strictObject({ tokens: count, ms: count });

/** What a load and a device's work did to each other; of several devices the one that it slowed most. */
const interferenceSchema = z.strictObject({
  end: z.enum(['together', 'apart', 'unmeasured']),
  /** Target of the challenge; null: nothing was measured. */
  device: z.nullable(z.string().check(z.maxLength(130))),
  /** 10⁶ multiply-adds per second: the middle of recent proofs, and under load. */
  idle: count,
  loaded: count,
  /** Of the load, before the device worked and while it did. */
  before: paceSchema,
  during: paceSchema,
});
export type Interference = z.infer<typeof interferenceSchema>;

/** `load` and `interfere`: the two steps of one trial, told under the round of the load. */
export const OBSERVATION_TYPES = ['rtt', 'canary', 'load', 'interfere'] as const;

const observationSchema = z.strictObject({
  /** `observationId` of the judge that posts it. */
  id,
  type: z.enum(OBSERVATION_TYPES),
  agent: id,
  hotkey,
  /** Null for `rtt`, which tests an agent. */
  instance: z.nullable(id),
  /** Unix seconds of the epoch's start. */
  epoch: count,
  /** Begin of the judge's slot, Unix seconds. */
  round: count,
  ok: z.boolean(),
  reason: z.enum(REASON_NAMES),
  /** `rtt`: milliseconds of the ping; `canary`: to the last byte; `load`: of all of it. Null where nothing was measured. */
  value_ms: z.nullable(millis),
  first_byte_ms: z.nullable(millis),
  tokens: z.nullable(count.check(z.lte(1_000_000))),
  /** `X-Request-Id` of a canary, so that a miner can look the call up. */
  call: z.nullable(id),
  /** Null for a ping, and for a canary that was asked of nobody else. */
  compared: z.nullable(z.union([comparisonSchema, loadSchema, interferenceSchema])),
  /** Unix milliseconds. */
  at: count,
});
export type Observation = z.infer<typeof observationSchema>;

/** As the edge gives it back: with the judge whose signature it came under. */
const storedObservationSchema = z.extend(z.object(observationSchema.shape), { judge: hotkey });
export type StoredObservation = z.infer<typeof storedObservationSchema>;

export const observationsPostSchema = z.strictObject({
  items: z.array(observationSchema).check(z.minLength(1), z.maxLength(AUDIT_LIMITS.observations)),
});
export const observationsReplySchema = z.object({
  items: z.array(storedObservationSchema).check(z.maxLength(AUDIT_LIMITS.observations)),
  next: z.nullable(id),
});

const part = z.number().check(z.int(), z.gte(0), z.lte(FULL_SCORE));
const share = z.number().check(z.int(), z.gte(0), z.lte(FULL_SHARE));

/** What a judge's weights follow from, as of one epoch and those before it in the window; how: `validator-cron/score`. */
const scoreSchema = z.strictObject({
  hotkey,
  epoch: count,
  /** The slot in which it was told; an older score never replaces a newer one. */
  round: count,
  /** Its share of the emission in millionths. */
  score: part,
  parts: z.strictObject({
    /** The same share to the last digit, of `FULL_SHARE`; and its parts before quality. */
    share,
    capacity: share,
    use: share,
    /** How well it serves, of `FULL_SCORE`, and what that is made of. */
    quality: part,
    tests: part,
    calls: part,
    latency: part,
    /** False: proven to have cheated within the window; the share is 0. */
    clean: z.boolean(),
  }),
});
export type Score = z.infer<typeof scoreSchema>;
export const scoresPostSchema = z.strictObject({
  items: z.array(scoreSchema).check(z.minLength(1), z.maxLength(AUDIT_LIMITS.scores)),
});

/**
 * The id of what one judge sees of one target in one round. A tick that runs twice makes the same ids, and no judge can
 * take another's, since the edge recomputes it from who signed.
 */
export function observationId(o: { judge: string; type: Observation['type']; round: number; target: string }): string {
  return `obs_${bytesToHex(sha256(utf8ToBytes([o.judge, o.type, o.round, o.target].join('\n')))).slice(0, 32)}`;
}
