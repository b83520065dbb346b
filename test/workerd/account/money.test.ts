/** The Account's money in workerd: real rows and alarms, calls that wait for credit, and a bank that is played behind `fetch`. */
import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { describe, expect, test } from 'vitest';
import type { OpenAnswer, OpenAsk } from '../../../functions/calls/ports.ts';
import { signatureOf } from '../../../functions/account/webhook.ts';
import { FREE } from '../../../functions/prices/now.ts';
import { accountStub } from '../../../functions/stubs.ts';
import { Bank } from '../../unit/account/bank.ts';
import {
  alarmUntil,
  ask,
  Developer,
  env,
  openAsk,
  postgres,
  posts,
  rows,
  settlement,
  statements,
  withKey,
  type Statement,
} from './stage.ts';

const USD = 1_000_000_000n;
/** Quoted 2,000 with its 1,000 output tokens; costs 1,000 where none comes. */
const CALL: Partial<OpenAsk> = {
  terms: { ...FREE, version: 'p1', price: { ...FREE.price, per_request: 1_000, output_per_million: 1_000_000 } },
  facts: { requestBytes: 0, maxTokens: 1_000, timeoutMs: 60_000, images: 0, steps: 0 },
};
const PAID = { tokensOut: 0 };

/** Statements about money; everything else is answered as by an empty database. */
class PlayedBank {
  readonly bank: Bank;
  /** Held back until it resolves. */
  gate: Promise<void> = Promise.resolve();
  down = false;

  constructor(cash: bigint, promo = 0n) {
    this.bank = new Bank(cash, promo);
    postgres((statement) => this.answer(statement));
  }

  private answer({ query, params }: Statement): Response | Promise<Response> | undefined {
    if (this.down) return new Response('down', { status: 503 });
    if (query.includes('lease_move')) return this.gate.then(() => this.move(params.map(String)));
    if (query.includes('flush_calls')) return this.flush(String(params[0]));
    if (query.includes("'purse' as what")) return this.funds();
    return undefined;
  }

  private move([, epoch, n, cash, promo, want]: string[]): Response {
    const move = { n: Number(n), cash: BigInt(cash ?? 0), promo: BigInt(promo ?? 0), want: BigInt(want ?? 0) };
    const answer = this.bank.move(Number(epoch), move);
    const { kind, cashAmount, promoAmount, cashAvailable, promoAvailable } = answer;
    const amounts = { cash_amount: cashAmount, promo_amount: promoAmount, cash_available: cashAvailable, promo_available: promoAvailable };
    const texts = Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, amount.toString()]));
    return rows([[JSON.stringify({ kind, epoch: answer.epoch, n: answer.n, ...texts })]], 3802);
  }

  /** What a capture does to purses and lease. */
  private flush(text: string): Response {
    const records = JSON.parse(text) as { callId: string; leaseEpoch: number | null; cashNanousd: string; promoNanousd: string }[];
    for (const { callId, leaseEpoch, cashNanousd, promoNanousd } of records) {
      if (this.bank.captured.has(callId)) continue;
      const [cash, promo] = [BigInt(cashNanousd), BigInt(promoNanousd)];
      this.bank.captured.set(callId, { cost: cash + promo, cash, promo });
      this.bank.cash -= cash;
      this.bank.promo -= promo;
      const lease = this.bank.leases.get(leaseEpoch ?? -1);
      if (lease === undefined) continue;
      lease.cashSpent += cash;
      lease.promoSpent += promo;
    }
    return rows([['{"taken":1,"known":0}']], 3802);
  }

  private funds(): Response {
    const { bank } = this;
    const purse = (kind: 'cash' | 'promo') => [
      'purse',
      kind,
      '0',
      bank[kind].toString(),
      (bank[kind] - bank.free(kind)).toString(),
      '0',
      '0',
    ];
    const leases = [...bank.leases].filter(([, lease]) => lease.state !== 'closed');
    const lines = leases.map(([epoch, l]) => ['lease', '', String(epoch), ...[l.cash, l.promo, l.cashSpent, l.promoSpent].map(String)]);
    return rows([purse('cash'), purse('promo'), ...lines], 25, ['what', 'kind', 'epoch', 'a', 'b', 'c', 'd']);
  }
}

async function customer(change: object = {}) {
  const developer = new Developer();
  const account = await developer.register();
  const key = await developer.key(change);
  const stub = accountStub(env, account);
  const get = async (target: string) => (await ask('GET', target, '', withKey(key))).json;
  return { developer, account, key, stub, get, open: async () => stub.open(await openAsk(key, CALL)) as Promise<OpenAnswer> };
}

const moves = () => statements.filter((s) => s.query.includes('lease_move'));

describe('the lease', () => {
  test('calls that wait for credit share one statement, and what is held survives a crash', async () => {
    const { account, key, stub, get } = await customer();
    const played = new PlayedBank(5n * USD, 500n);
    let open: () => void = () => {};
    played.gate = new Promise((resolve) => (open = resolve));
    const asks = await Promise.all(Array.from({ length: 20 }, () => openAsk(key, CALL)));
    const opened = Promise.all(asks.map((one) => stub.open(one)));
    await expect.poll(() => moves().length).toBe(1);
    open();
    for (const answer of await opened) expect(answer).toMatchObject({ ok: true, hold: 2_000n });
    expect(moves()).toHaveLength(1);
    await abortAllDurableObjects();
    expect(await get('/accounts/me/balance')).toMatchObject({
      held_nanousd: '40000',
      available_nanousd: (5n * USD + 500n - 40_000n).toString(),
    });
    await accountStub(env, account).settle(asks.map((one) => settlement(one, PAID)));
    const balance = { held_nanousd: '0', cash_nanousd: (5n * USD - 19_500n).toString(), promo_nanousd: '0' };
    expect(await get('/accounts/me/balance')).toMatchObject({ ...balance, unbilled_nanousd: '20000' });
    await alarmUntil(accountStub(env, account), () => played.bank.captured.size === 20);
    expect(await get('/accounts/me/balance')).toMatchObject({ ...balance, unbilled_nanousd: '0', available_nanousd: balance.cash_nanousd });
  });

  test('Postgres away: leased accounts go on, others get 503, the balance is as it was last heard of', async () => {
    const [leased, other] = [await customer(), await customer()];
    const played = new PlayedBank(USD / 2n);
    expect(await leased.open()).toMatchObject({ ok: true });
    played.down = true;
    expect(await leased.open()).toMatchObject({ ok: true });
    expect(await other.open()).toMatchObject({ ok: false, code: 'unavailable', retryAfterMs: expect.any(Number) as number });
    expect(await leased.get('/accounts/me/balance')).toMatchObject({
      available_nanousd: (USD / 2n - 4_000n).toString(),
      held_nanousd: '4000',
    });
    expect(await other.get('/accounts/me/balance')).toMatchObject({ code: 'unavailable' });
    played.down = false;
    await expect.poll(other.open, { timeout: 5_000 }).toMatchObject({ ok: true });
  });

  test('no answer at all: a call waits five seconds, not longer', async () => {
    const { open } = await customer();
    new PlayedBank(USD).gate = new Promise(() => {});
    const before = Date.now();
    expect(await open()).toMatchObject({ ok: false, code: 'unavailable' });
    expect(Date.now() - before).toBeLessThan(8_000);
  }, 15_000);

  test('402 tells what is required and what there is; a payment mends it', async () => {
    const { open } = await customer();
    const played = new PlayedBank(1_999n);
    expect(await open()).toMatchObject({ ok: false, code: 'insufficient_credit', required: 2_000n, available: 1_999n });
    played.bank.cash += 1n;
    await expect.poll(open, { timeout: 5_000 }).toMatchObject({ ok: true });
  });

  test('a running call is held for more, a rent for its period', async () => {
    const { key, stub } = await customer();
    new PlayedBank(20n * USD);
    const price = { ...FREE.price, output_per_million: 10_000_000_000, per_instance_second: 1_000_000 };
    const terms = { ...FREE, version: 'p2', price };
    const facts = { requestBytes: 0, maxTokens: null, timeoutMs: 60_000, images: 0, steps: 0 };
    const long = await openAsk(key, { terms, facts, extensible: true });
    expect(await stub.open(long)).toMatchObject({ ok: true, hold: 10_240_000n, allowance: 1_024 });
    expect(await stub.extend(long.call, 300_000)).toEqual({ ok: true, allowance: 300_032 });
    expect(await stub.extend(long.call, 4_000_000)).toEqual({ ok: false });
    const rent = { call: crypto.randomUUID(), chute: 'cht_1', version: 'v', instance: 'ins_1', terms, ms: 1_000_000 };
    expect([await stub.rent(rent), await stub.rent(rent)]).toEqual([true, true]);
    expect(await stub.money()).toMatchObject({ held: 3_000_320_000n + 1_000_000_000n });
  });

  test('a lease that was fenced: its closed call is set aside, the account goes on', async () => {
    const { key, stub, open } = await customer();
    const played = new PlayedBank(20n * USD);
    const call = await openAsk(key, CALL);
    await stub.open(call);
    await stub.settle([settlement(call, PAID)]);
    played.bank.fence(1);
    let refused = 0;
    postgres((statement) => {
      if (!statement.query.includes('flush_calls')) return played['answer'](statement);
      refused++;
      return Response.json({ message: 'lease 1 is closed', code: 'RC410' }, { status: 400 });
    });
    await alarmUntil(stub, () => refused > 0);
    await expect.poll(() => stub.money()).toMatchObject({ outbox: { size: 0 }, free: 0n });
    expect(await open()).toMatchObject({ ok: true });
    await runDurableObjectAlarm(stub);
    expect(refused).toBe(1);
    expect((await stub.money()).leases.map((lease) => lease.epoch)).toEqual([2]);
  });
});

describe('caps', () => {
  test('made, shown, changed and taken away by the API; the key sees itself', async () => {
    const { developer, key, get, open } = await customer({ scopes: ['invoke'], cap: { limit_nanousd: '3000', period: 'month' } });
    new PlayedBank(USD);
    expect(await open()).toMatchObject({ ok: true });
    const refused = await open();
    expect(refused).toMatchObject({ ok: false, code: 'key_cap_reached', required: 2_000n, available: 1_000n });
    const shown = await get('/key');
    const resetsAt = refused.ok ? null : new Date(refused.resetAt ?? 0).toISOString();
    const cap = {
      limit_nanousd: '3000',
      period: 'month',
      spent_nanousd: '0',
      held_nanousd: '2000',
      remaining_nanousd: '1000',
      resets_at: resetsAt,
    };
    expect(shown).toMatchObject({ name: 'test', scopes: ['invoke'], cap });
    const id = String(shown['key_id']);
    const patch = (body: object) => developer.ask('PATCH', `/keys/${id}`, body);
    expect(await patch({ cap: { limit_nanousd: '4000' }, name: 'other' })).toMatchObject({
      status: 200,
      json: { name: 'other', cap: { limit_nanousd: '4000', period: 'total', remaining_nanousd: '2000', resets_at: null } },
    });
    expect(await open()).toMatchObject({ ok: true });
    expect(await patch({ cap: null, expires_at: '2099-01-01T00:00:00Z' })).toMatchObject({
      json: { cap: null, name: 'other', expires_at: '2099-01-01T00:00:00.000Z' },
    });
    expect(await open()).toMatchObject({ ok: true });
    expect(await developer.ask('PATCH', '/keys/key_nobody', {})).toMatchObject({ status: 404 });
    expect(await ask('GET', '/key', '', withKey(`${key.slice(0, -1)}x`))).toMatchObject({ status: 401 });
    expect(await ask('PATCH', `/keys/${id}`, '{"cap":null}', withKey(key))).toMatchObject({ status: 403 });
  });

  test('a key with a cap neither raises it nor makes or changes other keys; it may revoke them', async () => {
    const cap = { limit_nanousd: '3000', period: 'month' };
    const { developer, key, get } = await customer({ scopes: ['invoke', 'keys'], cap });
    const other = await developer.ask('POST', '/keys', { name: 'other' });
    const asKey = (method: string, path: string, body: object) => ask(method, path, JSON.stringify(body), withKey(key));
    const own = (await get('/key')) as { key_id: string };
    const refusal = { status: 403, json: { code: 'insufficient_scope', hint: 'Use a key without a cap, or the hotkey.' } };
    expect(await asKey('PATCH', `/keys/${own.key_id}`, { cap: null })).toMatchObject(refusal);
    expect(await asKey('PATCH', `/keys/${String(other.json['key_id'])}`, { cap: null })).toMatchObject(refusal);
    expect(await asKey('POST', '/keys', { name: 'free', cap: { limit_nanousd: '1' } })).toMatchObject(refusal);
    expect((await get('/key')) as object).toMatchObject({ cap });
    expect(await ask('DELETE', `/keys/${String(other.json['key_id'])}`, '', withKey(key))).toMatchObject({ status: 204 });
  });

  test.each<[string, object, string]>([
    ['negative', { cap: { limit_nanousd: '-1' } }, 'cap.limit_nanousd'],
    ['a fraction', { cap: { limit_nanousd: '1.5' } }, 'cap.limit_nanousd'],
    ['a number', { cap: { limit_nanousd: 5 } }, 'cap.limit_nanousd'],
    ['beyond a bigint', { cap: { limit_nanousd: '9223372036854775808' } }, 'cap.limit_nanousd'],
    ['very long', { cap: { limit_nanousd: '9'.repeat(5_000) } }, 'cap.limit_nanousd'],
    ['hexadecimal', { cap: { limit_nanousd: '0x10' } }, 'cap.limit_nanousd'],
    ['a period nobody knows', { cap: { limit_nanousd: '1', period: 'year' } }, 'cap.period'],
    ['a currency', { cap: { limit_nanousd: '1', currency: 'EUR' } }, 'cap'],
    ['an expiry in the past', { expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    ['an expiry that no record holds', { expires_at: '9999-12-31T23:59:59-01:00' }, 'expires_at'],
  ])('%s is refused', async (_, body, param) => {
    const developer = new Developer();
    await developer.register();
    const refusal = { status: 400, json: { code: 'invalid_request', param } };
    expect(await developer.ask('POST', '/keys', { name: 'x', ...body })).toMatchObject(refusal);
    expect(await developer.ask('PATCH', '/keys/key_x', body)).toMatchObject(refusal);
  });

  test('500 parallel calls, each quoted twice its real cost, against a cap that fits 50 real costs', async () => {
    const CAP = 50_000n;
    const { account, key, get } = await customer({ cap: { limit_nanousd: CAP.toString(), period: 'day' } });
    new PlayedBank(USD);
    let waiting = await Promise.all(Array.from({ length: 500 }, () => openAsk(key, CALL)));
    let paid = 0;
    for (let accepted = 1; accepted > 0;) {
      const answers = await Promise.all(waiting.map((one) => accountStub(env, account).open({ ...one, crowd: true })));
      const { cap } = (await get('/key')) as { cap: Record<string, string> };
      expect(BigInt(cap['spent_nanousd'] ?? 0) + BigInt(cap['held_nanousd'] ?? 0)).toBeLessThanOrEqual(CAP);
      const running = waiting.filter((_, k) => answers[k]?.ok);
      const refused = answers.filter((answer) => !answer.ok);
      for (const answer of refused) expect(answer).toMatchObject({ code: 'key_cap_reached', required: 2_000n });
      for (const answer of refused) expect(!answer.ok && (answer.available ?? 0n) < 2_000n).toBe(true);
      await Promise.all(running.map((one) => accountStub(env, account).settle([settlement(one, PAID)])));
      await evictDurableObject(accountStub(env, account));
      waiting = waiting.filter((_, k) => answers[k]?.ok === false);
      accepted = running.length;
      paid += accepted;
    }
    const { cap } = (await get('/key')) as { cap: Record<string, string> };
    expect(cap).toMatchObject({ spent_nanousd: (paid * 1_000).toString(), held_nanousd: '0' });
    expect(paid).toBe(49);
  }, 60_000);
});

test('alerts: set, kept, fired, posted under a signature, and shown', async () => {
  const { developer, get, key, stub } = await customer();
  const played = new PlayedBank(USD);
  const put = (body: object) => developer.ask('PUT', '/accounts/me/alerts', body);
  for (const webhook_url of ['http://hooks.example.com/', 'https://127.0.0.1/', 'https://localhost/', 'nothing'])
    expect(await put({ webhook_url })).toMatchObject({ status: 400, json: { param: 'webhook_url' } });
  for (const balance_below_nanousd of ['0', '-5', '1.5', '9'.repeat(19), 7])
    expect(await put({ balance_below_nanousd })).toMatchObject({ status: 400, json: { param: 'balance_below_nanousd' } });
  for (const cap_percent of [[0], [101], [1.5], Array.from({ length: 11 }, () => 1)])
    expect(await put({ cap_percent })).toMatchObject({ status: 400 });
  const settings = { balance_below_nanousd: USD.toString(), cap_percent: [50], webhook_url: 'https://hooks.example.com/x' };
  const made = await put(settings);
  expect(made).toMatchObject({ status: 200, json: { ...settings, webhook_secret: expect.stringMatching(/^whsec_/) as string } });
  expect((await put(settings)).json).toEqual(settings); // the secret is shown once
  const call = await openAsk(key, CALL);
  await stub.open(call);
  await stub.settle([settlement(call, PAID)]);
  await expect
    .poll(() => get('/accounts/me/alerts'))
    .toMatchObject({ items: [{ kind: 'balance_below', value_nanousd: (USD - 1_000n).toString() }] });
  await alarmUntil(stub, () => posts.length > 0);
  const { headers, body, redirect } = posts[0] ?? {};
  const sent = new Headers(headers);
  const secret = String(made.json['webhook_secret']);
  const [id, seconds] = [sent.get('webhook-id') ?? '', Number(sent.get('webhook-timestamp'))];
  expect(sent.get('webhook-signature')).toBe(await signatureOf(secret, id, seconds, body ?? ''));
  expect([redirect, id]).toEqual(['manual', `${call.claim.account}_alert_1`]);
  expect(JSON.parse(body ?? '')).toMatchObject({ type: 'ripcord.balance_below', data: { limit_nanousd: USD.toString() } });
  await expect
    .poll(() => get('/accounts/me/alerts'))
    .toMatchObject({ items: [{ deliveries: 1, delivered_at: expect.any(String) as string }] });
  expect(played.bank.moves).toBeGreaterThan(0);
});
