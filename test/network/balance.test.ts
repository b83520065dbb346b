/** What an account is told of its money, against a real Postgres: balance, caps over HTTP, a lease that an operator takes back. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chuteConfigSchema, type CodeRef } from '#protocol';
import { Client } from '../../cli/client.ts';
import { readChuteToml } from '../../cli/chute-toml/read.ts';
import { packFolder } from '../../cli/pack/pack.ts';
import { giveCredit } from '../../dev/credit.ts';
import { ROOT } from '../../dev/network.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { brokenBooks, newPayer, paidBy, type Payer } from '../harness/payer.ts';
import { fault } from '../harness/story.ts';
import { until } from '../harness/until.ts';

const USD = 1_000_000_000n;
/** Nano-USD of every call. */
const COST = 1_000n;

let network: TestNetwork;

beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  const folder = network.folder.folder('paid');
  cpSync(join(ROOT, 'test/network/chutes/paid'), folder, { recursive: true });
  const client = new Client(network);
  const { config } = await readChuteToml(join(folder, 'chute.toml'));
  const packed = await packFolder(folder);
  await client.putBlob(packed.sha256, packed.data);
  const code: CodeRef = { sha256: packed.sha256, bytes: packed.bytes };
  await client.deploy(chuteConfigSchema.parse({ ...config, name: 'flat', template: 'http', price: { per_request: Number(COST) } }), code);
  await until('flat answers', async () => (await network.request('/call/demo/flat/run')).ok, { deadlineMs: 60_000 });
});
afterAll(() => network?.close());

const ask = (payer: Payer, path: string, init: { method?: string; body?: string } = {}) =>
  fetch(`${network.api}${path}`, { ...init, headers: { authorization: `Bearer ${payer.key}`, 'content-type': 'application/json' } });

/** The status. */
async function call(payer: Payer): Promise<number> {
  const reply = await ask(payer, '/call/demo/flat/run', { method: 'POST', body: '{}' });
  await reply.arrayBuffer();
  return reply.status;
}

async function balanceOf(payer: Payer) {
  const reply = await ask(payer, '/accounts/me/balance');
  expect(reply.status).toBe(200);
  const { as_of: _, ...amounts } = (await reply.json()) as Record<string, string>;
  const [cash, promo, held, unbilled, available] = ['cash', 'promo', 'held', 'unbilled', 'available'].map((name) =>
    BigInt(amounts[`${name}_nanousd`] ?? -1),
  ) as [bigint, bigint, bigint, bigint, bigint];
  return { cash, promo, held, unbilled, available };
}

const settled = (payer: Payer) =>
  until('everything is billed', async () => {
    const balance = await balanceOf(payer);
    if (balance.held + balance.unbilled > 0n) throw new Error(JSON.stringify(balance, (_, v: unknown) => String(v)));
    return balance;
  });

async function fence({ account }: Payer, epoch: number): Promise<void> {
  const postgres = new Postgres({ connectionString: network.databaseUrl });
  await postgres.connect();
  await postgres.query('select fence_lease($1, $2)', [account, epoch]);
  await postgres.end();
}

test('the balance is right at every moment, while calls run, are billed, and the object is torn down', async () => {
  const payer = await newPayer(network, 3n * USD);
  let begun = 0;
  let paid = 0;
  const running = Array.from({ length: 4 }, async () => {
    while (begun < 60) {
      begun++;
      expect(await call(payer)).toBe(200);
      paid++;
    }
  });
  let looks = 0;
  const looking = (async () => {
    for (let before = paid; paid < 60; before = paid) {
      const { cash, promo, held, unbilled, available } = await balanceOf(payer);
      looks++;
      expect(available).toBe(cash + promo - held);
      expect(cash).toBeGreaterThanOrEqual(3n * USD - BigInt(begun) * COST);
      expect(available).toBeLessThanOrEqual(3n * USD - BigInt(before) * COST);
      expect(unbilled).toBeLessThanOrEqual(3n * USD - cash);
      if (looks % 10 === 0) await fault(network, 'account', payer.account);
    }
  })();
  await Promise.all([...running, looking]);
  expect(looks).toBeGreaterThan(5);
  const left = 3n * USD - 60n * COST;
  expect(await settled(payer)).toEqual({ cash: left, promo: 0n, held: 0n, unbilled: 0n, available: left });
  expect(await paidBy(network, payer)).toEqual({ purse: 60n * COST, calls: 60n * COST, count: 60 });
});

test('what is available can be spent to the last call, and not one more until somebody pays in', async () => {
  const payer = await newPayer(network, 3n * COST + 500n);
  for (let k = 0; k < 3; k++) expect(await call(payer)).toBe(200);
  expect(await balanceOf(payer)).toMatchObject({ available: 500n });
  const refused = await ask(payer, '/call/demo/flat/run', { method: 'POST', body: '{}' });
  expect(refused.status).toBe(402);
  expect(await refused.json()).toMatchObject({ code: 'insufficient_credit', required_nanousd: '1000', available_nanousd: '500' });
  await giveCredit(network.databaseUrl, payer.account, 500n, `test/${payer.account}/more`);
  expect(await balanceOf(payer)).toMatchObject({ available: 1_000n });
  await until('what was paid in is seen', async () => (await call(payer)) === 200);
  expect(await settled(payer)).toEqual({ cash: 0n, promo: 0n, held: 0n, unbilled: 0n, available: 0n });
});

test('the cap of a key: 402 with what is left and when it starts anew; raised, the call passes', async () => {
  const payer = await newPayer(network, USD);
  const { key_id: id } = (await (await ask(payer, '/key')).json()) as { key_id: string };
  const made = await ask(payer, '/keys', { method: 'POST', body: JSON.stringify({ name: 'admin', scopes: ['keys'] }) });
  const admin = { ...payer, key: ((await made.json()) as { secret_key: string }).secret_key };
  const cap = (limit: bigint) =>
    ask(admin, `/keys/${id}`, { method: 'PATCH', body: JSON.stringify({ cap: { limit_nanousd: limit.toString(), period: 'day' } }) });
  expect((await cap(2n * COST + 1n)).status).toBe(200);
  for (let k = 0; k < 2; k++) expect(await call(payer)).toBe(200);
  const refused = await ask(payer, '/call/demo/flat/run', { method: 'POST', body: '{}' });
  const midnight = (Math.floor(Date.now() / 86_400_000) + 1) * 86_400_000;
  expect(refused.status).toBe(402);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({
    code: 'key_cap_reached',
    required_nanousd: '1000',
    available_nanousd: '1',
    resets_at: new Date(midnight).toISOString(),
  });
  await cap(3n * COST);
  expect([await call(payer), await call(payer)]).toEqual([200, 402]);
  await settled(payer);
  expect(await (await ask(payer, '/key')).json()).toMatchObject({
    cap: { spent_nanousd: '3000', held_nanousd: '0', remaining_nanousd: '0' },
  });
});

test('a lease that an operator takes back: the call that was to be billed to it is not charged, and the account goes on', async () => {
  const payer = await newPayer(network, USD);
  expect(await call(payer)).toBe(200);
  await settled(payer);
  await fence(payer, 1);
  expect(await call(payer)).toBe(200);
  expect(await settled(payer)).toMatchObject({ cash: USD - COST, available: USD - COST });
  expect(await call(payer)).toBe(200);
  expect(await settled(payer)).toMatchObject({ available: USD - 2n * COST });
  expect(await paidBy(network, payer)).toMatchObject({ purse: 2n * COST, count: 2 });
});

test('the books are right', async () => {
  expect(await brokenBooks(network)).toEqual([]);
});
