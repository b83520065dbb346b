/** Stripe's API: the one request that is made of it, a Checkout Session. */
import * as z from 'zod/mini';
import { readText } from '../read-text.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { NANO_PER_CENT } from './amount.ts';

/** Pinned, so that a change of the account's default changes nothing here. */
const VERSION = '2024-06-20';

const BOUNDS = {
  /** Times one request is sent with its one key. */
  tries: 3,
  /** Milliseconds of each. */
  tryMs: 7_000,
  /** Milliseconds before the second try; doubled before each one after it. */
  pauseMs: 200,
  /** Characters of a reply. */
  reply: 256 * 1024,
} as const;

export interface StripeConfig {
  secretKey: string;
  webhookSecret: string;
  /** Origin of the API, without a slash at the end. */
  api: string;
  /** Where Stripe sends people when they have paid, or have not. */
  returnUrl: string;
}

/** Throws `unavailable` where the edge takes no cards. */
export function stripeConfig(env: Env): StripeConfig {
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret, STRIPE_RETURN_URL: returnUrl } = env;
  if (!secretKey || !webhookSecret || !returnUrl) throw new RipcordError('unavailable', { message: 'Cards are not configured.' });
  return { secretKey, webhookSecret, returnUrl, api: (env.STRIPE_API ?? 'https://api.stripe.com').replace(/\/+$/, '') };
}

export interface SessionAsk {
  /** The checkout: Stripe's Idempotency-Key, so the same ask again is the same session. */
  checkout: string;
  account: string;
  nanousd: bigint;
}

/** `unknown`: there may be a session by now. The same ask finds it. */
export type SessionAnswer = { kind: 'made'; session: string; url: string } | { kind: 'refused'; why: string } | { kind: 'unknown' };

const sessionSchema = z.object({
  id: z.string().check(z.regex(/^[A-Za-z0-9_]{1,128}$/)),
  url: z.url().check(z.maxLength(2_048), z.regex(/^https?:\/\/[!-~]+$/)),
});
const refusalSchema = z.object({ error: z.looseObject({ code: z.optional(z.string()), type: z.optional(z.string()) }) });

/** Sends it until Stripe gives a definite answer, within a bound. Never throws. */
export async function createSession(config: StripeConfig, ask: SessionAsk): Promise<SessionAnswer> {
  for (let tried = 1; ; tried++) {
    const answer = await once(config, ask).catch((): SessionAnswer => ({ kind: 'unknown' }));
    if (answer.kind !== 'unknown' || tried === BOUNDS.tries) return answer;
    await scheduler.wait(Math.random() * BOUNDS.pauseMs * 2 ** tried);
  }
}

async function once(config: StripeConfig, ask: SessionAsk): Promise<SessionAnswer> {
  const reply = await fetch(`${config.api}/v1/checkout/sessions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${config.secretKey}`,
      'content-type': 'application/x-www-form-urlencoded',
      'idempotency-key': ask.checkout,
      'stripe-version': VERSION,
    },
    body: formOf(config, ask).toString(),
    redirect: 'manual',
    signal: AbortSignal.timeout(BOUNDS.tryMs),
  });
  const body = await readJson(reply);
  if (reply.ok) {
    const { success, data } = sessionSchema.safeParse(body);
    return success ? { kind: 'made', session: data.id, url: data.url } : { kind: 'unknown' };
  }
  // 409: the first send of this key still runs. 429 and 5xx: try again, with the same key.
  if (reply.status === 409 || reply.status === 429 || reply.status >= 500) return { kind: 'unknown' };
  return { kind: 'refused', why: whyOf(reply.status, body) };
}

/** The same for the same checkout, whenever it is sent: Stripe refuses a key that comes with other parameters. */
function formOf(config: StripeConfig, { checkout, account, nanousd }: SessionAsk): URLSearchParams {
  return new URLSearchParams({
    mode: 'payment',
    client_reference_id: checkout,
    'metadata[checkout_id]': checkout,
    'metadata[account_id]': account,
    'payment_intent_data[metadata][checkout_id]': checkout,
    'line_items[0][quantity]': '1',
    'line_items[0][price_data][currency]': 'usd',
    'line_items[0][price_data][unit_amount]': (nanousd / NANO_PER_CENT).toString(),
    'line_items[0][price_data][product_data][name]': 'Ripcord credit',
    success_url: config.returnUrl,
    cancel_url: config.returnUrl,
  });
}

async function readJson(reply: Response): Promise<unknown> {
  const text = await readText(reply, BOUNDS.reply);
  if (text === null) throw new Error('The reply is too long.');
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Status and code alone: a message of Stripe may quote what was sent. */
function whyOf(status: number, body: unknown): string {
  const { success, data } = refusalSchema.safeParse(body);
  const code = success ? (data.error.code ?? data.error.type ?? '') : '';
  return `${status} ${/^[a-z0-9_]{1,64}$/.test(code) ? code : ''}`.trim();
}
