/** Control messages from the edge to an agent: JSON text messages, one union. */
import * as z from 'zod/mini';
import { CHALLENGE_KINDS } from './challenge/suite.ts';
import { versionSpecSchema } from './chute.ts';
import { LIMITS } from './limits.ts';

const id = z.string().check(z.minLength(1), z.maxLength(64));
const count = z.number().check(z.int(), z.nonnegative());

/** Answer to `hello`. A session with a lower epoch of the same agent is closed. */
export const welcomeSchema = z.object({
  type: z.literal('welcome'),
  epoch: count,
  now: count,
  /** The newest agent there is, and until when (unix ms) the version of the protocol that this session speaks is served. */
  newest: z.optional(z.string().check(z.maxLength(32))),
  servedUntil: z.optional(count),
});
export type Welcome = z.infer<typeof welcomeSchema>;

/** Permission to start one instance. Silence until `deadlineMs` voids it; every `report` extends it. */
export const grantSchema = z.object({
  type: z.literal('grant'),
  ref: id,
  instance: id,
  deadlineMs: count,
  spec: versionSpecSchema,
  /** Its secrets (`secretsSchema`), sealed for this session's sealing key: base64url of the encapsulated key (32 bytes) and the ciphertext. */
  sealed: z.optional(z.string().check(z.maxLength(LIMITS.sealedChars))),
  /** Nano-USD that this instance earns by staying live for a minute. */
  bounty: z.optional(count),
});
export type Grant = z.infer<typeof grantSchema>;

export const refusalCodeSchema = z.enum([
  /** Enough instances are live or starting. */
  'no_need',
  /** Another agent got it first. */
  'taken',
  /** The version is not the current one any more. */
  'stale_version',
  /** This agent's last starts of this version failed; wait. */
  'cooling_down',
  /** The agent lacks what the chute needs (GPU, memory, runtime). */
  'not_eligible',
  /** The chute is gone. */
  'unknown_chute',
  /** This hotkey runs more of the chute's instances than another that asked lately, which goes first. From version 2; before, `taken`. */
  'others_first',
  /** Agents are let in little by little, and it is not this one's turn yet. From version 2; before, `taken`. */
  'not_yet',
  /** The chute's owner cannot pay for it. From version 2; before, `no_need`. */
  'unpaid',
]);
export type RefusalCode = z.infer<typeof refusalCodeSchema>;

export const refusalSchema = z.object({ type: z.literal('refusal'), ref: id, code: refusalCodeSchema, retryAfterMs: count });

/** Stop this instance: no new calls, finish what runs within `noticeMs`, then stop the program. */
export const stopSchema = z.object({
  type: z.literal('stop'),
  instance: id,
  reason: z.enum(['scaled_down', 'replaced', 'deleted', 'unknown_instance', 'start_timeout', 'gated']),
  noticeMs: count,
});
export type StopReason = z.infer<typeof stopSchema>['reason'];

/** Answer with `pong` at once; the edge takes the time (`rtt` challenge). */
export const pingSchema = z.object({ type: z.literal('ping'), id });

/** Prove something, as the seed of this round says: `commit` for work, an upload at once for files. */
export const challengeSchema = z.object({
  type: z.literal('challenge'),
  id,
  kind: z.enum(CHALLENGE_KINDS),
  /** Of the agent; null for `fs` and `weights`, which are of an instance. */
  device: z.nullable(id),
  instance: z.nullable(id),
  /** As the transcript will name it: the seed is made of it. */
  target: z.string().check(z.maxLength(130)),
  profile: z.string().check(z.maxLength(32)),
  steps: count,
  /** The pulse: its round, and its randomness in hex. */
  round: count,
  randomness: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** Milliseconds from now for the commit, or for the upload where there is none. */
  withinMs: count,
  /** Bearer of the upload, for `fs` and `weights`; else it comes with `sample`. */
  token: z.optional(z.string().check(z.maxLength(256))),
});
export type ChallengeAsk = z.infer<typeof challengeSchema>;

/** Open what was committed to at the samples that this pulse names: `PUT /challenges/{id}` with the token. */
export const sampleSchema = z.object({
  type: z.literal('sample'),
  id,
  round: count,
  randomness: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  token: z.string().check(z.maxLength(256)),
  withinMs: count,
});
export type SampleAsk = z.infer<typeof sampleSchema>;

/** Reconnect in `retryAfterMs`; streams are resumed there. */
export const goawaySchema = z.object({ type: z.literal('goaway'), retryAfterMs: count });

export const downSchema = z.discriminatedUnion('type', [
  welcomeSchema,
  grantSchema,
  refusalSchema,
  stopSchema,
  pingSchema,
  goawaySchema,
  challengeSchema,
  sampleSchema,
]);
export type Down = z.infer<typeof downSchema>;
