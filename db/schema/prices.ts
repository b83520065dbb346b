/** Prices and rates are data: insert-only, each from a time on. */
import { sql } from 'drizzle-orm';
import { check, index, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { big, moment, money } from './columns.ts';

export const prices = pgTable(
  'prices',
  {
    id: text('id').primaryKey(),
    chuteId: text('chute_id').notNull(),
    /** Only for this account; null: for all. */
    accountId: text('account_id'),
    price: jsonb('price').notNull(),
    /** Ten-thousandths of the cost that the platform keeps. */
    feeBps: integer('fee_bps').notNull(),
    discountBps: integer('discount_bps').notNull().default(0),
    startsAt: moment('starts_at').notNull(),
    endsAt: moment('ends_at'),
    note: text('note').notNull().default(''),
    createdAt: moment('created_at').notNull().defaultNow(),
  },
  (t) => [
    index('prices_chute').on(t.chuteId, t.startsAt),
    check('prices_bps', sql`${t.feeBps} between 0 and 10000 and ${t.discountBps} between 0 and 10000`),
    check('prices_ends', sql`${t.endsAt} > ${t.startsAt}`),
  ],
);

export const rates = pgTable(
  'rates',
  {
    id: big('id').primaryKey().generatedAlwaysAsIdentity(),
    asset: text('asset').notNull(),
    /** Nano-USD for one whole unit of the asset. */
    nanousd: money('nanousd').notNull(),
    source: text('source').notNull(),
    at: moment('at').notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
  },
  (t) => [
    index('rates_newest').on(t.asset, t.at),
    check('rates_nanousd', sql`${t.nanousd} > 0`),
    check('rates_asset', sql`${t.asset} = 'TAO'`),
  ],
);
