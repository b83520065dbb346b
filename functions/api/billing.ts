/** Money in by card: a checkout is made here, paid at Stripe, and credited when Stripe says so under its signature. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import { cardAmount, NANO_PER_CENT } from '../billing/amount.ts';
import { checkoutIdOf } from '../billing/checkout-id.ts';
import { isSignedByStripe } from '../billing/signature.ts';
import { createSession, stripeConfig } from '../billing/stripe.ts';
import { stripeEventSchema, toldBy, type StripeEvent, type Told } from '../billing/told.ts';
import { newCallId } from '../calls/call-id.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { event } from '../events.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { bodyAtMost, readJson, smallBody } from './body.ts';
import { cursorText, readCursor } from './page.ts';
import type { Vars } from './vars.ts';

const BOUNDS = {
  /** Checkouts of one page. */
  page: 100,
  /** Bytes of a webhook. */
  webhook: 256 * 1024,
} as const;

export const billingApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const checkoutSchema = z.strictObject({ amount_usd: z.optional(z.string()), amount_nanousd: z.optional(z.string()) });

/** On record before Stripe is asked; the same `Idempotency-Key` finds the same checkout, and Stripe the same session. */
billingApi.post('/billing/checkout', smallBody, async (c) => {
  const { account, claim } = await authenticateAccount(c, 'write');
  const config = stripeConfig(c.env);
  const amount = cardAmount(await readJson(c, checkoutSchema));
  if (!amount.ok) throw new RipcordError('invalid_request', amount);
  const { nanousd } = amount;
  const id = await checkoutIdOf(account, claim?.key ?? 'hotkey', c.req.header('idempotency-key'));
  const base = db.connect(c.env);
  const checkout = await db.insertCheckout(base, { id, accountId: account, nanousd });
  if (checkout === null)
    throw new RipcordError('rate_limited', { message: 'Too many checkouts of this account wait to be paid.', retryAfterMs: 600_000 });
  if (checkout.nanousd !== nanousd) throw new RipcordError('idempotency_key_reused');
  // Answers are forgotten after a day, checkouts are not.
  if (checkout.state !== 'open')
    throw new RipcordError('idempotency_key_reused', {
      message: 'The checkout of this Idempotency-Key is over.',
      hint: 'Take another key.',
    });
  if (checkout.url !== null) return c.json({ checkout_id: id, url: checkout.url }, 201);
  const answer = await createSession(config, { checkout: id, account, nanousd });
  if (answer.kind !== 'made') {
    event('checkout_unmade', { checkout: id, why: answer.kind === 'refused' ? answer.why : 'unknown' });
    throw new RipcordError('unavailable', {
      message: 'Stripe does not take the checkout now.',
      hint: 'Try again; nothing was charged.',
      retryAfterMs: 5_000,
    });
  }
  await db.nameCheckout(base, id, answer.session, answer.url);
  return c.json({ checkout_id: id, url: answer.url }, 201);
});

/** Newest first; `?before=` the `next` of the page before. */
billingApi.get('/billing/checkouts', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const rows = await db.listCheckouts(db.connect(c.env), {
    accountId: account,
    before: readCursor(c.req.query('before')),
    limit: BOUNDS.page,
  });
  const last = rows.length < BOUNDS.page ? undefined : rows.at(-1);
  const next = last === undefined ? null : cursorText({ at: last.createdAt.getTime(), id: last.id });
  return c.json({ items: rows.map(checkoutItem), next });
});

/** Stripe sends an event again until it gets a 2xx: what is not on record yet must not get one. */
billingApi.post('/billing/stripe/webhook', bodyAtMost(BOUNDS.webhook), async (c) => {
  const { webhookSecret } = stripeConfig(c.env);
  const body = new Uint8Array(await c.req.arrayBuffer());
  if (!(await isSignedByStripe(c.req.header('stripe-signature'), body, webhookSecret, Date.now())))
    throw new RipcordError('invalid_signature', { message: 'Stripe-Signature is missing, wrong or too old.' });
  const told = parseEvent(body);
  await take(c.env, told, toldBy(told));
  return c.json({ received: true });
});

async function take(env: Env, { id, type }: StripeEvent, told: Told): Promise<void> {
  const base = db.connect(env);
  switch (told.kind) {
    case 'paid': {
      const { checkout, session, cents, currency } = told;
      const transferId = newCallId(Date.now(), crypto.getRandomValues(new Uint8Array(16)));
      const nanousd = currency === 'usd' ? cents * NANO_PER_CENT : null;
      const outcome = await db.creditCheckout(base, { id, type }, { checkout, providerId: session, nanousd, transferId });
      if (outcome === 'aside') event('checkout_aside', { told: id, checkout, session, cents: String(cents), currency });
      return;
    }
    case 'expired':
      return db.expireCheckout(base, { id, type }, told.checkout);
    case 'reversal':
      if (await db.insertProviderEvent(base, { id, type })) event('card_reversal', { told: id, what: told.what, object: told.object });
      return;
    case 'nothing':
      return;
  }
}

function parseEvent(body: Uint8Array): StripeEvent {
  try {
    return stripeEventSchema.parse(JSON.parse(new TextDecoder().decode(body)));
  } catch {
    throw new RipcordError('invalid_request', { message: 'The body is no event of Stripe.' });
  }
}

function checkoutItem(row: db.Checkout) {
  return {
    checkout_id: row.id,
    provider: row.provider,
    amount_nanousd: row.nanousd.toString(),
    state: row.state,
    url: row.state === 'open' ? row.url : null,
    created_at: row.createdAt.toISOString(),
    paid_at: row.paidAt?.toISOString() ?? null,
    transfer_id: row.transferId,
  };
}
