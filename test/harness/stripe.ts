/**
 * A stand-in of Stripe's API over real HTTP: checkout sessions with idempotency keys, as its documentation tells them, ways
 * to fail, and signed webhooks.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Session {
  id: string;
  url: string;
  client_reference_id: string;
  metadata: Record<string, string>;
  amount_total: number;
  currency: string;
  payment_status: 'unpaid' | 'paid';
}

/** `after`: it is done, and the answer never comes. */
export type Fault = 'after' | 402 | 409 | 429 | 500;

/** What a webhook is about; the defaults are those of a paid session. */
export interface Delivery {
  id?: string;
  type?: string;
  object: object;
  /** Unix seconds; default now. */
  t?: number;
  secret?: string;
  /** The header instead of a right one. */
  header?: string;
}

export class StripeStandIn {
  origin = '';
  readonly secretKey = `sk_test_${randomBytes(24).toString('hex')}`;
  readonly webhookSecret = `whsec_${randomBytes(24).toString('hex')}`;
  readonly sessions: Session[] = [];
  /** Idempotency-Key of every request that came. */
  readonly keys: string[] = [];
  /** One for each of the next requests. */
  readonly faults: Fault[] = [];
  readonly #done = new Map<string, { form: string; status: number; body: unknown }>();
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  /** The edge's bindings. */
  get vars(): Record<string, string> {
    return {
      STRIPE_SECRET_KEY: this.secretKey,
      STRIPE_WEBHOOK_SECRET: this.webhookSecret,
      STRIPE_API: this.origin,
      STRIPE_RETURN_URL: 'https://example.com/credit',
    };
  }

  /** The session of a checkout, as it is when its money has arrived. */
  paid(checkout: string): Session {
    const session = this.sessions.find((s) => s.client_reference_id === checkout);
    if (session === undefined) throw new Error(`There is no session of ${checkout}.`);
    return { ...session, payment_status: 'paid' };
  }

  /** A webhook: its body and headers. */
  signed({ id, type = 'checkout.session.completed', object, t, secret, header }: Delivery): {
    body: string;
    headers: Record<string, string>;
  } {
    const at = t ?? Math.floor(Date.now() / 1000);
    const event = { id: id ?? `evt_${randomBytes(12).toString('hex')}`, object: 'event', type, created: at, livemode: false };
    const body = JSON.stringify({ ...event, data: { object } });
    const v1 = createHmac('sha256', secret ?? this.webhookSecret)
      .update(`${at}.${body}`)
      .digest('hex');
    return { body, headers: { 'content-type': 'application/json', 'stripe-signature': header ?? `t=${at},v1=${v1},v0=${'0'.repeat(64)}` } };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let form = '';
    for await (const part of request as AsyncIterable<Buffer>) form += part.toString('utf8');
    const fault = this.faults.shift();
    const key = String(request.headers['idempotency-key'] ?? '');
    this.keys.push(key);
    if (fault === 409 || fault === 429) return answer(response, fault, problem(fault === 409 ? 'idempotency_key_in_use' : 'rate_limit'));
    const { status, body } = this.#answer(request, key, form, fault);
    if (fault === 'after') response.socket?.destroy();
    else answer(response, status, body);
  }

  #answer(request: IncomingMessage, key: string, form: string, fault: Fault | undefined): { status: number; body: unknown } {
    if (request.headers.authorization !== `Bearer ${this.secretKey}`) return { status: 401, body: problem('invalid_api_key') };
    if (`${request.method} ${request.url}` !== 'POST /v1/checkout/sessions') return { status: 404, body: problem('resource_missing') };
    const before = this.#done.get(key);
    if (before !== undefined) return before.form === form ? before : { status: 400, body: problem('idempotency_key_in_use') };
    if (fault === 500) return { status: 500, body: problem('api_error') };
    if (fault === 402) return { status: 402, body: problem('account_closed') };
    const made = { form, status: 200, body: this.#make(new URLSearchParams(form)) };
    this.#done.set(key, made);
    return made;
  }

  #make(form: URLSearchParams): Session {
    const id = `cs_test_${randomBytes(16).toString('hex')}`;
    const field = (name: string) => form.get(name) ?? '';
    const session: Session = {
      id,
      url: `https://checkout.stripe.com/c/pay/${id}`,
      client_reference_id: field('client_reference_id'),
      metadata: { checkout_id: field('metadata[checkout_id]'), account_id: field('metadata[account_id]') },
      amount_total: Number(field('line_items[0][price_data][unit_amount]')) * Number(field('line_items[0][quantity]')),
      currency: field('line_items[0][price_data][currency]'),
      payment_status: 'unpaid',
    };
    this.sessions.push(session);
    return session;
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function problem(code: string) {
  return { error: { code, type: 'invalid_request_error', message: 'Said by the stand-in.' } };
}
