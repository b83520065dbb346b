/** The whole way: an account pays in from the chain, a miner is paid out to it, over HTTP and by the miner's own command. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getPublicKey, secretFromSeed } from '@scure/sr25519';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as db from '../../../db/index.ts';
import { startBridge, type Bridge } from '../../../dev/bridge.ts';
import { ROOT } from '../../../dev/network.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { createHotkeyFile, type Hotkey } from '../../../miner-agent/identity/hotkey.ts';
import { signedHeaders } from '../../../miner-agent/identity/signed-request.ts';
import { ScriptedChain } from '../../harness/chain.ts';
import { startChainNode, type ChainNode } from '../../harness/chain-node.ts';
import { startNetwork, type TestNetwork } from '../../harness/network.ts';
import { startSigner, type Signer } from '../../harness/signer.ts';
import { earnPayable, earnPending } from './earn.ts';

const TAO = 1_000_000_000n;
const USD = 1_000_000_000n;
const STRANGER = encodeSs58(new Uint8Array(32).fill(200));
const WALLET = encodeSs58(new Uint8Array(32).fill(201));
const OTHER = encodeSs58(new Uint8Array(32).fill(202));
const MASTER = Buffer.from(getPublicKey(secretFromSeed(new Uint8Array(32).fill(7)))).toString('hex');

let network: TestNetwork;
let chain: ScriptedChain;
let node: ChainNode;
let signer: Signer;
let bridge: Bridge;
let handle: db.Database;
let folder: string;
let miner: Hotkey;

beforeAll(async () => {
  chain = new ScriptedChain({ [encodeSs58(getPublicKey(secretFromSeed(new Uint8Array(32).fill(9))))]: 1_000n * TAO });
  chain.grow(5);
  [node, signer] = await Promise.all([startChainNode(chain), startSigner(chain)]);
  network = await startNetwork({
    chutes: [],
    agents: 0,
    vars: {
      CHAIN_URL: node.url,
      CHAIN_GENESIS: chain.genesis.hash,
      DEPOSIT_MASTER: MASTER,
      PAYOUT_SIGNER_URL: signer.url,
      PAYOUT_SIGNER_TOKEN: signer.token,
    },
  });
  bridge = await startBridge(network.databaseUrl);
  handle = db.connect({ DATABASE_URL: network.databaseUrl, DATABASE_FETCH_ENDPOINT: bridge.endpoint });
  folder = await mkdtemp(join(tmpdir(), 'ripcord-money-'));
  miner = createHotkeyFile(join(folder, 'hotkey.json'));
});

afterAll(async () => {
  await network?.close();
  await bridge?.close();
  await node?.stop();
  await signer?.close();
  await rm(folder, { recursive: true, force: true });
});

async function rate(nanousd: bigint): Promise<void> {
  const client = new Client({ connectionString: network.databaseUrl });
  await client.connect();
  await client.query(`insert into rates (asset, nanousd, source, at) values ('TAO', $1, 'test', now())`, [String(nanousd)]);
  await client.end();
}

/** A minute of the edge; what came of the errands. */
async function minute(): Promise<Record<string, number | string>> {
  const reply = await network.cron();
  return ((await reply.json()) as { errands: Record<string, number | string> }).errands;
}

async function get<T>(path: string): Promise<{ status: number; body: T }> {
  const reply = await network.request(path);
  return { status: reply.status, body: (await reply.json()) as T };
}

/** As the miner, by its signature. */
async function signed<T = { code: string }>(method: string, target: string, json?: unknown): Promise<{ status: number; body: T }> {
  const body = json === undefined ? '' : JSON.stringify(json);
  const headers = { ...signedHeaders(miner, { origin: network.api, method, target, body }), 'content-type': 'application/json' };
  const reply = await fetch(network.api + target, { method, headers, ...(json === undefined ? {} : { body }) });
  return { status: reply.status, body: (await reply.json()) as T };
}

interface Ran {
  code: number;
  out: string;
  err: string;
}

function command(...argv: string[]): Promise<Ran> {
  const args = ['--disable-warning=ExperimentalWarning', join(ROOT, 'miner-agent/bin.ts'), ...argv];
  const at = ['--api', network.api, '--hotkey', join(folder, 'hotkey.json')];
  return new Promise((resolve) => {
    execFile(process.execPath, [...args, ...at], (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), out, err }));
  });
}

interface Address {
  address: string;
  rate: object | null;
}

interface Deposits {
  items: { rao: string; state: string; amount_nanousd: string | null; rate_nanousd: string | null; credited_at: string | null }[];
}

describe('paying in', () => {
  test('an address once the chain is followed; what is sent there is seen, waits for a rate, and is credited', async () => {
    expect(await get('/accounts/me/deposit-address')).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(await minute()).toMatchObject({ deposits: 0 });
    const { status, body } = await get<Address>('/accounts/me/deposit-address');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      network: chain.genesis.hash,
      asset: 'TAO',
      minimum_rao: '1000000',
      confirmations: 'finalized',
      rate: null,
    });
    expect((await get<Address>('/accounts/me/deposit-address')).body.address).toBe(body.address);

    chain.produce({
      transfers: [
        { from: STRANGER, to: body.address, rao: TAO / 2n },
        { from: STRANGER, to: body.address, rao: 5n },
      ],
    });
    chain.finalize();
    expect(await minute()).toMatchObject({ deposits: 1, credit: 0 });
    const waiting = await get<Deposits>('/accounts/me/deposits');
    expect(waiting.body.items).toMatchObject([
      { rao: '5', state: 'dust' },
      { rao: '500000000', state: 'seen', amount_nanousd: null, credited_at: null },
    ]);

    await rate(400n * USD);
    expect((await get<Address>('/accounts/me/deposit-address')).body.rate).toMatchObject({ nanousd: String(400n * USD), source: 'test' });
    expect(await minute()).toMatchObject({ credit: 1 });
    const credited = await get<Deposits>('/accounts/me/deposits');
    expect(credited.body.items).toMatchObject([
      { state: 'dust' },
      { state: 'credited', amount_nanousd: String(200n * USD), rate_nanousd: String(400n * USD), credited_at: expect.any(String) },
    ]);
  });

  test('a node that is away is told by the errand, and nothing is lost', async () => {
    await node.stop();
    expect(await minute()).toMatchObject({ deposits: 'failed' });
    chain.grow(3);
    await node.start();
    expect(await minute()).toMatchObject({ deposits: 3 });
  });
});

describe('a miner', () => {
  test('sees nothing at first, and has to say where to pay to', async () => {
    const shown = await command('earnings');
    expect(shown).toMatchObject({ code: 0, err: '' });
    expect(shown.out).toMatch(/^PENDING {4}\$0\.00\n/);
    expect(await command('payouts', 'address')).toMatchObject({ code: 0, out: expect.stringContaining('No payout address') });
    const refused = await command('payouts', 'request', '--json');
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(JSON.parse(refused.err)).toMatchObject({ error: { code: 'no_payout_address', hint: expect.any(String) } });
  });

  test('a first address is in force at once; a change waits 72 hours; a later wish stops it', async () => {
    expect(await command('payouts', 'address', WALLET)).toMatchObject({ code: 0, out: `Paid to tao ${WALLET}\n` });
    const changed = await command('payouts', 'address', OTHER, '--json');
    const { active, waiting } = JSON.parse(changed.out) as Record<'active' | 'waiting', { address: string; active_at: string }>;
    expect([active.address, waiting.address]).toEqual([WALLET, OTHER]);
    const left = Date.parse(waiting.active_at) - Date.now();
    expect(left).toBeGreaterThan(72 * 3_600_000 - 60_000);
    expect(left).toBeLessThanOrEqual(72 * 3_600_000);
    const back = await signed('PUT', '/miners/me/payout-address', { kind: 'tao', address: WALLET });
    expect(back.body).toMatchObject({ active: { address: WALLET }, waiting: null });
  });

  test('earns, sees each entry, and is paid on the chain', async () => {
    await earnPayable(handle, miner.ss58, 30n * USD);
    const calls = await earnPending(handle, miner.ss58, 1n, 2n, 3n);
    await minute();
    const shown = await command('earnings', '--json');
    expect(JSON.parse(shown.out)).toMatchObject({
      hotkey: miner.ss58,
      pending_nanousd: '6',
      payable_nanousd: String(30n * USD),
      in_flight_nanousd: '0',
      paid_nanousd: '0',
      next_matures_at: expect.any(String),
      chutes: [{ chute_id: 'cht_1', attempts: 4, share_nanousd: String(30n * USD + 6n) }],
    });
    interface Page {
      items: { call_id: string; share_nanousd: string; cost_nanousd: string; price_version: string }[];
      next: string | null;
    }
    const seen: Page['items'] = [];
    for (let next: string | null = ''; next !== null;) {
      const page: { status: number; body: Page } = await signed<Page>(
        'GET',
        `/miners/me/earnings/entries?limit=3&chute=cht_1${next === '' ? '' : `&after=${next}`}`,
      );
      expect(page.status).toBe(200);
      seen.push(...page.body.items);
      next = page.body.next;
    }
    expect(seen.reduce((sum, entry) => sum + BigInt(entry.share_nanousd), 0n)).toBe(30n * USD + 6n);
    expect(new Set(seen.map((entry) => entry.call_id)).size).toBe(4);
    expect(seen.map((entry) => entry.call_id)).toEqual(expect.arrayContaining(calls));
    expect(seen[0]).toMatchObject({ price_version: 'prc_1', outcome: 'completed', fee_bps: 0 });
    expect((await signed<Page>('GET', '/miners/me/earnings/entries?chute=demo/none')).body.items).toEqual([]);

    expect(await command('payouts', 'request', '0.99')).toMatchObject({ code: 1, err: expect.stringContaining('a payout is at least') });
    expect(await command('payouts', 'request', '30.01')).toMatchObject({ code: 1, err: expect.stringContaining('are payable') });
    expect(await command('payouts', 'request', 'all')).toMatchObject({ code: 2 });
    expect(await command('payouts', 'request', '20')).toMatchObject({
      code: 0,
      out: expect.stringContaining(`$20.00 will be paid to ${WALLET}`),
    });
    expect((await signed('POST', '/miners/me/payouts', {})).body.code).toBe('payout_open');
    await rate(400n * USD);
    expect(await minute()).toMatchObject({ payouts: 2 });
    chain.grow(1);
    expect(await minute()).toMatchObject({ payouts: 1 });
    expect(chain.balance(WALLET)).toBe(TAO / 20n);
    const paid = await command('payouts');
    expect(paid.out.split('\n')[1]).toMatch(new RegExp(`paid   \\$20\\.00  0\\.05  ${WALLET}  0x[0-9a-f]{64}$`));
    expect(JSON.parse((await command('earnings', '--json')).out)).toMatchObject({
      payable_nanousd: String(10n * USD),
      in_flight_nanousd: '0',
      paid_nanousd: String(20n * USD),
    });
    expect((await db.checkBooks(handle)).filter(({ broken }) => broken > 0)).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['an amount below zero', { amount_nanousd: '-5' }],
    ['a fraction', { amount_nanousd: '1.5' }],
    ['more than a bigint', { amount_nanousd: '99999999999999999999' }],
    ['a number', { amount_nanousd: 5 }],
    ['another field', { amount: '5' }],
  ])('%s is no payout', async (_, json) => {
    expect(await signed('POST', '/miners/me/payouts', json)).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  test.each<[string, unknown]>([
    ['another network’s address', { kind: 'tao', address: '15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5' }],
    ['a mistyped one', { kind: 'tao', address: `${WALLET.slice(0, -1)}1` }],
    ['hex', { kind: 'tao', address: `0x${'11'.repeat(32)}` }],
    ['another way', { kind: 'cash', address: 'x' }],
    ['control characters', { kind: 'operator', address: 'by \u001bmail' }],
  ])('%s is no payout address', async (_, json) => {
    expect(await signed('PUT', '/miners/me/payout-address', json)).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });

  test('a key moves nothing', async () => {
    const put = await network.request('/miners/me/payout-address', { method: 'PUT', body: { kind: 'tao', address: OTHER } });
    const post = await network.request('/miners/me/payouts', { body: {} });
    for (const reply of [put, post])
      expect({ status: reply.status, code: ((await reply.json()) as { code: string }).code }).toEqual({
        status: 401,
        code: 'invalid_signature',
      });
  });

  test.each(['0', '501', 'x', '1.5'])('limit=%s is refused', async (limit) => {
    expect(await signed('GET', `/miners/me/earnings/entries?limit=${limit}`)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    });
  });

  test.each(['x', '1.2.3', `1.${'0'.repeat(36)}.0`])('after=%s is refused', async (after) => {
    expect(await signed('GET', `/miners/me/earnings/entries?after=${after}`)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    });
  });

  test('a chute with a character that no text of Postgres holds is refused', async () => {
    expect(await signed('GET', '/miners/me/earnings/entries?chute=cht_%00')).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    });
  });

  test('wrong use and an edge that is not there', async () => {
    const args = ['--disable-warning=ExperimentalWarning', join(ROOT, 'miner-agent/bin.ts'), 'earnings', '--json'];
    const run = (...more: string[]) =>
      new Promise<Ran>((resolve) => {
        execFile(process.execPath, [...args, ...more], (error, out, err) =>
          resolve({ code: error === null ? 0 : Number(error.code), out, err }),
        );
      });
    expect((await run('--api', network.api)).code).toBe(2);
    expect((await run('--api', network.api, '--hotkey', join(folder, 'none.json'))).code).toBe(2);
    const away = await run('--api', 'http://127.0.0.1:1', '--hotkey', join(folder, 'hotkey.json'));
    expect(away.code).toBe(3);
    expect(JSON.parse(away.err)).toMatchObject({ error: { code: 'unreachable' } });
  });
});
