/** The price of TAO, read over HTTP once in five minutes by a real edge: what most places agree on values deposits. */
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getPublicKey, secretFromSeed } from '@scure/sr25519';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { ScriptedChain } from '../../harness/chain.ts';
import { startChainNode, type ChainNode } from '../../harness/chain-node.ts';
import { startNetwork, type TestNetwork } from '../../harness/network.ts';
import { until } from '../../harness/until.ts';

const TAO = 1_000_000_000n;
const STRANGER = encodeSs58(new Uint8Array(32).fill(200));
const MASTER = Buffer.from(getPublicKey(secretFromSeed(new Uint8Array(32).fill(7)))).toString('hex');

type Answer = string | ((response: ServerResponse) => void);

/** By path: what is answered now. */
const answers = new Map<string, Answer>();
/** Paths that were asked for. */
const asked: string[] = [];
const server = createServer((request, response) => {
  const path = request.url ?? '';
  asked.push(path);
  const answer = answers.get(path) ?? ((r) => void r.writeHead(404).end());
  if (typeof answer === 'string') response.end(answer);
  else answer(response);
});

let network: TestNetwork;
let chain: ScriptedChain;
let node: ChainNode;
let books: Client;
/** Bytes of the edge's log before the test. */
let logged = 0;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  chain = new ScriptedChain();
  chain.grow(5);
  node = await startChainNode(chain);
  network = await startNetwork({
    chutes: [],
    agents: 0,
    vars: {
      CHAIN_URL: node.url,
      CHAIN_GENESIS: chain.genesis.hash,
      DEPOSIT_MASTER: MASTER,
      ALLOW_LOCAL_FEEDS: '1',
      TAO_USD_FEEDS: [
        `kraken=${at}/kraken?pair=TAOUSD#result.TAOUSD.c.0`,
        `plain=http://feed.example/?key=s3cr3t#usd`,
        `coinbase=${at}/coinbase#data.amount`,
        `coingecko=${at}/coingecko#bittensor.usd`,
      ].join(', '),
    },
  });
  books = new Client({ connectionString: network.databaseUrl });
  await books.connect();
});

afterAll(async () => {
  await books?.end();
  await network?.close();
  await node?.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** All rates are two hours older, as far as anybody can tell. */
async function twoHoursLater(): Promise<void> {
  await books.query(`begin; set local session_replication_role = replica; update rates set at = at - interval '2 hours'; commit`);
}

beforeEach(async () => {
  await twoHoursLater();
  asked.length = 0;
  logged = log().length;
  say('412.123456789', '412.2', '412.3');
});

function say(kraken: Answer, coinbase: Answer, coingecko: Answer): void {
  const shaped = (answer: Answer, shape: (price: string) => string) => (typeof answer === 'string' ? shape(answer) : answer);
  answers.set(
    '/kraken?pair=TAOUSD',
    shaped(kraken, (p) => `{"error":[],"result":{"TAOUSD":{"c":["${p}","0.5"]}}}`),
  );
  answers.set(
    '/coinbase',
    shaped(coinbase, (p) => `{"data":{"base":"TAO","currency":"USD","amount":"${p}"}}`),
  );
  answers.set(
    '/coingecko',
    shaped(coingecko, (p) => `{"bittensor":{"usd":${p}}}`),
  );
}

/** A minute of the edge: what came of its errand. */
async function minute(): Promise<number | string | undefined> {
  const reply = await network.cron();
  return ((await reply.json()) as { errands: Record<string, number | string> }).errands['rates'];
}

async function rates(): Promise<{ nanousd: bigint; source: string }[]> {
  const { rows } = await books.query<{ nanousd: string; source: string }>(
    `select nanousd, source from rates where at > now() - interval '1 hour' order by id`,
  );
  return rows.map(({ nanousd, source }) => ({ nanousd: BigInt(nanousd), source }));
}

/** By somebody else than the feed, ten minutes ago. */
async function rateByHand(nanousd: bigint): Promise<void> {
  await books.query(`insert into rates (asset, nanousd, source, at) values ('TAO', $1, 'by hand', now() - interval '10 minutes')`, [
    String(nanousd),
  ]);
}

/** The edge said so in this test, in a line of its log that has all of these. */
const told = (...parts: string[]) =>
  until(parts.join(), () =>
    log()
      .subarray(logged)
      .toString()
      .split('\n')
      .some((line) => parts.every((part) => line.includes(part))),
  );

const log = () => readFileSync(network.folder.file('log', 'edge.log'));

async function get<T>(path: string): Promise<T> {
  const reply = await network.request(path);
  expect(reply.status).toBe(200);
  return (await reply.json()) as T;
}

test('a deposit waits while nobody answers, and is credited in the minute that brings a rate; then there are five minutes of rest', async () => {
  say(away, away, away);
  expect(await minute()).toBe(0);
  const { address, rate } = await get<{ address: string; rate: object | null }>('/accounts/me/deposit-address');
  expect(rate).toBeNull();
  chain.produce({ transfers: [{ from: STRANGER, to: address, rao: TAO }] });
  chain.finalize();
  expect(await minute()).toBe(0);
  const deposits = async () => (await get<{ items: object[] }>('/accounts/me/deposits')).items;
  expect(await deposits()).toMatchObject([{ state: 'seen' }]);
  await told('deposits_wait', 'no_rate');
  await told('rate_feed_failed', '"kraken"', 'status_503');
  await told('rate_refused', 'too_few', '"feeds":3', '"answered":0');

  say('412.123456789', '412.2', '999');
  expect(await minute()).toBe(1);
  expect(await get('/accounts/me/deposit-address')).toMatchObject({
    rate: { nanousd: '412123456789', source: 'median of kraken, coinbase', at: expect.any(String) },
  });
  expect(await deposits()).toMatchObject([{ state: 'credited', rate_nanousd: '412123456789', amount_nanousd: '412123456789' }]);

  asked.length = 0;
  say('413', '413', '413');
  expect(await minute()).toBe(0);
  expect(asked).toEqual([]);
  expect(await rates()).toHaveLength(1);
});

test('a feed that is no good is told by its place, and what it says stays untold', async () => {
  expect(await minute()).toBe(1);
  expect(await rates()).toEqual([{ nanousd: 412_200_000_000n, source: 'median of kraken, coinbase, coingecko' }]);
  await told('rate_feed_invalid', '"at":2', 'url');
  expect(log().toString()).not.toContain('s3cr3t');
});

test('many minutes at once bring one rate', async () => {
  const waiting: ServerResponse[] = [];
  const MINUTES = 5;
  // All have found that a rate is due before the first of them hears a price.
  say('400', '400', (response) => {
    waiting.push(response);
    if (waiting.length === MINUTES) for (const r of waiting) r.end('{"bittensor":{"usd":400}}');
  });
  const came = await Promise.all(Array.from({ length: MINUTES }, minute));
  expect(came.filter((n) => n === 1)).toHaveLength(1);
  expect(came.filter((n) => n === 0)).toHaveLength(MINUTES - 1);
  expect(await rates()).toHaveLength(1);
});

test('whoever comes while another inserts its rate waits, and inserts none', async () => {
  const insert = `select feed_rate('TAO', 400000000000, 'two', 1000) as inserted`;
  const other = new Client({ connectionString: network.databaseUrl });
  await other.connect();
  await books.query('begin');
  expect((await books.query(insert)).rows).toEqual([{ inserted: true }]);
  let answered = false;
  const late = other.query(insert).finally(() => (answered = true));
  await until('it waits, or does not', async () => {
    const { rows } = await books.query(`select from pg_locks where locktype = 'advisory' and not granted`);
    return rows.length > 0 || answered;
  });
  await books.query('commit');
  expect((await late).rows).toEqual([{ inserted: false }]);
  await other.end();
});

test.each<[string, Answer, string]>([
  ['is away', away, 'status_503'],
  ['hangs up', (response) => response.destroy(), 'no_answer'],
  ['says nothing', () => undefined, 'no_answer'],
  ['begins and does not end', (response) => void response.writeHead(200).write('{"bittensor":'), 'no_answer'],
  ['sends on', (response) => void response.writeHead(302, { location: '/elsewhere' }).end(), 'status_302'],
  ['says too much', (response) => void response.end(`{"bittensor":{"usd":412.3}}${' '.repeat(64 * 1024)}`), 'too_long'],
  ['does not stop', endless, 'too_long'],
  ['answers a page', (response) => void response.end('<html></html>'), 'no_json'],
  ['answers much depth', (response) => void response.end(`${'['.repeat(30_000)}${']'.repeat(30_000)}`), 'no_'],
  ['answers something else', (response) => void response.end('{"status":{"error_code":429}}'), 'no_price'],
  ['has no sense of price', '0', 'out_of_bounds'],
])('a feed that %s is left out', async (_, answer, why) => {
  say('412.1', '412.2', answer);
  expect(await minute()).toBe(1);
  expect(await rates()).toEqual([{ nanousd: 412_100_000_000n, source: 'median of kraken, coinbase' }]);
  await told('rate_feed_failed', '"coingecko"', why);
  expect(asked).not.toContain('/elsewhere');
});

test('no rate where they are apart, and none by a leap that only two speak for; each minute tries again', async () => {
  say('400', '430', '460');
  expect(await minute()).toBe(0);
  await told('rate_refused', 'apart');

  await rateByHand(300_000_000_000n);
  say('400', '400', away);
  expect(await minute()).toBe(0);
  await told('rate_refused', 'leap');
  expect(await rates()).toEqual([{ nanousd: 300_000_000_000n, source: 'by hand' }]);

  say('400', '400', '400');
  expect(await minute()).toBe(1);
  expect((await rates()).at(-1)).toEqual({ nanousd: 400_000_000_000n, source: 'median of kraken, coinbase, coingecko' });
});

function away(response: ServerResponse): void {
  response.writeHead(503).end();
}

function endless(response: ServerResponse): void {
  const more = () => {
    while (response.writable && response.write(' '.repeat(16 * 1024)));
  };
  response.on('drain', more);
  more();
}
