/** What an owner attaches to a chute besides its versions and prices; it may be there before the first deploy of that name. */
import { sql } from 'drizzle-orm';
import { check, index, integer, jsonb, pgTable, primaryKey, text, unique } from 'drizzle-orm/pg-core';
import { big, moment } from './columns.ts';

/** Grows with every change, so that a Chute object that is told two states knows the newer one. */
export const attached = pgTable('attached', {
  chuteId: text('chute_id').primaryKey(),
  revision: big('revision').notNull(),
});

export const secrets = pgTable(
  'secrets',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id').notNull(),
    chuteId: text('chute_id').notNull(),
    /** `owner/name` of the chute. */
    purpose: text('purpose').notNull(),
    kind: text('kind').notNull(),
    /** The variable, or the registry's host. */
    key: text('key').notNull(),
    /** Ciphertext only: `SealedSecret` of functions/secrets/envelope.ts. */
    sealed: jsonb('sealed').notNull(),
    /** What it takes of a grant. */
    bytes: integer('bytes').notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
    updatedAt: moment('updated_at').notNull().defaultNow(),
  },
  (t) => [
    unique('secrets_key').on(t.chuteId, t.kind, t.key),
    index('secrets_account').on(t.accountId, t.id),
    check('secrets_kind', sql`${t.kind} in ('env', 'registry')`),
  ],
);

/** Accounts that may call a private chute of another. */
export const shares = pgTable(
  'shares',
  {
    chuteId: text('chute_id').notNull(),
    accountId: text('account_id').notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.chuteId, t.accountId] }), index('shares_account').on(t.accountId)],
);
