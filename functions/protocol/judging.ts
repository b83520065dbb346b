/**
 * What judges and edge say about challenges, over plain HTTPS. POSTs are hotkey-signed; what is read is public.
 *
 *   GET  /audit/targets?after=            what can be challenged       POST /audit/challenges    run what is due in this slot
 *   GET  /audit/transcripts?slot_from=&slot_to=&after=                 GET  /audit/transcripts/{id}[/opening]
 *   POST /audit/verdicts                  what I make of them          GET  /audit/verdicts?slot_from=&slot_to=&judge=&after=
 */
import * as z from 'zod/mini';
import { CHALLENGE_KINDS } from './challenge/suite.ts';
import { transcriptSchema } from './challenge/transcript.ts';
import { verdictSchema } from './challenge/verdict.ts';

/** Bounds of the routes; both sides keep them. */
export const JUDGING_LIMITS = {
  /** Challenges in one POST. */
  asks: 64,
  /** Verdicts in one POST. */
  verdicts: 256,
  /** Items of one page. */
  targetsPage: 500,
  transcriptsPage: 100,
  verdictsPage: 500,
} as const;

const id = z.string().check(z.minLength(1), z.maxLength(64));
const target = z.string().check(z.minLength(1), z.maxLength(130));
const hotkey = z.string().check(z.minLength(40), z.maxLength(60));
const count = z.number().check(z.int(), z.nonnegative());
const cursor = z.nullable(z.string().check(z.maxLength(200)));

const targetItemSchema = z.object({
  target,
  what: z.enum(['device', 'instance']),
  /** Unix seconds of the slot it was first seen in. */
  since: count,
  hotkey,
  agent: id,
  device: z.nullable(id),
  instance: z.nullable(id),
  /** What it can be asked for: an instance only for files whose manifest is known. */
  kinds: z.optional(z.array(z.enum(CHALLENGE_KINDS)).check(z.maxLength(CHALLENGE_KINDS.length))),
});
export type TargetItem = z.infer<typeof targetItemSchema>;
export const targetsReplySchema = z.object({
  items: z.array(targetItemSchema).check(z.maxLength(JUDGING_LIMITS.targetsPage)),
  next: cursor,
});

/** Body of `POST /audit/challenges`. */
export const challengesPostSchema = z.strictObject({
  /** Unix seconds. */
  slot: count,
  asks: z.array(z.strictObject({ kind: z.enum(CHALLENGE_KINDS), target })).check(z.minLength(1), z.maxLength(JUDGING_LIMITS.asks)),
});
export type ChallengesPost = z.infer<typeof challengesPostSchema>;

/** In the order of the asks. `why`: of a refusal, one word. */
export const challengesReplySchema = z.object({
  items: z.array(z.object({ id, state: z.enum(['started', 'running', 'ended', 'refused']), why: z.string().check(z.maxLength(64)) })),
});

/** A transcript of the feed; before it has ended only its head and its commit, which cannot be dated back from then on. */
const feedItemSchema = z.object({
  seq: count,
  id,
  kind: z.enum(CHALLENGE_KINDS),
  target,
  hotkey,
  slot: count,
  commit: z.optional(transcriptSchema.shape.commit),
  /** Null until it has ended. */
  transcript: z.nullable(transcriptSchema),
});
export type FeedItem = z.infer<typeof feedItemSchema>;
export const transcriptsReplySchema = z.object({
  items: z.array(feedItemSchema).check(z.maxLength(JUDGING_LIMITS.transcriptsPage)),
  next: cursor,
});

export const verdictsPostSchema = z.strictObject({
  items: z.array(verdictSchema).check(z.minLength(1), z.maxLength(JUDGING_LIMITS.verdicts)),
});
const storedVerdictSchema = z.extend(z.object(verdictSchema.shape), { judge: hotkey, slot: count, at: count });
export const verdictsReplySchema = z.object({
  items: z.array(storedVerdictSchema).check(z.maxLength(JUDGING_LIMITS.verdictsPage)),
  next: cursor,
});
