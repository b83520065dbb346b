/** Credit by card, from the checkout to the ledger, against a stand-in of Stripe that fails, repeats itself and is forged. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as db from '../../db/index.ts';
import { startBridge, type Bridge } from '../../dev/bridge.ts';
import { checkoutIdOf } from '../../functions/billing/checkout-id.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { StripeStandIn, type Delivery } from '../harness/stripe.ts';
import { until } from '../harness/until.ts';

let stripe: StripeStandIn;
let network: TestNetwork;
let bridge: Bridge;
let d: db.Database;
/** Of the account before any card. */
let start: bigint;

beforeAll(async () => {
  stripe = new StripeStandIn();
  await stripe.listen();
  network = await startNetwork({ agents: 0, chutes: [], vars: stripe.vars });
  bridge = await startBridge(network.databaseUrl);
  d = db.connect({ DATABASE_URL: network.databaseUrl, DATABASE_FETCH_ENDPOINT: bridge.endpoint });
  start = await cash();
});
afterAll(async () => {
  await network?.close();
  await bridge?.close();
  await stripe.close();
});
afterEach(() => {
  expect(stripe.faults).toEqual([]);
});

interface Made {
  checkout_id: string;
  url: string;
}

async function checkout(body: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: Made & { code?: string } }> {
  const reply = await network.request('/billing/checkout', { body, headers });
  return { status: reply.status, body: (await reply.json()) as Made & { code?: string } };
}

/** A checkout of 20 USD. */
async function made(): Promise<string> {
  const { status, body } = await checkout({ amount_usd: '20' });
  expect(status).toBe(201);
  return body.checkout_id;
}

async function deliver(delivery: Delivery): Promise<[number, string]> {
  const { body, headers } = stripe.signed(delivery);
  const reply = await fetch(`${network.api}/billing/stripe/webhook`, { method: 'POST', body, headers });
  const told = (await reply.json()) as { code?: string };
  return [reply.status, told.code ?? ''];
}

const cash = async (): Promise<bigint> => (await db.findPurses(d, network.account)).cash.posted;
const stateOf = async (id: string): Promise<string | undefined> => (await listed()).find((row) => row['checkout_id'] === id)?.['state'];

async function listed(): Promise<Record<string, string>[]> {
  const all: Record<string, string>[] = [];
  for (let next: string | null = ''; next !== null;) {
    const reply = await network.request(`/billing/checkouts${next === '' ? '' : `?before=${next}`}`);
    const page = (await reply.json()) as { items: Record<string, string>[]; next: string | null };
    all.push(...page.items);
    next = page.next;
  }
  return all;
}

const eventsOf = (name: string): Record<string, unknown>[] =>
  readFileSync(network.folder.file('log', 'edge.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes(`"event":"${name}"`))
    .map((line) => JSON.parse(line.slice(line.indexOf('{'))) as Record<string, unknown>);

const USD = 1_000_000_000n;

describe('a checkout', () => {
  test('is a session of Stripe under its own key, and credit once it is paid', async () => {
    const before = await cash();
    const { status, body } = await checkout({ amount_usd: '20.50' });
    expect(status).toBe(201);
    expect(stripe.sessions.at(-1)).toMatchObject({
      url: body.url,
      client_reference_id: body.checkout_id,
      metadata: { checkout_id: body.checkout_id, account_id: network.account },
      amount_total: 2050,
      currency: 'usd',
    });
    expect(stripe.keys.at(-1)).toBe(body.checkout_id);
    expect((await listed())[0]).toMatchObject({
      checkout_id: body.checkout_id,
      state: 'open',
      url: body.url,
      amount_nanousd: '20500000000',
    });
    expect(await deliver({ object: stripe.paid(body.checkout_id) })).toEqual([200, '']);
    expect((await cash()) - before).toBe(20_500_000_000n);
    expect((await listed())[0]).toMatchObject({ state: 'paid', url: null, paid_at: expect.any(String), transfer_id: expect.any(String) });
  });

  test.each([
    [{ amount_usd: '4.99' }, 'amount_usd'],
    [{ amount_usd: '10000.01' }, 'amount_usd'],
    [{ amount_usd: '-20' }, 'amount_usd'],
    [{ amount_usd: '20.001' }, 'amount_usd'],
    [{ amount_usd: '1e3' }, 'amount_usd'],
    [{ amount_usd: 'twenty' }, 'amount_usd'],
    [{ amount_usd: '' }, 'amount_usd'],
    [{ amount_usd: 20 }, 'amount_usd'],
    [{ amount_nanousd: '20000000001' }, 'amount_nanousd'],
    [{ amount_nanousd: '99999999999999999999' }, 'amount_nanousd'],
    [{ amount_usd: '20', amount_nanousd: '20000000000' }, 'amount_usd'],
    [{}, 'amount_usd'],
  ])('of %j is refused before anything is kept', async (body, param) => {
    const rows = (await listed()).length;
    const asked = stripe.keys.length;
    const reply = await network.request('/billing/checkout', { body });
    expect([reply.status, await reply.json()]).toMatchObject([400, { code: 'invalid_request', param }]);
    expect([(await listed()).length, stripe.keys.length]).toEqual([rows, asked]);
  });

  test.each([['after'], [409], [429], [500]] as const)('meets the fault %s: the same key again, one session', async (fault) => {
    const sessions = stripe.sessions.length;
    stripe.faults.push(fault);
    const { status, body } = await checkout({ amount_usd: '20' });
    expect(status).toBe(201);
    expect(stripe.sessions.length).toBe(sessions + 1);
    expect(stripe.keys.slice(-2)).toEqual([body.checkout_id, body.checkout_id]);
  });

  test('that Stripe never answered is there, unpaid; the same Idempotency-Key finds its session', async () => {
    const sessions = stripe.sessions.length;
    const key = { 'idempotency-key': randomUUID() };
    stripe.faults.push('after', 'after', 'after');
    const failed = await checkout({ amount_usd: '20' }, key);
    expect([failed.status, failed.body.code]).toEqual([503, 'unavailable']);
    expect((await listed())[0]).toMatchObject({ state: 'open', url: null });
    const [first, again] = [await checkout({ amount_usd: '20' }, key), await checkout({ amount_usd: '20' }, key)];
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body).toEqual(first.body);
    expect(stripe.sessions.length).toBe(sessions + 1);
    const other = await checkout({ amount_usd: '21' }, key);
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
  });

  test('that is over is not shown again to who comes with its Idempotency-Key when answers are forgotten', async () => {
    const key = randomUUID();
    const { key_id: asker } = (await (await network.request('/key')).json()) as { key_id: string };
    const id = await checkoutIdOf(network.account, asker, key);
    await db.insertCheckout(d, { id, accountId: network.account, nanousd: 20n * USD });
    await db.nameCheckout(d, id, 'cs_over', 'https://pay.example/over');
    await db.expireCheckout(d, { id: `evt_${key}`, type: 'checkout.session.expired' }, id);
    const again = await checkout({ amount_usd: '20' }, { 'idempotency-key': key });
    expect([again.status, again.body.code]).toEqual([422, 'idempotency_key_reused']);
  });

  test('that Stripe refuses is told without its words', async () => {
    stripe.faults.push(402);
    const reply = await network.request('/billing/checkout', { body: { amount_usd: '20' } });
    const text = await reply.text();
    expect(reply.status).toBe(503);
    expect(text).not.toContain('stand-in');
    expect(eventsOf('checkout_unmade').at(-1)).toMatchObject({ why: '402 account_closed' });
  });

  test('paid before the edge learned its session, as after a crash between the two', async () => {
    const before = await cash();
    stripe.faults.push('after', 'after', 'after');
    await checkout({ amount_usd: '20' });
    const id = (await listed())[0]?.['checkout_id'] ?? '';
    expect(await deliver({ object: stripe.paid(id) })).toEqual([200, '']);
    expect([(await cash()) - before, await stateOf(id)]).toEqual([20n * USD, 'paid']);
  });
});

describe('a webhook', () => {
  test('again, at once and under other ids is one credit', async () => {
    const before = await cash();
    const object = stripe.paid(await made());
    const same = { id: 'evt_same', object };
    const each = await Promise.all([
      ...Array.from({ length: 8 }, () => deliver(same)),
      deliver({ object, type: 'checkout.session.async_payment_succeeded' }),
      deliver({ object }),
    ]);
    expect(each).toEqual(Array.from({ length: 10 }, () => [200, '']));
    expect(await deliver(same)).toEqual([200, '']);
    expect((await cash()) - before).toBe(20n * USD);
    expect(eventsOf('checkout_aside').filter(({ session }) => session === object.id)).toEqual([]);
  });

  test.each<[string, (id: string) => object]>([
    ['another amount', (id) => ({ ...stripe.paid(id), amount_total: 1999 })],
    ['more than asked', (id) => ({ ...stripe.paid(id), amount_total: 200_000 })],
    ['another currency', (id) => ({ ...stripe.paid(id), currency: 'jpy' })],
    ['a checkout of nobody', (id) => ({ ...stripe.paid(id), client_reference_id: randomUUID() })],
    ['another session for the checkout', (id) => ({ ...stripe.paid(id), id: `cs_test_${randomUUID().replaceAll('-', '')}` })],
  ])('about %s is kept aside, and the operator is told once', async (_, change) => {
    const before = await cash();
    const id = await made();
    const delivery = { id: `evt_${randomUUID().replaceAll('-', '')}`, object: change(id) };
    expect(await deliver(delivery)).toEqual([200, '']);
    expect(await deliver(delivery)).toEqual([200, '']);
    expect([await cash(), await stateOf(id)]).toEqual([before, 'open']);
    expect(eventsOf('checkout_aside').filter(({ told }) => told === delivery.id)).toHaveLength(1);
  });

  test('about a second payment of a paid checkout is kept aside', async () => {
    const id = await made();
    await deliver({ object: stripe.paid(id) });
    const before = await cash();
    const other = { ...stripe.paid(id), id: `cs_test_${randomUUID().replaceAll('-', '')}` };
    await deliver({ object: other });
    expect(await cash()).toBe(before);
    expect(eventsOf('checkout_aside').filter(({ session }) => session === other.id)).toHaveLength(1);
  });

  test('about a session that waits for its money, and others’ business, does nothing', async () => {
    const before = await cash();
    const id = await made();
    const waits = { ...stripe.paid(id), payment_status: 'unpaid' };
    expect(await deliver({ object: waits })).toEqual([200, '']);
    expect(await deliver({ object: { id: 'cs_of_a_shop', payment_status: 'paid', amount_total: 500, currency: 'usd' } })).toEqual([
      200,
      '',
    ]);
    expect(await deliver({ type: 'invoice.paid', object: { id: 'in_1' } })).toEqual([200, '']);
    expect([await cash(), await stateOf(id)]).toEqual([before, 'open']);
  });

  test('that it expired closes it; money that comes all the same is credited', async () => {
    const before = await cash();
    const id = await made();
    await deliver({ type: 'checkout.session.expired', object: stripe.paid(id) });
    expect(await stateOf(id)).toBe('expired');
    await deliver({ type: 'checkout.session.async_payment_succeeded', object: stripe.paid(id) });
    await deliver({ type: 'checkout.session.expired', object: stripe.paid(id) });
    expect([(await cash()) - before, await stateOf(id)]).toEqual([20n * USD, 'paid']);
  });

  test('about a refund or a dispute is told to the operator once; nothing is debited', async () => {
    const before = await cash();
    const refund = { id: 'evt_refund', type: 'charge.refunded', object: { id: 'ch_1' } };
    for (let i = 0; i < 3; i++) expect(await deliver(refund)).toEqual([200, '']);
    expect(await deliver({ type: 'charge.dispute.created', object: { id: 'dp_1' } })).toEqual([200, '']);
    expect(await cash()).toBe(before);
    expect(eventsOf('card_reversal').map(({ what, object }) => [what, object])).toEqual([
      ['refund', 'ch_1'],
      ['dispute', 'dp_1'],
    ]);
  });

  const now = () => Math.floor(Date.now() / 1000);
  test.each<[string, (delivery: Delivery) => Delivery]>([
    ['without a signature', (it) => ({ ...it, header: '' })],
    ['with a wrong one', (it) => ({ ...it, header: `t=${now()},v1=${'ab'.repeat(32)}` })],
    ['by another secret', (it) => ({ ...it, secret: 'whsec_of_somebody' })],
    ['of six minutes ago', (it) => ({ ...it, t: now() - 360 })],
    ['of six minutes to come', (it) => ({ ...it, t: now() + 360 })],
    ['of scheme v0 alone', (it) => ({ ...it, header: stripe.signed(it).headers['stripe-signature']?.replace('v1=', 'v0=') ?? '' })],
  ])('%s is refused and writes nothing', async (_, change) => {
    const before = await cash();
    const id = await made();
    expect(await deliver(change({ id: 'evt_forged', object: stripe.paid(id) }))).toEqual([401, 'invalid_signature']);
    expect([await cash(), await stateOf(id)]).toEqual([before, 'open']);
    // The id was not burnt by the forgery.
    expect(await deliver({ id: `evt_true_${id.replaceAll('-', '')}`, object: stripe.paid(id) })).toEqual([200, '']);
    expect((await cash()) - before).toBe(20n * USD);
  });

  test('whose body was changed on the way is refused', async () => {
    const { body, headers } = stripe.signed({ object: { ...stripe.paid(await made()), amount_total: 2000 } });
    const changed = body.replace('2000', '9000');
    const reply = await fetch(`${network.api}/billing/stripe/webhook`, { method: 'POST', body: changed, headers });
    expect([reply.status, await reply.json()]).toMatchObject([401, { code: 'invalid_signature' }]);
  });

  test('of more than 256 KiB is refused unread; one that is no event is 400', async () => {
    const big = stripe.signed({ object: { pad: 'x'.repeat(300 * 1024) } });
    const url = `${network.api}/billing/stripe/webhook`;
    expect((await fetch(url, { method: 'POST', ...big })).status).toBe(413);
    expect(await deliver({ id: 'no event id!', object: {} })).toEqual([400, 'invalid_request']);
  });

  test('that comes while Postgres is away is not acknowledged, and counts when it is sent again', async () => {
    const before = await cash();
    const id = await made();
    const delivery = { id: `evt_${id.replaceAll('-', '')}`, object: stripe.paid(id) };
    await network.postgres.stop();
    const [status] = await deliver(delivery);
    expect(status).toBe(503);
    await network.postgres.restart();
    await until('Postgres takes it', async () => (await deliver(delivery))[0] === 200);
    expect((await cash()) - before).toBe(20n * USD);
  });
});

test('a hundred unpaid checkouts in an hour are enough for one account', async () => {
  const asked = stripe.keys.length;
  const made = await Promise.all(
    Array.from({ length: 120 }, () => db.insertCheckout(d, { id: randomUUID(), accountId: network.account, nanousd: 20n * USD })),
  );
  expect(made).toContain(null);
  // Many are of one millisecond; each is on one page.
  const rows = new Set((await listed()).map((row) => row['checkout_id']));
  expect(made.flatMap((row) => row?.id ?? []).filter((id) => !rows.has(id))).toEqual([]);
  const { status, body } = await checkout({ amount_usd: '20' });
  expect([status, body.code, stripe.keys.length]).toEqual([429, 'rate_limited', asked]);
});

test('the books add up, each payment once, and no secret is in the log', async () => {
  expect((await db.checkBooks(d)).filter(({ broken }) => broken > 0)).toEqual([]);
  const paid = (await listed()).filter(({ state }) => state === 'paid');
  const total = paid.reduce((sum, row) => sum + BigInt(row['amount_nanousd'] ?? 0), 0n);
  expect((await cash()) - start).toBe(total);
  const log = readFileSync(network.folder.file('log', 'edge.log'), 'utf8');
  for (const secret of [stripe.secretKey, stripe.webhookSecret]) expect(log.includes(secret)).toBe(false);
});
