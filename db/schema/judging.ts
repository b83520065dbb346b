/** Challenges, verdicts, epochs, and the chain as the edge last saw it. */
import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, numeric, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { big, moment } from './columns.ts';

/** What passed in a challenge. A row comes with the commit, so that it cannot be dated back, and stands still once it has ended. */
export const transcripts = pgTable(
  'transcripts',
  {
    id: text('id').primaryKey(),
    kind: text('kind').notNull(),
    target: text('target').notNull(),
    agentId: text('agent_id').notNull(),
    hotkey: text('hotkey').notNull(),
    /** Unix seconds. */
    slot: big('slot').notNull(),
    /** `transcriptSchema` once it has ended; until then the part that is known. */
    body: jsonb('body').notNull(),
    ended: boolean('ended').notNull(),
    /** Order of the public feed; moves on when the row ends. */
    seq: big('seq').notNull(),
    committedAt: moment('committed_at'),
    endedAt: moment('ended_at'),
    /** Start of the epoch whose evidence holds it: each is in one, and none is left out. */
    epoch: big('epoch'),
  },
  (t) => [
    index('transcripts_feed').on(t.seq),
    index('transcripts_epoch').on(t.epoch, t.id),
    index('transcripts_unclaimed')
      .on(t.endedAt)
      .where(sql`${t.ended} and ${t.epoch} is null`),
    index('transcripts_slot').on(t.slot, t.id),
    index('transcripts_target').on(t.target, t.slot),
    index('transcripts_hotkey').on(t.hotkey, t.slot),
  ],
);

/** One judge's verdict on one challenge; `verdictSchema`. The first word stands. */
export const verdicts = pgTable(
  'verdicts',
  {
    judge: text('judge').notNull(),
    challengeId: text('challenge_id').notNull(),
    /** Unix seconds of the slot of the challenge. */
    slot: big('slot').notNull(),
    hotkey: text('hotkey').notNull(),
    target: text('target').notNull(),
    kind: text('kind').notNull(),
    outcome: text('outcome').notNull(),
    reason: text('reason').notNull(),
    body: jsonb('body').notNull(),
    at: moment('at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.judge, t.challengeId] }),
    index('verdicts_slot').on(t.slot, t.judge),
    index('verdicts_hotkey').on(t.hotkey, t.at),
  ],
);

/** Hotkeys whose gate is shut by a judge of the gate. */
export const jails = pgTable('jails', {
  hotkey: text('hotkey').primaryKey(),
  until: moment('until').notNull(),
  /** How often so far; each time is twice as long. */
  times: integer('times').notNull(),
  judge: text('judge').notNull(),
  challengeId: text('challenge_id').notNull(),
  reason: text('reason').notNull(),
  since: moment('since').notNull().defaultNow(),
});

/** Who was there: devices (`instance` empty) and instances, counted once a slot by the edge's cron. */
export const presence = pgTable(
  'presence',
  {
    /** Unix seconds of the epoch's start. */
    epoch: big('epoch').notNull(),
    agentId: text('agent_id').notNull(),
    device: text('device').notNull(),
    instance: text('instance').notNull().default(''),
    hotkey: text('hotkey').notNull(),
    /** What the evidence tells beside: kind, name and memory of the device; chute and version of the instance. */
    body: jsonb('body').notNull(),
    fromSlot: big('from_slot').notNull(),
    toSlot: big('to_slot').notNull(),
    slots: integer('slots').notNull(),
    need: big('need').notNull().default(0),
    serving: integer('serving').notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.epoch, t.agentId, t.device, t.instance] })],
);

/** First sight of a device or an instance, ever: what `since` in the schedule means. */
export const firstSeen = pgTable('first_seen', { target: text('target').primaryKey(), slot: big('slot').notNull() });

/** An epoch whose evidence is closed. */
export const epochs = pgTable('epochs', {
  start: big('start').primaryKey(),
  seconds: integer('seconds').notNull(),
  suite: text('suite').notNull(),
  /** SHA-256 of the file of evidence (empty: it is being made), its bytes, and the hash of the file before it. */
  evidence: text('evidence').notNull(),
  bytes: integer('bytes').notNull(),
  previous: text('previous').notNull(),
  closedAt: moment('closed_at').notNull().defaultNow(),
});

/** What a judge committed to for an epoch, and how it came to the chain. The first commitment stands. */
export const judgedEpochs = pgTable(
  'judged_epochs',
  {
    judge: text('judge').notNull(),
    epoch: big('epoch').notNull(),
    evidence: text('evidence').notNull(),
    findings: text('findings').notNull(),
    summary: text('summary').notNull(),
    weights: jsonb('weights').notNull(),
    /** The signed request, so that anyone can check whose word it is: headers and body. */
    signed: jsonb('signed').notNull(),
    committedAt: moment('committed_at').notNull().defaultNow(),
    extrinsic: text('extrinsic'),
    block: big('block'),
    revealRound: big('reveal_round'),
    postedAt: moment('posted_at'),
  },
  (t) => [primaryKey({ columns: [t.judge, t.epoch] }), index('judged_epochs_epoch').on(t.epoch)],
);

/** The subnet's neurons at the newest finalized block that the edge read. */
export const neurons = pgTable(
  'neurons',
  {
    uid: integer('uid').primaryKey(),
    hotkey: text('hotkey').notNull().unique(),
    coldkey: text('coldkey').notNull(),
    permit: boolean('permit').notNull(),
    /** As the chain counts it for weights. */
    stake: numeric('stake').notNull(),
    /** Of the last epoch of the chain: share of 65,535, and rao of alpha. */
    incentive: integer('incentive').notNull(),
    emission: numeric('emission').notNull(),
    registeredBlock: big('registered_block').notNull(),
  },
  (t) => [index('neurons_coldkey').on(t.coldkey)],
);

/** One row: what `neurons` is as of. */
export const chainHead = pgTable('chain_head', {
  netuid: integer('netuid').primaryKey(),
  block: big('block').notNull(),
  hash: text('hash').notNull(),
  /** Of the chain's own epochs. */
  epochIndex: big('epoch_index').notNull(),
  syncedAt: moment('synced_at').notNull().defaultNow(),
});

/** What the chain gave a hotkey in one of its epochs, rao of alpha. */
export const emissions = pgTable(
  'emissions',
  {
    hotkey: text('hotkey').notNull(),
    epochIndex: big('epoch_index').notNull(),
    rao: numeric('rao').notNull(),
    block: big('block').notNull(),
    seenAt: moment('seen_at')
      .notNull()
      .default(sql`now()`),
  },
  (t) => [primaryKey({ columns: [t.hotkey, t.epochIndex] })],
);
