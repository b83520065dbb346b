/** Payments by card: asked for here, paid at the provider, credited once. */
import { and, desc, eq, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { below, type PageEnd } from './pages.ts';
import { rowsOf } from './rows.ts';
import { checkouts } from './schema.ts';

export type Checkout = typeof checkouts.$inferSelect;

/** Unpaid checkouts that an account may make in an hour: each is a request to the provider, whose patience all accounts share. */
const UNPAID_AN_HOUR = 100;

/** Keeps it before the provider is asked. One with this id that is there already is returned as it is; null: too many. */
export async function insertCheckout(db: Database, ask: { id: string; accountId: string; nanousd: bigint }): Promise<Checkout | null> {
  await db.execute(sql`
    insert into checkouts (id, account_id, provider, nanousd, state)
    select ${ask.id}::uuid, ${ask.accountId}, 'stripe', ${String(ask.nanousd)}::bigint, 'open'
    where (select count(*) from checkouts where account_id = ${ask.accountId} and created_at > now() - interval '1 hour' and state <> 'paid')
      < ${UNPAID_AN_HOUR}
    on conflict (id) do nothing`);
  const [found] = await db.select().from(checkouts).where(eq(checkouts.id, ask.id));
  return found ?? null;
}

/** What the provider calls it, and where it is paid. */
export async function nameCheckout(db: Database, id: string, providerId: string, url: string): Promise<void> {
  await db.update(checkouts).set({ providerId, url }).where(eq(checkouts.id, id));
}

/** Newest first; at most `limit`, below `before`. */
export async function listCheckouts(db: Database, ask: { accountId: string; before: PageEnd | null; limit: number }): Promise<Checkout[]> {
  return db
    .select()
    .from(checkouts)
    .where(and(eq(checkouts.accountId, ask.accountId), below(ask.before, checkouts.createdAt, checkouts.id)))
    .orderBy(desc(checkouts.createdAt), desc(checkouts.id))
    .limit(ask.limit);
}

/** An event of the provider, by its own id. */
export interface ProviderEvent {
  id: string;
  type: string;
}

export type Credited =
  | 'credited'
  /** This event, or another about the same payment, was taken before. */
  | 'already'
  /** No such checkout, another amount, or a session that is not its own: on record, and nobody is credited. */
  | 'aside';

/**
 * Credits what was paid and marks the checkout, in one statement: there is no moment between the two. `transferId`: for the
 * transfer, if there is to be one. `nanousd`: what the provider says was paid; null: in another currency.
 */
export async function creditCheckout(
  db: Database,
  event: ProviderEvent,
  paid: { checkout: string; providerId: string; nanousd: bigint | null; transferId: string },
): Promise<Credited> {
  const nanousd = paid.nanousd === null ? null : String(paid.nanousd);
  const result = await db.execute(sql`
    with event as (
      insert into provider_events (provider, id, type) values ('stripe', ${event.id}, ${event.type}) on conflict do nothing returning id
    ), due as (
      select id, account_id, nanousd, state, coalesce(provider_id, ${paid.providerId}) = ${paid.providerId} as own
      from checkouts where id = ${paid.checkout}::uuid for update
    ), credited as (
      update checkouts c set state = 'paid', paid_at = now(), provider_id = ${paid.providerId},
        transfer_id = post_transfer(${paid.transferId}::uuid, 'card', 'stripe/' || ${paid.providerId}, d.account_id,
          jsonb_build_object('stripe_clearing', (-d.nanousd)::text, 'cash/' || d.account_id, d.nanousd::text), '')
      from due d, event e where c.id = d.id and d.state <> 'paid' and d.own and d.nanousd = ${nanousd}::bigint
      returning c.id
    )
    select exists (select from credited)::int as credited,
      (exists (select from due where state = 'paid' and own) or not exists (select from event))::int as before`);
  const row = rowsOf(result)[0] ?? {};
  if (Number(row['credited']) === 1) return 'credited';
  return Number(row['before']) === 1 ? 'already' : 'aside';
}

/** Nobody paid it in time. What is paid stays paid. */
export async function expireCheckout(db: Database, event: ProviderEvent, id: string): Promise<void> {
  await db.execute(sql`
    with event as (
      insert into provider_events (provider, id, type) values ('stripe', ${event.id}, ${event.type}) on conflict do nothing
    )
    update checkouts set state = 'expired' where id = ${id}::uuid and state = 'open'`);
}

/** Keeps that an event came. False: it came before. */
export async function insertProviderEvent(db: Database, event: ProviderEvent): Promise<boolean> {
  const result = await db.execute(
    sql`insert into provider_events (provider, id, type) values ('stripe', ${event.id}, ${event.type}) on conflict do nothing returning id`,
  );
  return rowsOf(result).length > 0;
}
