/** Money in and out: what was seen, asked for and begun outside the ledger, each with the transfers that it led to. */
import { sql } from 'drizzle-orm';
import { check, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core';
import { big, moment, money } from './columns.ts';

export const depositAddresses = pgTable('deposit_addresses', {
  address: text('address').primaryKey(),
  accountId: text('account_id').notNull().unique(),
  createdAt: moment('created_at').notNull().defaultNow(),
});

/** The last block that was read to its end. */
export const chainCursors = pgTable('chain_cursors', {
  /** The genesis hash. */
  chain: text('chain').primaryKey(),
  number: big('number').notNull(),
  hash: text('hash').notNull(),
  updatedAt: moment('updated_at').notNull().defaultNow(),
});

export const deposits = pgTable(
  'deposits',
  {
    chain: text('chain').notNull(),
    blockHash: text('block_hash').notNull(),
    eventIndex: integer('event_index').notNull(),
    blockNumber: big('block_number').notNull(),
    address: text('address').notNull(),
    accountId: text('account_id').notNull(),
    asset: text('asset').notNull(),
    rao: money('rao').notNull(),
    rateId: big('rate_id'),
    nanousd: money('nanousd'),
    transferId: uuid('transfer_id'),
    state: text('state').notNull(),
    seenAt: moment('seen_at').notNull().defaultNow(),
    creditedAt: moment('credited_at'),
  },
  (t) => [
    primaryKey({ columns: [t.chain, t.blockHash, t.eventIndex] }),
    index('deposits_account').on(t.accountId, t.seenAt),
    index('deposits_seen')
      .on(t.seenAt)
      .where(sql`${t.state} = 'seen'`),
    check('deposits_rao', sql`${t.rao} > 0`),
    check('deposits_state', sql`${t.state} in ('seen', 'credited', 'dust')`),
  ],
);

/** Insert-only: the newest with `active_at` in the past is in force. */
export const payoutAddresses = pgTable(
  'payout_addresses',
  {
    id: uuid('id').primaryKey(),
    hotkey: text('hotkey').notNull(),
    kind: text('kind').notNull(),
    address: text('address').notNull(),
    requestedAt: moment('requested_at').notNull().defaultNow(),
    activeAt: moment('active_at').notNull(),
  },
  (t) => [index('payout_addresses_hotkey').on(t.hotkey, t.activeAt), check('payout_addresses_kind', sql`${t.kind} in ('tao', 'operator')`)],
);

export const payouts = pgTable(
  'payouts',
  {
    /** The idempotency key, stored before anything is sent. */
    id: uuid('id').primaryKey(),
    hotkey: text('hotkey').notNull(),
    adapter: text('adapter').notNull(),
    address: text('address').notNull(),
    nanousd: money('nanousd').notNull(),
    rateId: big('rate_id'),
    rao: money('rao'),
    state: text('state').notNull(),
    /** What was signed: extrinsic hash, blocks of birth and death. */
    attempt: jsonb('attempt'),
    beginTransfer: uuid('begin_transfer'),
    endTransfer: uuid('end_transfer'),
    reason: text('reason').notNull().default(''),
    requestedAt: moment('requested_at').notNull().defaultNow(),
    updatedAt: moment('updated_at').notNull().defaultNow(),
  },
  (t) => [
    index('payouts_hotkey').on(t.hotkey, t.requestedAt),
    uniqueIndex('payouts_open')
      .on(t.hotkey)
      .where(sql`${t.state} not in ('paid', 'failed')`),
    check('payouts_nanousd', sql`${t.nanousd} > 0`),
    check('payouts_state', sql`${t.state} in ('requested', 'begun', 'submitted', 'paid', 'failed')`),
  ],
);

export const checkouts = pgTable(
  'checkouts',
  {
    id: uuid('id').primaryKey(),
    accountId: text('account_id').notNull(),
    provider: text('provider').notNull(),
    providerId: text('provider_id').unique(),
    nanousd: money('nanousd').notNull(),
    state: text('state').notNull(),
    url: text('url'),
    createdAt: moment('created_at').notNull().defaultNow(),
    paidAt: moment('paid_at'),
    transferId: uuid('transfer_id'),
  },
  (t) => [
    index('checkouts_account').on(t.accountId, t.createdAt),
    check('checkouts_provider', sql`${t.provider} = 'stripe'`),
    check('checkouts_nanousd', sql`${t.nanousd} > 0`),
    check('checkouts_state', sql`${t.state} in ('open', 'paid', 'expired')`),
  ],
);

/** Events of a provider that were taken: each counts once. */
export const providerEvents = pgTable(
  'provider_events',
  {
    provider: text('provider').notNull(),
    id: text('id').notNull(),
    type: text('type').notNull(),
    at: moment('at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.provider, t.id] })],
);
