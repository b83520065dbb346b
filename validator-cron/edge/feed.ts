/** Challenges, transcripts, verdicts and epochs as the edge shows and takes them. */
import * as z from 'zod/mini';
import { transcriptSchema, CHALLENGE_LIMITS, type Transcript, type Verdict } from '#protocol/challenge/index.ts';
import { EPOCH_LIMITS, summarySchema, type CommitEpoch, type Posted, type Summary } from '#protocol/epoch.ts';
import {
  challengesReplySchema,
  JUDGING_LIMITS,
  targetsReplySchema,
  transcriptsReplySchema,
  verdictsReplySchema,
  type ChallengesPost,
  type FeedItem,
  type TargetItem,
} from '#protocol/judging.ts';
import { allPages, parts } from './pages.ts';
import { EdgeError, jsonOrNull, type Requests } from './request.ts';

/** Pages of one list that are read in a tick. */
const PAGES = 100;

const count = z.number().check(z.int(), z.nonnegative());
const epochItemSchema = z.object({
  epoch: count,
  state: z.enum(['open', 'published', 'posted']),
  hash: z.nullable(z.string()),
  weights_block: z.nullable(count),
});
export type EpochItem = z.infer<typeof epochItemSchema>;
const epochsSchema = z.object({ items: z.array(epochItemSchema).check(z.maxLength(EPOCH_LIMITS.page)) });
const judgementSchema = z.object({
  judge: z.string(),
  weights: z.object({ uids: z.array(count), values: z.array(count) }),
  extrinsic: z.nullable(z.string()),
  block: z.nullable(count),
  reveal_round: z.nullable(count),
});
export type Judgement = z.infer<typeof judgementSchema>;
const epochSchema = z.object({ epoch: count, seconds: count, judges: z.array(judgementSchema).check(z.maxLength(EPOCH_LIMITS.judges)) });

/** From this one to before that one, by their first seconds. */
export interface Slots {
  from: number;
  to: number;
}

export interface Feed {
  targets(): Promise<TargetItem[]>;
  /** States in the order of the asks. */
  ask(slot: number, asks: ChallengesPost['asks']): Promise<string[]>;
  /** Challenges of these slots, in the order in which they ended. */
  transcripts(slots: Slots): Promise<FeedItem[]>;
  transcript(id: string): Promise<Transcript>;
  opening(id: string): Promise<Uint8Array>;
  /** This judge's, of these slots; of one miner, or all. */
  verdicts(slots: Slots, hotkey?: string): Promise<Verdict[]>;
  postVerdicts(items: readonly Verdict[]): Promise<void>;
  /** Newest first. */
  epochs(): Promise<EpochItem[]>;
  /** What this judge has committed to; null: nothing. */
  judgement(epoch: number): Promise<Judgement | null>;
  evidence(epoch: number): Promise<Uint8Array>;
  /** This judge's. */
  summary(epoch: number): Promise<Summary>;
  putFile(epoch: number, file: 'findings' | 'summary', text: string): Promise<void>;
  commit(commit: CommitEpoch): Promise<void>;
  posted(posted: Posted): Promise<void>;
}

export function makeFeed(judge: string, { read, file, write }: Requests): Feed {
  const taken = z.object({});
  const from = (after: string | null, mark: string) => (after === null ? '' : `${mark}after=${encodeURIComponent(after)}`);
  const inSlots = (slots: Slots) => `slot_from=${slots.from}&slot_to=${slots.to}`;
  return {
    targets: () => allPages<TargetItem, string>(PAGES, (after) => read(`/audit/targets${from(after, '?')}`, targetsReplySchema)),
    ask: async (slot, asks) => {
      const states: string[] = [];
      for (const part of parts(asks, JUDGING_LIMITS.asks)) {
        const { items } = await write('POST', '/audit/challenges', challengesReplySchema, { slot, asks: part });
        states.push(...items.map(({ state, why }) => (why === '' ? state : `${state} ${why}`)));
      }
      return states;
    },
    transcripts: (slots) =>
      allPages<FeedItem, string>(PAGES, (after) => read(`/audit/transcripts?${inSlots(slots)}${from(after, '&')}`, transcriptsReplySchema)),
    transcript: async (id) => {
      const transcript = await read(`/audit/transcripts/${id}`, transcriptSchema);
      if (transcript.id !== id) throw new EdgeError(`/audit/transcripts/${id}`, 0);
      return transcript;
    },
    opening: (id) => file(`/audit/transcripts/${id}/opening`, CHALLENGE_LIMITS.openingBytes),
    verdicts: async (slots, hotkey) => {
      const only = hotkey === undefined ? '' : `&hotkey=${hotkey}`;
      const stored = await allPages(PAGES, (after: string | null) =>
        read(`/audit/verdicts?${inSlots(slots)}&judge=${judge}${only}${from(after, '&')}`, verdictsReplySchema),
      );
      return stored.map(({ judge: _judge, slot: _slot, at: _at, ...verdict }) => verdict);
    },
    postVerdicts: async (items) => {
      for (const part of parts(items, JUDGING_LIMITS.verdicts)) await write('POST', '/audit/verdicts', taken, { items: part });
    },
    epochs: async () => (await read('/epochs', epochsSchema)).items,
    judgement: async (epoch) => (await read(`/epochs/${epoch}`, epochSchema)).judges.find((j) => j.judge === judge) ?? null,
    evidence: (epoch) => file(`/epochs/${epoch}/evidence`, EPOCH_LIMITS.evidenceBytes),
    summary: async (epoch) => {
      const target = `/epochs/${epoch}/judges/${judge}/summary`;
      const parsed = z.safeParse(summarySchema, jsonOrNull(await file(target, EPOCH_LIMITS.summaryBytes)));
      // An epoch that cannot be read is not one without a word.
      if (!parsed.success) throw new EdgeError(target, 0);
      return parsed.data;
    },
    putFile: async (epoch, name, text) => {
      await write('PUT', `/audit/epochs/${epoch}/${name}`, taken, new TextEncoder().encode(text));
    },
    commit: async (commit) => {
      await write('POST', '/audit/epochs', taken, commit);
    },
    posted: async (posted) => {
      await write('POST', '/audit/posted', taken, posted);
    },
  };
}
