/** The record of everything that must outlive an object. Amounts are nano-USD, times timestamptz. */
import { sql } from 'drizzle-orm';
import { boolean, foreignKey, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { big, moment } from './schema/columns.ts';

export * from './schema/attached.ts';
export * from './schema/judging.ts';
export * from './schema/ledger.ts';
export * from './schema/moved.ts';
export * from './schema/prices.ts';

export const accounts = pgTable('accounts', {
  id: text('id').primaryKey(),
  hotkey: text('hotkey').notNull().unique(),
  handle: text('handle').notNull().unique(),
  createdAt: moment('created_at').notNull().defaultNow(),
});

/** A mirror: the Account object decides, and tells what it has. The secret's proof stays there. */
export const keys = pgTable(
  'keys',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id').notNull(),
    name: text('name').notNull(),
    scopes: text('scopes').array().notNull(),
    createdAt: moment('created_at').notNull(),
    expiresAt: moment('expires_at'),
    revokedAt: moment('revoked_at'),
  },
  (t) => [index('keys_account').on(t.accountId)],
);

export const chutes = pgTable(
  'chutes',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id').notNull(),
    /** `owner/name`. */
    name: text('name').notNull(),
    slug: text('slug').notNull(),
    public: boolean('public').notNull(),
    /** The one that is served now. */
    version: text('version').notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
    updatedAt: moment('updated_at').notNull().defaultNow(),
    /** A deleted chute keeps its id: the same name deployed again is the same chute. */
    deletedAt: moment('deleted_at'),
  },
  (t) => [
    uniqueIndex('chutes_slug').on(t.slug),
    index('chutes_account').on(t.accountId),
    index('chutes_public')
      .on(t.name)
      .where(sql`${t.public} and ${t.deletedAt} is null`),
  ],
);

export const versions = pgTable(
  'versions',
  {
    chuteId: text('chute_id').notNull(),
    version: text('version').notNull(),
    config: jsonb('config').notNull(),
    codeSha256: text('code_sha256'),
    codeBytes: integer('code_bytes'),
    createdAt: moment('created_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.chuteId, t.version] }), foreignKey({ columns: [t.chuteId], foreignColumns: [chutes.id] })],
);

export const agents = pgTable(
  'agents',
  {
    id: text('id').primaryKey(),
    hotkey: text('hotkey').notNull(),
    inventory: jsonb('inventory').notNull(),
    firstSeenAt: moment('first_seen_at').notNull().defaultNow(),
    lastSeenAt: moment('last_seen_at').notNull().defaultNow(),
  },
  (t) => [index('agents_hotkey').on(t.hotkey)],
);

/** What a judge saw; the fields of `#protocol/audit`. */
export const observations = pgTable(
  'observations',
  {
    id: text('id').primaryKey(),
    judge: text('judge').notNull(),
    type: text('type').notNull(),
    agentId: text('agent_id').notNull(),
    hotkey: text('hotkey').notNull(),
    instanceId: text('instance_id'),
    /** Unix seconds of the epoch's start. */
    epoch: big('epoch').notNull(),
    round: big('round').notNull(),
    ok: boolean('ok').notNull(),
    reason: text('reason').notNull(),
    valueMs: integer('value_ms'),
    firstByteMs: integer('first_byte_ms'),
    tokens: integer('tokens'),
    callId: text('call_id'),
    /** What was compared: a canary with others', a load with the device's work. */
    compared: jsonb('compared'),
    at: moment('at').notNull(),
  },
  (t) => [index('observations_epoch').on(t.epoch, t.id), index('observations_hotkey').on(t.hotkey, t.at)],
);

/** What a judge makes of a miner in an epoch. */
export const scores = pgTable(
  'scores',
  {
    judge: text('judge').notNull(),
    epoch: big('epoch').notNull(),
    hotkey: text('hotkey').notNull(),
    round: big('round').notNull(),
    score: integer('score').notNull(),
    parts: jsonb('parts').notNull(),
    recordedAt: moment('recorded_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.judge, t.epoch, t.hotkey] }), index('scores_epoch').on(t.epoch)],
);
