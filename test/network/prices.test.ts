/** Prices through the whole network: their history, quotes, prices of one account, and rent of a private chute. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chuteConfigSchema, type CodeRef } from '#protocol';
import { Client } from '../../cli/client.ts';
import { readChuteToml } from '../../cli/chute-toml/read.ts';
import { packFolder } from '../../cli/pack/pack.ts';
import { ROOT } from '../../dev/network.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { brokenBooks, newPayer, type Payer } from '../harness/payer.ts';
import { until } from '../harness/until.ts';

const USD = 1_000_000_000n;
const FREE = {
  input_per_million: 0,
  output_per_million: 0,
  per_second: 0,
  per_request: 0,
  per_image: 0,
  per_step: 0,
  per_instance_second: 0,
};
const CHAT = { input_per_million: 3_000_000, output_per_million: 7_000_000, per_request: 11 };

let network: TestNetwork;
let other: Payer;
let code: CodeRef;
let base: Record<string, unknown>;

beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  other = await newPayer(network, USD);
  const folder = network.folder.folder('paid');
  cpSync(join(ROOT, 'test/network/chutes/paid'), folder, { recursive: true });
  base = (await readChuteToml(join(folder, 'chute.toml'))).config;
  const packed = await packFolder(folder);
  await new Client(network).putBlob(packed.sha256, packed.data);
  code = { sha256: packed.sha256, bytes: packed.bytes };
});
afterAll(() => network?.close());

function deploy(name: string, fields: Record<string, unknown>) {
  return new Client(network).deploy(chuteConfigSchema.parse({ ...base, name, ...fields }), code);
}

async function ask<T = Record<string, unknown>>(method: string, path: string, body?: unknown, key = network.key) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const reply = await fetch(`${network.api}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: reply.status, headers: reply.headers, body: (await reply.json()) as T };
}

interface PriceItem {
  price_version: string;
  price: Record<string, number>;
  starts_at: string;
  ends_at: string | null;
  in_force: boolean;
  discount_bps: number;
  fee_bps: number;
}
const history = async (name: string, key = network.key) =>
  (await ask<{ items: PriceItem[] }>('GET', `/chutes/demo/${name}/prices`, undefined, key)).body.items;

async function rows<T extends object>(text: string, values: unknown[]): Promise<T[]> {
  const postgres = new Postgres({ connectionString: network.databaseUrl });
  await postgres.connect();
  try {
    return (await postgres.query<T>(text, values)).rows;
  } finally {
    await postgres.end();
  }
}

interface ChuteState {
  chute_id: string;
  version: string;
  price: Record<string, number>;
  price_version: string;
  coming_prices: PriceItem[];
  held_back: { code: string } | null;
  instances: { instance_id: string; state: string }[];
}
const state = async (name: string) => (await ask<ChuteState>('GET', `/chutes/demo/${name}`)).body;
const live = (name: string) =>
  until(`${name} is live`, async () => (await state(name)).instances.some((i) => i.state === 'live'), { deadlineMs: 60_000 });

describe('the history of a price', () => {
  test('the first deploy sets it at once, the same again adds nothing, another one comes with notice and replaces nothing', async () => {
    const first = await deploy('tokens', { price: CHAT });
    expect(await history('tokens')).toMatchObject([
      { price: { ...FREE, ...CHAT }, in_force: true, discount_bps: 0, fee_bps: 1500, ends_at: null },
    ]);
    await live('tokens');
    const before = await state('tokens');
    await deploy('tokens', { price: CHAT });
    await deploy('tokens', {});
    expect(await history('tokens')).toHaveLength(1);
    const again = await deploy('tokens', { price: { ...CHAT, per_request: 12 } });
    expect(again.version).toBe(first.version);
    const [coming, current] = await history('tokens');
    expect([coming?.in_force, current?.in_force]).toEqual([false, true]);
    expect(Date.parse(coming?.starts_at ?? '') - Date.now()).toBeGreaterThan(50_000);
    const after = await state('tokens');
    expect(after).toMatchObject({ price: CHAT, price_version: current?.price_version });
    expect(after.coming_prices.map((item) => item.price_version)).toEqual([coming?.price_version]);
    expect(after.instances.map((i) => i.instance_id)).toEqual(before.instances.map((i) => i.instance_id));
  });

  test('a promotion is ordered once, and starts and ends as it says', async () => {
    const [starts, ends] = [new Date(Date.now() + 600_000).toISOString(), new Date(Date.now() + 1_200_000).toISOString()];
    const promotion = { price: CHAT, discount_bps: 5000, starts_at: starts, ends_at: ends, note: 'half off' };
    const made = await ask('PUT', '/chutes/demo/tokens/price', promotion);
    expect(made).toMatchObject({ status: 201, body: { starts_at: starts, ends_at: ends, discount_bps: 5000, note: 'half off' } });
    const again = await ask('PUT', '/chutes/demo/tokens/price', promotion);
    expect(again).toMatchObject({ status: 200, body: { price_version: made.body['price_version'] } });
    expect((await state('tokens')).coming_prices).toHaveLength(2);
  });

  const far = new Date(Date.now() + 370 * 86_400_000).toISOString();
  test.each([
    ['below zero', { price: { per_request: -1 } }, 'price.per_request'],
    ['parts of a nano-USD', { price: { per_request: 1.5 } }, 'price.per_request'],
    ['more than 10,000 dollars', { price: { per_request: 1e13 + 1 } }, 'price.per_request'],
    ['in text', { price: { per_request: '5' } }, 'price.per_request'],
    ['by a unit there is not', { price: { per_mile: 1 } }, 'price'],
    ['no price', {}, 'price'],
    ['a discount above all', { price: {}, discount_bps: 10_001 }, 'discount_bps'],
    ['a start in the past', { price: {}, starts_at: '2020-01-01T00:00:00Z' }, 'starts_at'],
    ['a start that is no time', { price: {}, starts_at: 'tomorrow' }, 'starts_at'],
    ['a start too far away', { price: {}, starts_at: far }, 'starts_at'],
    ['an end before its start', { price: {}, ends_at: new Date(Date.now() + 30_000).toISOString() }, 'ends_at'],
    ['a note too long', { price: {}, note: 'x'.repeat(201) }, 'note'],
    ['a note that Postgres cannot hold', { price: {}, note: 'a\0b' }, 'note'],
  ])('a price is refused: %s', async (_, body, param) => {
    const reply = await ask('PUT', '/chutes/demo/tokens/price', body);
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_request', param } });
  });

  test('fifty may wait to start, and no more', async () => {
    await deploy('planned', { min: 0 });
    const at = (k: number) => new Date(Date.now() + 3_600_000 + k * 60_000).toISOString();
    const order = (k: number) => ask('PUT', '/chutes/demo/planned/price', { price: { per_request: k }, starts_at: at(k) });
    for (let k = 1; k <= 50; k++) expect((await order(k)).status).toBe(201);
    expect(await order(51)).toMatchObject({ status: 400, body: { param: 'starts_at' } });
    expect((await state('planned')).coming_prices).toHaveLength(50);
    // The last to start first, and on from any of them.
    const all = await history('planned');
    expect(all.map(({ price }) => price['per_request'])).toEqual(Array.from({ length: 50 }, (_, k) => 50 - k));
    const path = `/chutes/demo/planned/prices?after=${all[9]?.price_version}`;
    expect((await ask<{ items: PriceItem[] }>('GET', path)).body.items).toEqual(all.slice(10));
  });

  test('others read the prices of a public chute and set none; of a private one they know nothing', async () => {
    await deploy('hidden', { public: false, min: 0 });
    expect((await history('tokens', other.key)).length).toBeGreaterThan(1);
    expect((await ask('GET', '/chutes/demo/hidden/prices', undefined, other.key)).status).toBe(404);
    expect((await ask('PUT', '/chutes/demo/tokens/price', { price: {} }, other.key)).status).toBe(403);
    expect((await ask('PUT', '/chutes/demo/hidden/price', { price: {} }, other.key)).status).toBe(404);
  });

  test('the list of models and the board tell it', async () => {
    const price = { prompt: '0.000000003', completion: '0.000000007', request: '0.000000011', image: '0' };
    const listed = await until('the model is listed with its price', async () => {
      const { data } = (await ask<{ data: Record<string, unknown>[] }>('GET', '/v1/models')).body;
      return data.find((model) => model['id'] === 'demo/tokens' && 'pricing' in model);
    });
    expect(listed).toMatchObject({ pricing: price, price_nanousd: CHAT });
  });
});

interface Quote {
  chute_id: string;
  price_version: string;
  most_nanousd: string;
  hold_nanousd: string;
  lines: { what: string; units: number; nanousd: string }[];
  available_nanousd: string;
  fits: boolean;
}

describe('a quote', () => {
  const request = { model: 'demo/tokens', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 };
  const bytes = JSON.stringify(request).length;
  // Tokens of the request are at most its bytes; 1 for the second rounding.
  const most = 11 + bytes * 3 + 1 + 100 * 7;

  test('says what the same call would cost at most, and does not make it', async () => {
    const { status, body } = await ask<Quote>('POST', '/quote', request, other.key);
    expect({ status, body }).toMatchObject({ status: 200, body: { most_nanousd: String(most), hold_nanousd: String(most), fits: true } });
    expect(body.lines).toMatchObject([
      { what: 'per_request', units: 1, nanousd: '11' },
      { what: 'input_per_million', units: bytes, nanousd: String(bytes * 3 + 1) },
      { what: 'output_per_million', units: 100, nanousd: '700' },
    ]);
    expect(body.available_nanousd).toBe(String(USD));
    expect((await ask<{ items: unknown[] }>('GET', '/calls', undefined, other.key)).body.items).toEqual([]);
    const named = await ask<Quote>('POST', '/quote?path=/call/demo/tokens/v1/chat/completions', request, other.key);
    expect(named.body.most_nanousd).toBe(String(most));
    const called = await ask('POST', '/v1/chat/completions', request, other.key);
    expect(called.status).toBe(200);
    expect(Number(called.headers.get('x-ripcord-cost-nanousd'))).toBeLessThanOrEqual(most);
  });

  test('of a call that the account cannot pay does not fit', async () => {
    const { body } = await ask<Quote>('POST', '/quote', { ...request, max_tokens: 9_000_000_000 }, other.key);
    expect(body).toMatchObject({ most_nanousd: String(11 + (bytes + 7) * 3 + 1 + 10_000_000 * 7), fits: true });
    const dear = await deploy('dear', { price: { per_request: 10_000_000_000_000 }, min: 0 });
    expect(dear.created).toBe(true);
    const reply = await ask<Quote>('POST', '/quote?path=/call/demo/dear/x', {}, other.key);
    expect(reply.body).toMatchObject({ most_nanousd: '10000000000000', fits: false });
  });

  test.each([
    ['a path that is no call', '/quote?path=/keys', { model: 'demo/tokens' }, 400, 'path'],
    ['no model', '/quote', {}, 400, 'model'],
    ['tokens that are no number', '/quote', { model: 'demo/tokens', max_tokens: -1 }, 400, 'max_tokens'],
    ['a chute there is not', '/quote', { model: 'demo/nothing' }, 404, undefined],
    ['a chute of others', '/quote?path=/call/demo/hidden', {}, 404, undefined],
  ])('is refused for %s', async (_, path, body, status, param) => {
    const reply = await ask('POST', path, body, other.key);
    expect(reply.status).toBe(status);
    expect(reply.body['param']).toBe(param);
  });
});

describe('prices of one account', () => {
  const request = { model: 'demo/tokens', messages: [], max_tokens: 1 };
  const override = (body: Record<string, unknown>) => ask('POST', '/internal/overrides', body, network.internalToken);
  const quoted = async (key: string) => (await ask<Quote>('POST', '/quote', request, key)).body;

  test('for a chute before those for all before the chute’s own; nobody else has them; calls are charged by them', async () => {
    const { chute_id: chute } = await state('tokens');
    const usual = await quoted(other.key);
    const all = await override({ account_id: other.account, chute_id: '*', discount_bps: 10_000, note: 'partner' });
    expect(all).toMatchObject({ status: 201, body: { chute_id: '*' } });
    expect(await quoted(other.key)).toMatchObject({
      most_nanousd: '0',
      price_version: `${usual.price_version}+${String(all.body['price_version'])}`,
    });
    const one = await override({ account_id: other.account, chute_id: chute, price: { per_request: 5 } });
    expect(await quoted(other.key)).toMatchObject({ most_nanousd: '5', lines: [{ what: 'per_request', nanousd: '5' }] });
    expect(await quoted(network.key)).toMatchObject({ most_nanousd: usual.most_nanousd });
    const called = await ask('POST', '/v1/chat/completions', { ...request, messages: [{ role: 'user', content: 'Hi' }] }, other.key);
    expect(called.headers.get('x-ripcord-cost-nanousd')).toBe('5');
    const story = (await ask('GET', `/calls/${called.headers.get('x-request-id')}`, undefined, other.key)).body;
    expect(JSON.stringify(story)).toContain(String(one.body['price_version']));
    // Neither price nor discount: as everybody.
    for (const of of ['*', chute]) await override({ account_id: other.account, chute_id: of });
    expect((await quoted(other.key)).most_nanousd).toBe(usual.most_nanousd);
    // The history of the chute does not tell of them.
    expect(JSON.stringify(await history('tokens'))).not.toContain(String(one.body['price_version']));
  });

  test('are the operator’s to make, and for accounts and chutes that are', async () => {
    const body = { account_id: other.account, chute_id: '*' };
    expect((await ask('POST', '/internal/overrides', body)).status).toBe(404);
    for (const [wrong, param] of [
      [{ ...body, account_id: 'acc_nobody' }, 'account_id'],
      [{ ...body, chute_id: 'demo/tokens' }, 'chute_id'],
      [{ ...body, price: { per_request: -1 } }, 'price.per_request'],
      [{ ...body, starts_at: '2030-01-01T00:00:00Z', ends_at: '2029-01-01T00:00:00Z' }, 'ends_at'],
    ] as const)
      expect(await override(wrong)).toMatchObject({ status: 400, body: { param } });
  });
});

describe('rent of a private chute', () => {
  interface Rent {
    cost: string;
    share: string;
    ms: number;
    hotkey: string;
    fee_bps: number;
    state: string;
  }
  const rents = (chute: string) =>
    rows<Rent>(
      `select c.cost_nanousd::text as cost, u.share_nanousd::text as share, u.last_byte_ms as ms, u.hotkey, c.fee_bps, c.state
       from calls c join usage u using (call_id) where c.kind = 'rent' and c.chute_id = $1`,
      [chute],
    );

  test('an instance is paid by the time it was live, through an eviction of its chute; its calls are free', async () => {
    const { chute_id: chute } = await deploy('rented', {
      public: false,
      max: 1,
      price: { per_instance_second: 1_000_003, per_request: 77 },
    });
    await live('rented');
    const seen = performance.now();
    const called = await ask('POST', '/v1/chat/completions', { model: 'demo/rented', messages: [{ role: 'user', content: 'Hi' }] });
    expect(called.headers.get('x-ripcord-cost-nanousd')).toBe('0');
    const fault = { object: 'chute', id: chute, how: 'abort' };
    expect((await ask('POST', '/internal/fault', fault, network.internalToken)).status).toBe(200);
    await until('three seconds have passed', () => performance.now() - seen > 3_000);
    expect((await ask('DELETE', '/chutes/demo/rented')).status).toBe(200);
    const most = performance.now() - seen + 60_000;
    const [rent] = await until('the rent is on record', async () => {
      const found = await rents(chute);
      return found.length > 0 ? found : null;
    });
    expect(await rents(chute)).toHaveLength(1);
    expect(rent?.ms).toBeGreaterThanOrEqual(3_000);
    expect(rent?.ms).toBeLessThan(most);
    const cost = (BigInt(rent?.ms ?? 0) * 1_000_003n + 999n) / 1_000n;
    expect(rent).toMatchObject({ cost: String(cost), share: String((cost * 8_500n) / 10_000n), fee_bps: 1500, state: 'completed' });
    expect(rent?.hotkey).toBe(network.agent(0).hotkey);
  });

  test('an account that cannot pay keeps no instance, is told why, and none is started', async () => {
    await deploy('too-dear', { public: false, max: 1, price: { per_instance_second: 10_000_000_000_000 } });
    await until('the chute is held back', async () => (await state('too-dear')).held_back !== null, { deadlineMs: 30_000 });
    expect((await state('too-dear')).held_back).toMatchObject({ code: 'insufficient_credit' });
    await until('its instance is gone', async () => (await state('too-dear')).instances.length === 0, { deadlineMs: 30_000 });
    const log = await (await network.request('/chutes/demo/too-dear/logs')).text();
    expect(log).toContain('insufficient_credit');
    await until('it is off the board', async () => {
      const { body } = await ask<{ items: { name: string }[] }>('GET', '/market');
      return !body.items.some(({ name }) => name === 'demo/too-dear');
    });
    expect(await rents((await state('too-dear')).chute_id)).toEqual([]);
  });
});

test('the bounty of a cold chute is held with the grant and paid once to the miner that woke it', async () => {
  // Ends by the owner's wish before its minute is over: then its miner has done its part.
  const { chute_id: chute } = await deploy('cold', { min: 0, max: 1, bounty: 30_000_000_000 });
  const called = await ask('POST', '/v1/chat/completions', { model: 'demo/cold', messages: [{ role: 'user', content: 'Hi' }] });
  expect(called.status).toBe(200);
  expect((await ask('DELETE', '/chutes/demo/cold')).status).toBe(200);
  const paid = () =>
    rows<{ id: string; cost: string; hold: string; share: string; hotkey: string; fee_bps: number }>(
      `select c.call_id as id, c.cost_nanousd::text as cost, c.hold_nanousd::text as hold, u.share_nanousd::text as share, u.hotkey, c.fee_bps
       from calls c join usage u using (call_id) where c.price_version = 'bounty' and c.chute_id = $1`,
      [chute],
    );
  const [bounty] = await until('the bounty is on record', async () => {
    const found = await paid();
    return found.length > 0 ? found : null;
  });
  expect(await paid()).toHaveLength(1);
  const cost = BigInt(bounty?.cost ?? 0);
  expect(cost).toBeGreaterThan(0n);
  expect(bounty).toMatchObject({ hold: String(cost), share: String((cost * 8_500n) / 10_000n), fee_bps: 1500 });
  expect(bounty?.hotkey).toBe(network.agent(0).hotkey);
  const story = await ask('GET', `/calls/${bounty?.id}`);
  expect(story.body).toMatchObject({ kind: 'bounty', cost_nanousd: String(cost), price_version: 'bounty' });
});

test('the books are whole', async () => {
  await network.cron();
  expect(await brokenBooks(network)).toEqual([]);
});
