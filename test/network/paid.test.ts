/**
 * Paid calls through the whole network. What each must cost is reckoned here, from the prices in this file and what the
 * engine was told to say; nothing of the edge's own arithmetic is used.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chuteConfigSchema, type CodeRef } from '#protocol';
import { Client } from '../../cli/client.ts';
import { readChuteToml } from '../../cli/chute-toml/read.ts';
import { packFolder } from '../../cli/pack/pack.ts';
import { ROOT } from '../../dev/network.ts';
import { rawRequest, type RawReply } from '../harness/http.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { brokenBooks, newPayer, paidBy, type Payer } from '../harness/payer.ts';
import { closedStory, fault } from '../harness/story.ts';
import { until } from '../harness/until.ts';

const USD = 1_000_000_000n;
const MESSAGES = [{ role: 'user' as const, content: 'Hi' }];

/** Nano-USD: of a token in, from the cache and out, of a request. */
const TOKEN = { in: 3n, cached: 1n, out: 7n, request: 11n };
/** Of a token out, where a block of 1,024 is worth asking for. */
const DEAR = 10_000_000n;
const MILLION = 1_000_000;

const CHUTES = {
  tokens: {
    template: 'openai',
    price: {
      input_per_million: Number(TOKEN.in) * MILLION,
      cached_per_million: Number(TOKEN.cached) * MILLION,
      output_per_million: Number(TOKEN.out) * MILLION,
      per_request: Number(TOKEN.request),
    },
  },
  dear: { template: 'openai', price: { output_per_million: Number(DEAR) * MILLION } },
  seconds: { template: 'http', price: { per_second: 2_000_000 } },
  pictures: { template: 'http', price: { per_image: 100, per_step: 10 } },
  free: { template: 'openai', price: {} },
} as const;
type Name = keyof typeof CHUTES;

let network: TestNetwork;
let rich: Payer;
let poor: Payer;

beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  await Promise.all((await deployAll()).map(live));
  rich = await newPayer(network, 1_000n * USD);
  poor = await newPayer(network, 0n);
});
afterAll(() => network?.close());

async function deployAll(): Promise<Name[]> {
  const folder = network.folder.folder('paid');
  cpSync(join(ROOT, 'test/network/chutes/paid'), folder, { recursive: true });
  const client = new Client(network);
  const { config } = await readChuteToml(join(folder, 'chute.toml'));
  const packed = await packFolder(folder);
  await client.putBlob(packed.sha256, packed.data);
  const code: CodeRef = { sha256: packed.sha256, bytes: packed.bytes };
  const names = Object.keys(CHUTES) as Name[];
  for (const name of names) await client.deploy(chuteConfigSchema.parse({ ...config, name, ...CHUTES[name] }), code);
  return names;
}

async function live(name: Name): Promise<void> {
  await until(`${name} answers`, async () => (await network.request(`/call/demo/${name}/health`)).ok, { deadlineMs: 60_000 });
}

interface Wish {
  payer?: Payer;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

function post(path: string, body: unknown, { payer = rich, signal, headers }: Wish = {}): Promise<Response> {
  return fetch(`${network.api}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${payer.key}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

const chat = (fields: Record<string, unknown>, wish?: Wish, name: Name = 'tokens') =>
  post('/v1/chat/completions', { model: `demo/${name}`, messages: MESSAGES, ...fields }, wish);

const openai = (payer: Payer): OpenAI => new OpenAI({ baseURL: `${network.api}/v1`, apiKey: payer.key, maxRetries: 0 });

/** The call's cost, as its story tells it once it is over. */
async function costOf(reply: Response, payer = rich): Promise<{ cost: bigint; story: Awaited<ReturnType<typeof closedStory>> }> {
  const call = reply.headers.get('x-request-id') ?? '';
  const story = await closedStory({ ...network, request: as(payer) }, call);
  return { cost: BigInt(story.cost_nanousd), story };
}

function as(payer: Payer): TestNetwork['request'] {
  return (path) => fetch(`${network.api}${path}`, { headers: { authorization: `Bearer ${payer.key}` } });
}

interface Chunk {
  id: string;
  object: string;
  model: string;
  choices: { index: number; delta: { content?: string }; finish_reason: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens?: number; cost_nanousd?: string } | null;
}

/** The events of a stream, and whether it ended with `[DONE]`. */
function eventsOf(text: string): { chunks: Chunk[]; done: boolean } {
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
  const done = events.at(-1) === 'data: [DONE]';
  return { chunks: events.slice(0, done ? -1 : undefined).map((event) => JSON.parse(event.slice(6)) as Chunk), done };
}

const wordsOf = (chunks: Chunk[]): number => chunks.filter((chunk) => chunk.choices?.[0]?.delta.content === 'ab').length;
const header = (reply: Response, name: string): bigint | null => {
  const value = reply.headers.get(name);
  return value === null ? null : BigInt(value);
};

describe('by tokens', () => {
  const table: [string, Record<string, unknown>, bigint][] = [
    ['as the engine claims', { say: 5 }, TOKEN.request + 3n * TOKEN.in + 5n * TOKEN.out],
    [
      'what was cached at its own price',
      { claim: { prompt_tokens: 30, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 20 } } },
      TOKEN.request + 10n * TOKEN.in + 20n * TOKEN.cached + 4n * TOKEN.out,
    ],
    [
      'ten times the text: what the text can be',
      { claim: { prompt_tokens: 3, completion_tokens: 80 } },
      TOKEN.request + 3n * TOKEN.in + 9n * TOKEN.out,
    ],
    ['fewer than the text: as claimed', { claim: { prompt_tokens: 3, completion_tokens: 1 } }, TOKEN.request + 3n * TOKEN.in + TOKEN.out],
    ['an error of the engine: nothing', { status: 500 }, 0n],
    ['a refusal by the engine: nothing', { status: 422 }, 0n],
  ];

  test.each(table)('whole, %s', async (_, fields, cost) => {
    const reply = await chat(fields);
    const told = await reply.text();
    expect(header(reply, 'x-ripcord-cost-nanousd')).toBe(cost);
    expect(reply.headers.has('x-ripcord-hold-nanousd')).toBe(false);
    expect(told).not.toContain('cost_nanousd');
    expect((await costOf(reply)).cost).toBe(cost);
  });

  test.each(table)('streamed, %s', async (_, fields, cost) => {
    const reply = await chat({ stream: true, stream_options: { include_usage: true }, ...fields });
    const { chunks } = eventsOf(await reply.text());
    const { cost: charged, story } = await costOf(reply);
    expect(charged).toBe(cost);
    expect(header(reply, 'x-ripcord-hold-nanousd')).toBe(BigInt(story.hold_nanousd));
    expect(chunks.findLast((chunk) => chunk.usage)?.usage?.cost_nanousd).toBe(String(cost));
  });

  test.each(table)('streamed to who asks for no usage, %s', async (_, fields, cost) => {
    const reply = await chat({ stream: true, ...fields });
    expect(await reply.text()).not.toContain('usage');
    expect((await costOf(reply)).cost).toBe(cost);
  });

  test('never more than was held, however much the engine says', async () => {
    const fields = { max_tokens: 4, say: 500 };
    const streaming = { ...fields, stream: true, stream_options: { include_usage: true } };
    const whole = await chat(fields);
    const streamed = await chat(streaming);
    await whole.text();
    const { chunks } = eventsOf(await streamed.text());
    const bytes = (body: object): bigint => BigInt(JSON.stringify({ model: 'demo/tokens', messages: MESSAGES, ...body }).length);
    // A token is at least a byte of the request; cached and other input are rounded each by itself.
    const most = (body: object): bigint => TOKEN.request + bytes(body) * TOKEN.in + 1n + 4n * TOKEN.out;
    expect(header(whole, 'x-ripcord-cost-nanousd')).toBe(most(fields));
    expect((await costOf(whole)).cost).toBe(most(fields));
    expect((await costOf(streamed)).cost).toBe(most(streaming));
    expect(chunks.findLast((chunk) => chunk.usage)?.usage?.cost_nanousd).toBe(String(most(streaming)));
  });

  test('the official client sees the cost in the usage, also of an engine that tells none', async () => {
    for (const [fields, usage] of [
      [{ say: 6 }, { prompt_tokens: 3, completion_tokens: 6, cost_nanousd: String(TOKEN.request + 3n * TOKEN.in + 6n * TOKEN.out) }],
      [
        { say: 6, claim: null },
        { prompt_tokens: 0, completion_tokens: 6, cost_nanousd: String(TOKEN.request + 6n * TOKEN.out) },
      ],
    ] as const) {
      const ask = { model: 'demo/tokens', messages: MESSAGES, stream: true as const, stream_options: { include_usage: true }, ...fields };
      const stream = openai(rich).chat.completions.stream(ask);
      const seen: unknown[] = [];
      for await (const chunk of stream) if (chunk.usage) seen.push(chunk.usage);
      expect(seen).toHaveLength(1);
      expect(seen[0]).toMatchObject(usage);
      expect((await stream.finalChatCompletion()).choices[0]?.message.content).toBe('ab'.repeat(6));
    }
  });

  test('no usage for who did not ask and whose engine tells none', async () => {
    const reply = await chat({ stream: true, claim: null });
    expect(await reply.text()).not.toContain('usage');
    expect((await costOf(reply)).cost).toBe(TOKEN.request + 4n * TOKEN.out);
  });

  test.each([
    ['breaks', 'break', 'engine_error'],
    ['says nonsense', 'nonsense', 'engine_error'],
  ])('a stream whose engine %s: what came before it', async (_, ends, code) => {
    const reply = await chat({ stream: true, say: 9, after: 3, ends });
    const { chunks, done } = eventsOf(await reply.text());
    expect(done).toBe(false);
    const { cost, story } = await costOf(reply);
    // The part that came with the nonsense counts for nothing.
    const said = wordsOf(chunks);
    expect(cost).toBe(said === 0 ? 0n : TOKEN.request + BigInt(said) * TOKEN.out);
    expect(story.code).toBe(code);
  });

  test('a reply that breaks before it is whole costs nothing, wherever it was tried', async () => {
    const reply = await chat({ ends: 'break' });
    expect(reply.status).toBe(502);
    const { cost, story } = await costOf(reply);
    expect(cost).toBe(0n);
    expect(story.attempts.every((attempt) => attempt.cost_nanousd === '0')).toBe(true);
  });

  test('a client that leaves pays for what was handed on', async () => {
    const reply = await begun(5);
    reply.leave('rst');
    const { cost, story } = await costOf(new Response(null, { headers: reply.headers }));
    expect(cost).toBe(TOKEN.request + 5n * TOKEN.out);
    expect(story).toMatchObject({ state: 'cancelled' });
  });
});

/** A stream that stands still after so many tokens, all of which have come. */
async function begun(tokens: number): Promise<RawReply> {
  const body = { model: 'demo/tokens', messages: MESSAGES, stream: true, say: 2 * tokens, after: tokens, ends: 'wait' };
  const headers = { authorization: `Bearer ${rich.key}`, 'content-type': 'application/json' };
  const reply = await rawRequest(`${network.api}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(body) }).reply;
  await until(`${tokens} tokens have come`, () => reply.body().toString().split('"content":"ab"').length === tokens + 1);
  return reply;
}

describe('by time, picture and step', () => {
  test('by the milliseconds to the last byte', async () => {
    const reply = await post('/call/demo/seconds/run', { ms: 300 });
    expect(await reply.text()).toBe('done');
    const { cost, story } = await costOf(reply);
    const ms = story.attempts[0]?.last_byte_ms ?? 0;
    expect(ms).toBeGreaterThanOrEqual(300);
    expect(cost).toBe(BigInt(ms) * 2_000n);
    expect(header(reply, 'x-ripcord-cost-nanousd')).toBe(cost);
    expect(BigInt(story.hold_nanousd)).toBe(60_000n * 2_000n);
  });

  test('an error costs no time', async () => {
    const reply = await post('/call/demo/seconds/run', { ms: 50, status: 503 });
    expect(reply.status).toBe(503);
    expect(header(reply, 'x-ripcord-cost-nanousd')).toBe(0n);
  });

  test.each<[string, Record<string, unknown>, bigint]>([
    ['one of one step', {}, 110n],
    ['three of four steps', { n: 3, steps: 4 }, 3n * (100n + 4n * 10n)],
    ['by their other names', { num_images: 2, num_inference_steps: 20 }, 2n * (100n + 20n * 10n)],
  ])('pictures: %s', async (_, fields, cost) => {
    const reply = await post('/call/demo/pictures/run', fields);
    expect(header(reply, 'x-ripcord-cost-nanousd')).toBe(cost);
    expect((await costOf(reply)).cost).toBe(cost);
  });
});

describe('out of credit', () => {
  test('402 before anything runs: what is required, what there is, where to get more', async () => {
    for (const fields of [{}, { stream: true }]) {
      const reply = await chat(fields, { payer: poor });
      expect(reply.status).toBe(402);
      expect(reply.headers.get('ratelimit')).toMatch(/^"key";r=\d+;t=\d+$/);
      const { error } = (await reply.json()) as { error: Record<string, unknown> };
      const bytes = BigInt(JSON.stringify({ model: 'demo/tokens', messages: MESSAGES, ...fields }).length);
      expect(error).toMatchObject({
        code: 'insufficient_credit',
        type: 'insufficient_quota',
        required_nanousd: String(TOKEN.request + bytes * TOKEN.in + 1n + 4_096n * TOKEN.out),
        available_nanousd: '0',
        top_up_url: `${network.api}/accounts/me/balance`,
      });
      // There never was such a call.
      expect((await as(poor)(`/calls/${reply.headers.get('x-request-id')}`)).status).toBe(404);
    }
  });

  test('to the official client it is an error of its own kind', async () => {
    const error = await openai(poor)
      .chat.completions.create({ model: 'demo/tokens', messages: MESSAGES })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 402, code: 'insufficient_credit', type: 'insufficient_quota' });
  });

  test("under a chute's own name it is a problem document", async () => {
    const reply = await post('/call/demo/pictures/run', {}, { payer: poor });
    expect(reply.status).toBe(402);
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(await reply.json()).toMatchObject({ code: 'insufficient_credit', required_nanousd: '110', available_nanousd: '0' });
  });

  test('what is free stays free', async () => {
    const reply = await chat({}, { payer: poor }, 'free');
    expect(reply.status).toBe(200);
    expect(header(reply, 'x-ripcord-cost-nanousd')).toBe(0n);
    expect((await costOf(reply, poor)).cost).toBe(0n);
  });

  test('a stream ends where the credit does: so many tokens, the reason, [DONE]; paid to the token', async () => {
    const blocks = 2n;
    const payer = await newPayer(network, (blocks * 1_024n + 500n) * DEAR);
    const reply = await chat({ stream: true, say: 4_000, max_tokens: 4_000, stream_options: { include_usage: true } }, { payer }, 'dear');
    expect(reply.status).toBe(200);
    expect(header(reply, 'x-ripcord-hold-nanousd')).toBe(1_024n * DEAR);
    const { chunks, done } = eventsOf(await reply.text());
    expect(done).toBe(true);
    const paid = blocks * 1_024n;
    // What comes while the Account answers is a gift, and less than a block.
    expect(wordsOf(chunks)).toBeGreaterThanOrEqual(Number(paid));
    expect(wordsOf(chunks)).toBeLessThan(Number(paid) + 1_024);
    const [first, end, usage] = [chunks.at(0), chunks.at(-2), chunks.at(-1)];
    const { id, object, model } = first as Chunk;
    expect(end).toMatchObject({ id, object, model, choices: [{ index: 0, delta: {}, finish_reason: 'insufficient_credit' }] });
    const tokens = { prompt_tokens: 0, completion_tokens: Number(paid), total_tokens: Number(paid) };
    expect(usage?.usage).toEqual({ ...tokens, cost_nanousd: String(paid * DEAR) });
    const { cost, story } = await costOf(reply, payer);
    expect(cost).toBe(paid * DEAR);
    expect(story).toMatchObject({ state: 'cancelled', code: 'insufficient_credit' });
  });

  test('the official client takes such an end for what it is', async () => {
    const payer = await newPayer(network, 1_024n * DEAR);
    const ask = { model: 'demo/dear', messages: MESSAGES, max_tokens: 2_000, say: 2_000 };
    const completion = await openai(payer).chat.completions.stream(ask).finalChatCompletion();
    expect(completion.choices[0]).toMatchObject({ finish_reason: 'insufficient_credit', message: { role: 'assistant' } });
    expect(completion.choices[0]?.message.content?.slice(0, 2_048)).toBe('ab'.repeat(1_024));
  });

  test('a stream with enough credit is extended without a break', async () => {
    const payer = await newPayer(network, 4_000n * DEAR);
    const reply = await chat({ stream: true, say: 3_000, max_tokens: 4_000 }, { payer }, 'dear');
    const { chunks, done } = eventsOf(await reply.text());
    expect(done).toBe(true);
    expect(wordsOf(chunks)).toBe(3_000);
    expect(chunks.findLast((chunk) => chunk.choices.length > 0)?.choices[0]?.finish_reason).toBe('stop');
    expect((await costOf(reply, payer)).cost).toBe(3_000n * DEAR);
  });

  test('objects that are torn down meanwhile change neither a word nor the cost', async () => {
    const payer = await newPayer(network, 4_000n * DEAR);
    const fields = { stream: true, say: 2_500, max_tokens: 4_000, ms: 10, stream_options: { include_usage: true } };
    const reply = await chat(fields, { payer }, 'dear');
    let text = '';
    const torn: [number, 'miner' | 'account', string][] = [
      [300, 'miner', network.agent(0).agent],
      [800, 'account', payer.account],
      [1_300, 'miner', network.agent(0).agent],
    ];
    const decoder = new TextDecoder();
    for await (const part of reply.body ?? []) {
      text += decoder.decode(part, { stream: true });
      const [at, object, id] = torn[0] ?? [Infinity, 'miner', ''];
      if (text.split('"content":"ab"').length <= at) continue;
      torn.shift();
      await fault(network, object, id);
    }
    expect(torn).toEqual([]);
    const { chunks, done } = eventsOf(text);
    expect(done).toBe(true);
    expect(wordsOf(chunks)).toBe(2_500);
    expect(chunks.findLast((chunk) => chunk.usage)?.usage).toMatchObject({ completion_tokens: 2_500, cost_nanousd: String(2_500n * DEAR) });
    expect((await costOf(reply, payer)).cost).toBe(2_500n * DEAR);
  });

  test('an answer that is not streamed is held whole', async () => {
    const payer = await newPayer(network, 2_000n * DEAR);
    const reply = await chat({ max_tokens: 2_001 }, { payer }, 'dear');
    expect(reply.status).toBe(402);
    const fits = await chat({ max_tokens: 2_000 }, { payer }, 'dear');
    expect(header(fits, 'x-ripcord-cost-nanousd')).toBe(4n * DEAR);
  });
});

describe('sizes', () => {
  test.each([
    ['zero', '0'],
    ['negative', '-5'],
    ['a fraction', '0.5'],
    ['2^53', '9007199254740992'],
    ['beyond all numbers', '1e400'],
  ])('max_tokens %s: 400', async (_, value) => {
    const reply = await post('/v1/chat/completions', `{"model":"demo/tokens","messages":[],"max_tokens":${value}}`);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ error: { code: 'invalid_request', param: 'max_tokens' } });
  });

  test('the largest max_tokens there is: 402 with the amount, and the account goes on', async () => {
    const reply = await chat({ max_tokens: Number.MAX_SAFE_INTEGER, n: 128 }, {}, 'dear');
    expect(reply.status).toBe(402);
    const { error } = (await reply.json()) as { error: { required_nanousd: string } };
    expect(BigInt(error.required_nanousd)).toBeGreaterThan(1_000n * USD);
    expect((await chat({})).status).toBe(200);
  });

  test('a body of unknown length: not where what it costs is read from it', async () => {
    const upload = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${network.api}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${rich.key}`, ...headers },
        body: new Blob(['{}']).stream(),
        duplex: 'half',
      } as RequestInit);
    const pictures = await upload('/call/demo/pictures/run');
    expect(pictures.status).toBe(400);
    expect(await pictures.json()).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining('images or steps') as string });
    const tokens = await upload('/call/demo/tokens/v1/chat/completions');
    expect(tokens.status).toBe(400);
    expect(await tokens.json()).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining('by tokens') as string });
  });

  test("under a chute's own name a request for tokens is held and ended like under /v1", async () => {
    const payer = await newPayer(network, 1_100n * DEAR);
    const path = '/call/demo/dear/v1/chat/completions';
    expect((await post(path, { messages: MESSAGES, max_tokens: 2_000 }, { payer })).status).toBe(402);
    const reply = await post(path, { messages: MESSAGES, max_tokens: 2_000, say: 2_000, stream: true }, { payer });
    const { chunks, done } = eventsOf(await reply.text());
    expect(done).toBe(true);
    expect(wordsOf(chunks)).toBeGreaterThanOrEqual(1_024);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('insufficient_credit');
  });
});

test('every reply under a key says how much of its rate is left', async () => {
  const replies = [
    await chat({}),
    await chat({ stream: true }),
    await chat({ status: 500 }),
    await chat({}, { payer: poor }),
    await chat({}, {}, 'nothing' as Name),
    await post('/call/demo/pictures/run', {}),
    await as(rich)('/accounts/me'),
    await as(rich)('/calls/01890000-0000-7000-8000-000000000001'),
  ];
  expect(replies.map((reply) => reply.status)).toEqual([200, 200, 500, 402, 404, 200, 200, 404]);
  for (const reply of replies) {
    await reply.body?.cancel();
    expect(reply.headers.get('ratelimit-policy')).toMatch(/^"key";q=[1-9]\d*;w=[1-9]\d*$/);
    expect(reply.headers.get('ratelimit')).toMatch(/^"key";r=\d+;t=\d+$/);
  }
});

test('a miner that is lost within a stream: what was handed on is paid, the rest is not', async () => {
  const reply = await begun(5);
  await network.agent(0).kill();
  const { cost, story } = await costOf(new Response(null, { headers: reply.headers }));
  expect(cost).toBe(TOKEN.request + 5n * TOKEN.out);
  expect(story).toMatchObject({ state: 'failed', code: 'miner_lost' });
});

test('in the end the ledger says the same, and the books are right', async () => {
  const calls = (await (await as(rich)('/calls?limit=100')).json()) as { items: { call_id: string; cost_nanousd: string }[] };
  const stories = calls.items.reduce((sum, { cost_nanousd: cost }) => sum + BigInt(cost), 0n);
  await until('all calls are in the ledger', async () => {
    const { purse, calls: recorded, count } = await paidBy(network, rich);
    return purse === stories && recorded === stories && count === calls.items.length;
  });
  expect(await brokenBooks(network)).toEqual([]);
});
