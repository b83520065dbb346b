/**
 * Double entry. Facts are inserted and never changed; every number derived from them (`posted`, `held`, `spent`, the head of
 * a chain, `maturing`) follows by trigger. The functions and triggers are in `migrations/0002_ledger.sql`; `docs/books.md` says how it holds.
 */
import { sql } from 'drizzle-orm';
import { boolean, check, index, integer, jsonb, pgTable, primaryKey, smallint, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core';
import { big, bytes, moment, money, transactionId } from './columns.ts';

/** An account of the ledger: `kind/owner`, or the kind alone for the platform's own. All but the balances follows from the id. */
export const purses = pgTable(
  'purses',
  {
    id: text('id').primaryKey(),
    kind: text('kind')
      .notNull()
      .generatedAlwaysAs(sql`split_part(id, '/', 1)`),
    /** An account id or a hotkey; null: the platform. */
    owner: text('owner').generatedAlwaysAs(sql`nullif(split_part(id, '/', 2), '')`),
    /** Never below zero, what is held included. */
    floorZero: boolean('floor_zero')
      .notNull()
      .generatedAlwaysAs(sql`split_part(id, '/', 1) in ('cash', 'promo', 'pending', 'payable', 'in_flight')`),
    /** Credits wait in `unfolded`, so that nobody queues for the row. */
    lazy: boolean('lazy')
      .notNull()
      .generatedAlwaysAs(sql`split_part(id, '/', 1) not in ('cash', 'promo', 'payable', 'in_flight')`),
    posted: money('posted')
      .notNull()
      .default(sql`0`),
    held: money('held')
      .notNull()
      .default(sql`0`),
  },
  (t) => [
    index('purses_owner').on(t.owner),
    check(
      'purses_id',
      sql`${t.id} ~ '^((cash|promo|pending|payable|in_flight)/[!-.0-~]+|fee|loss|promo_fund|tao_clearing|stripe_clearing|operator_clearing|forfeited)$'`,
    ),
    check('purses_held', sql`${t.held} >= 0`),
    check('purses_floor', sql`not ${t.floorZero} or ${t.posted} - ${t.held} >= 0`),
  ],
);

/** The head of each owner's chain of transfers. Whoever posts for the owner locks this row first. */
export const chains = pgTable('chains', {
  owner: text('owner').primaryKey(),
  n: money('n')
    .notNull()
    .default(sql`0`),
  hash: bytes('hash')
    .notNull()
    .default(sql`decode(repeat('00', 32), 'hex')`),
});

/** What may flow: purses of which kinds a transfer of a kind may take from and give to. Rows come by migration only. */
export const flows = pgTable('flows', {
  kind: text('kind').primaryKey(),
  debits: text('debits').array().notNull(),
  credits: text('credits').array().notNull(),
});

/** One balanced set of entries. It is inserted after its parts (entries, calls, refunds), and seals them. */
export const transfers = pgTable(
  'transfers',
  {
    id: uuid('id').primaryKey(),
    kind: text('kind')
      .notNull()
      .references(() => flows.kind),
    /** What makes it happen once. */
    ref: text('ref').notNull().unique(),
    /** An account id, a hotkey or `platform`. */
    owner: text('owner').notNull(),
    callId: uuid('call_id'),
    reason: text('reason').notNull().default(''),
    createdAt: moment('created_at').notNull().defaultNow(),
    tx: transactionId('tx').notNull(),
    /** From 1, without gaps in a chain. */
    n: money('n').notNull(),
    prevHash: bytes('prev_hash').notNull(),
    hash: bytes('hash').notNull(),
  },
  (t) => [
    uniqueIndex('transfers_chain').on(t.owner, t.n),
    check('transfers_ref', sql`${t.ref} ~ '^[!-~]+$' and length(${t.ref}) <= 200`),
    check('transfers_owner', sql`${t.owner} ~ '^[!-~]+$'`),
    check('transfers_reason', sql`length(${t.reason}) <= 500`),
  ],
);

export const entries = pgTable(
  'entries',
  {
    transferId: uuid('transfer_id').notNull(),
    purseId: text('purse_id').notNull(),
    /** Below zero: out of the purse. At most 10 million USD, so that no purse that adds them up leaves bigint. */
    amount: money('amount').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.transferId, t.purseId] }),
    index('entries_purse').on(t.purseId),
    check('entries_amount', sql`${t.amount} <> 0 and abs(${t.amount}) <= 10000000000000000`),
  ],
);

/** Credits of lazy purses that the projector has not folded into `posted` yet. */
export const unfolded = pgTable('unfolded', { transferId: uuid('transfer_id').notNull(), purseId: text('purse_id').notNull() }, (t) => [
  primaryKey({ columns: [t.transferId, t.purseId] }),
  index('unfolded_purse').on(t.purseId),
]);

/** What of a `pending` purse came in which hour; its sum is what is posted there. */
export const maturing = pgTable(
  'maturing',
  { purseId: text('purse_id').notNull(), hour: moment('hour').notNull(), amount: money('amount').notNull() },
  (t) => [primaryKey({ columns: [t.purseId, t.hour] }), index('maturing_hour').on(t.hour), check('maturing_amount', sql`${t.amount} > 0`)],
);

/** Credit that an Account object took; what of it is unspent is held in the purses. */
export const leases = pgTable(
  'leases',
  {
    accountId: text('account_id').notNull(),
    epoch: integer('epoch').notNull(),
    /** The last move that was carried out. */
    n: integer('n').notNull(),
    /** `closing`: a newer lease is open, but calls of this one may still come. */
    state: text('state').notNull().default('open'),
    cashAmount: money('cash_amount')
      .notNull()
      .default(sql`0`),
    promoAmount: money('promo_amount')
      .notNull()
      .default(sql`0`),
    cashSpent: money('cash_spent')
      .notNull()
      .default(sql`0`),
    promoSpent: money('promo_spent')
      .notNull()
      .default(sql`0`),
    openedAt: moment('opened_at').notNull().defaultNow(),
    touchedAt: moment('touched_at').notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.accountId, t.epoch] }),
    uniqueIndex('leases_open')
      .on(t.accountId)
      .where(sql`${t.state} = 'open'`),
    check('leases_state', sql`${t.state} in ('open', 'closing', 'closed')`),
    check(
      'leases_spent',
      sql`0 <= ${t.cashSpent} and ${t.cashSpent} <= ${t.cashAmount} and 0 <= ${t.promoSpent} and ${t.promoSpent} <= ${t.promoAmount}`,
    ),
  ],
);

/** One row per closed call; what it cost is paid by the capture `transfer_id`. */
export const calls = pgTable(
  'calls',
  {
    callId: uuid('call_id').primaryKey(),
    kind: text('kind').notNull(),
    accountId: text('account_id').notNull(),
    keyId: text('key_id').notNull(),
    chuteId: text('chute_id').notNull(),
    version: text('version').notNull(),
    openedAt: moment('opened_at').notNull(),
    closedAt: moment('closed_at').notNull(),
    state: text('state').notNull(),
    code: text('code').notNull(),
    holdNanousd: money('hold_nanousd').notNull(),
    costNanousd: money('cost_nanousd').notNull(),
    cashNanousd: money('cash_nanousd').notNull(),
    promoNanousd: money('promo_nanousd').notNull(),
    priceVersion: text('price_version').notNull(),
    feeBps: integer('fee_bps').notNull(),
    leaseEpoch: integer('lease_epoch'),
    attempts: integer('attempts').notNull(),
    waitedMs: integer('waited_ms').notNull(),
    cold: boolean('cold').notNull(),
    recordedAt: moment('recorded_at').notNull().defaultNow(),
    /** Null exactly when it cost nothing. */
    transferId: uuid('transfer_id'),
  },
  (t) => [
    index('calls_account').on(t.accountId, t.closedAt),
    index('calls_chute').on(t.chuteId, t.closedAt),
    index('calls_recorded').on(t.recordedAt),
    index('calls_transfer')
      .on(t.transferId)
      .where(sql`${t.transferId} is not null`),
    check('calls_kind', sql`${t.kind} in ('call', 'rent')`),
    check('calls_state', sql`${t.state} in ('completed', 'cancelled', 'failed')`),
    check('calls_cost', sql`${t.costNanousd} = ${t.cashNanousd} + ${t.promoNanousd} and ${t.cashNanousd} >= 0 and ${t.promoNanousd} >= 0`),
    check('calls_hold', sql`${t.costNanousd} <= ${t.holdNanousd}`),
    check('calls_fee', sql`${t.feeBps} between 0 and 10000`),
    check('calls_paid', sql`(${t.costNanousd} = 0) = (${t.transferId} is null) and (${t.costNanousd} = 0 or ${t.leaseEpoch} is not null)`),
    check('calls_attempts', sql`${t.attempts} >= 0 and (${t.costNanousd} = 0 or ${t.attempts} > 0)`),
  ],
);

/** Part of its transfer, as a call is of its capture. */
export const refunds = pgTable(
  'refunds',
  { transferId: uuid('transfer_id').primaryKey(), callId: uuid('call_id').notNull(), amount: money('amount').notNull() },
  (t) => [index('refunds_call').on(t.callId), check('refunds_amount', sql`${t.amount} > 0`)],
);

/** One row per settled attempt, written by Account objects only and never changed. */
export const usage = pgTable(
  'usage',
  {
    callId: uuid('call_id').notNull(),
    attempt: smallint('attempt').notNull(),
    accountId: text('account_id').notNull(),
    keyId: text('key_id').notNull(),
    chuteId: text('chute_id').notNull(),
    version: text('version').notNull(),
    instanceId: text('instance_id').notNull(),
    agentId: text('agent_id').notNull(),
    hotkey: text('hotkey').notNull(),
    outcome: text('outcome').notNull(),
    code: text('code').notNull(),
    bytes: big('bytes').notNull(),
    tokensIn: big('tokens_in'),
    tokensOut: big('tokens_out'),
    startedAt: moment('started_at').notNull(),
    firstByteMs: integer('first_byte_ms'),
    lastByteMs: integer('last_byte_ms'),
    costNanousd: money('cost_nanousd').notNull(),
    receipt: jsonb('receipt'),
    recordedAt: moment('recorded_at').notNull().defaultNow(),
    status: smallint('status'),
    cachedIn: big('cached_in'),
    waitedMs: integer('waited_ms').notNull().default(0),
    cold: boolean('cold').notNull().default(false),
    region: text('region').notNull().default(''),
    /** What the miner gets of the cost; the rest is the fee. */
    shareNanousd: money('share_nanousd')
      .notNull()
      .default(sql`0`),
  },
  (t) => [
    primaryKey({ columns: [t.callId, t.attempt] }),
    index('usage_account').on(t.accountId, t.startedAt),
    index('usage_hotkey').on(t.hotkey, t.startedAt),
    index('usage_recorded').on(t.recordedAt),
    check('usage_share', sql`0 <= ${t.shareNanousd} and ${t.shareNanousd} <= ${t.costNanousd}`),
  ],
);

/** What `check_books` found. */
export const bookChecks = pgTable('book_checks', {
  at: moment('at').primaryKey().defaultNow(),
  ok: boolean('ok').notNull(),
  /** By invariant: how many rows break it, and one of them in words. */
  broken: jsonb('broken').notNull(),
});
