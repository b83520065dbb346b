/** More calls than slots: they wait in order and fairly, are told that they wait, and are refused when waiting is in vain. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import { Client } from '../../cli/client.ts';
import { deployFolder } from '../../cli/deploy.ts';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import { deployEcho, untilWaiting, type Echo } from '../harness/echo.ts';
import { rawRequest, sha256, type RawReply } from '../harness/http.ts';
import { DEMO_CHUTES, startNetwork, type TestNetwork } from '../harness/network.ts';
import { closedStory, fault } from '../harness/story.ts';
import { until } from '../harness/until.ts';
import { knownBytes } from './chutes/echo/known.ts';

/** Calls that one account may have waiting at a chute of one slot. */
const LINE = 32;
const CHAT1 = 'demo/chat1';
const CHAT = { model: CHAT1, messages: [{ role: 'user' as const, content: 'Tell me of the sea.' }], max_tokens: 10, seed: 5 };

let network: TestNetwork;
/** One call at a time. */
let single: Echo;
let client: OpenAI;
/** Key of another account. */
let otherKey: string;

beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  client = new OpenAI({ baseURL: `${network.api}/v1`, apiKey: network.key, maxRetries: 0 });
  const chat = async () => {
    await deployFolder(new Client(network), chatOfOne());
    await until('the chat answers', async () => (await network.request('/v1/chat/completions', { body: { ...CHAT, max_tokens: 1 } })).ok, {
      deadlineMs: 60_000,
    });
  };
  [single] = await Promise.all([deployEcho(network, { name: 'single', concurrency: 1, max: 1, public: true }), chat()]);
  const other = new Client({ api: network.api, hotkey: hotkeyOf('51'.repeat(32)) });
  await other.signUp('other');
  otherKey = (await other.createKey({ name: 'calls', scopes: ['invoke'] })).secret_key;
});
afterAll(() => network?.close());

/** The demo's chat with one slot, under a name of its own. */
function chatOfOne(): string {
  const folder = network.folder.folder('chat1');
  cpSync(DEMO_CHUTES[0]?.folder ?? '', folder, { recursive: true });
  const toml = readFileSync(join(folder, 'chute.toml'), 'utf8')
    .replace('name = "chat"', 'name = "chat1"')
    .replace('concurrency = 32', 'concurrency = 1')
    .replace('max = 4', 'max = 1')
    .replace('TOKEN_DELAY_MS = "8"', 'TOKEN_DELAY_MS = "60"');
  writeFileSync(join(folder, 'chute.toml'), toml);
  return folder;
}

function ask(path: string, key = network.key): ReturnType<typeof rawRequest> {
  return rawRequest(network.api + single.at(path), { headers: { authorization: `Bearer ${key}` } });
}

const hold = (tag: string, ms: number, key?: string) => ask(`/hold?tag=${tag}&ms=${ms}`, key).reply;

async function order(): Promise<string[]> {
  return (await single.engines())[0]?.order ?? [];
}

/** A call that keeps the slot until it is released. */
async function occupy(tag: string): Promise<{ over: Promise<RawReply>; release: () => Promise<void> }> {
  const over = hold(tag, 60_000);
  await single.has(tag);
  return { over, release: () => single.release(tag) };
}

test('calls wait and are served in the order they came, one at a time', async () => {
  const { release } = await occupy('a0');
  const rest = [];
  for (let i = 1; i <= 6; i++) {
    rest.push(hold(`a${i}`, 20));
    await single.waiting(i);
  }
  await release();
  const replies = await Promise.all(rest);
  expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => 200));
  expect((await order()).filter((tag) => tag.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6']);
  expect((await single.engines())[0]?.most).toBe(1);
});

test('accounts take turns: a call of another one does not wait for the whole line', async () => {
  const rest = [];
  const { release } = await occupy('b0');
  for (let i = 1; i <= 4; i++) {
    rest.push(hold(`b${i}`, 20));
    await single.waiting(i);
  }
  rest.push(hold('b-other', 20, otherKey));
  await single.waiting(5);
  await release();
  await Promise.all(rest);
  const served = (await order()).filter((tag) => tag.startsWith('b'));
  expect(served.indexOf('b-other')).toBeLessThanOrEqual(2);
  expect(served.filter((tag) => tag !== 'b-other')).toEqual(['b0', 'b1', 'b2', 'b3', 'b4']);
});

test('a stream that waits has its 200 and signs of life, then the answer; the openai client sees the answer only', async () => {
  const slot = (busy: number) =>
    until(`${busy} of its slots is taken`, async () => {
      const told = (await (await network.request(`/chutes/${CHAT1}`)).json()) as { instances: { busy: number }[]; waiting_calls: number };
      return told.instances[0]?.busy === busy && told.waiting_calls === 0;
    });
  // What the last call left is told with some delay: else it would be taken for the long one.
  await slot(0);
  const long = client.chat.completions.create({ ...CHAT, max_tokens: 40 });
  await slot(1);
  const raw = await rawRequest(`${network.api}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${network.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...CHAT, stream: true }),
  }).reply;
  expect(raw).toMatchObject({ status: 200, headers: { 'content-type': expect.stringMatching(/^text\/event-stream/) as string } });
  await untilWaiting(network, CHAT1, 1);
  const { data: second } = await client.chat.completions.create({ ...CHAT, stream: true }).withResponse();
  let text = '';
  for await (const chunk of second) text += chunk.choices[0]?.delta.content ?? '';
  expect(await raw.over).toBe('end');
  expect((await long).choices).toHaveLength(1);
  const body = raw.body().toString();
  expect(body).toMatch(/^: queued position=1 eta_ms=\d+\n\n/);
  expect(body.endsWith('data: [DONE]\n\n')).toBe(true);
  const words = [...body.matchAll(/^data: (\{.*\})$/gm)].map(
    ([, json]) => (JSON.parse(json ?? '') as OpenAI.ChatCompletionChunk).choices[0]?.delta.content ?? '',
  );
  expect(words.join('')).toBe(text);
  expect(text).not.toBe('');
});

test('a stream that waits and whose client closes quietly gives its place up within a sign of life or two', async () => {
  const long = client.chat.completions.create({ ...CHAT, max_tokens: 60 });
  await until('the slot is taken', async () => {
    const { instances } = (await (await network.request(`/chutes/${CHAT1}`)).json()) as { instances: { busy: number }[] };
    return instances[0]?.busy === 1;
  });
  const leaver = await rawRequest(`${network.api}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${network.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...CHAT, stream: true }),
  }).reply;
  await untilWaiting(network, CHAT1, 1);
  const left = performance.now();
  leaver.leave('fin');
  await untilWaiting(network, CHAT1, 0);
  console.log(`  its place was free ${Math.round(performance.now() - left)} ms after it left`);
  expect(await closedStory(network, leaver.headers['x-request-id'] ?? '')).toMatchObject({ state: 'cancelled', attempts: [] });
  expect((await long).choices).toHaveLength(1);
});

test('a slot that comes free finds its call although the chute object died meanwhile', async () => {
  const { release } = await occupy('c0');
  const waiting = [hold('c1', 10)];
  await single.waiting(1);
  waiting.push(hold('c2', 10));
  await single.waiting(2);
  await fault(network, 'chute', single.id);
  await release();
  const started = performance.now();
  const replies = await Promise.all(waiting);
  console.log(`  served ${Math.round(performance.now() - started)} ms after the slot came free`);
  expect(replies.map((reply) => reply.status)).toEqual([200, 200]);
  expect((await order()).filter((tag) => tag.startsWith('c'))).toEqual(['c0', 'c1', 'c2']);
});

test('a slot that comes free finds its call although the miner object died meanwhile', async () => {
  const { release } = await occupy('d0');
  const waiting = hold('d1', 10);
  await single.waiting(1);
  await fault(network, 'miner', network.agent(0).agent);
  await release();
  expect((await waiting).status).toBe(200);
  expect((await order()).filter((tag) => tag.startsWith('d'))).toEqual(['d0', 'd1']);
});

test('a large upload waits for its slot too, and is sent once', async () => {
  const { release } = await occupy('e0');
  const body = knownBytes(0, 9_000_000);
  const sending = rawRequest(network.api + single.at('/echo?tag=e1'), {
    method: 'POST',
    headers: { authorization: `Bearer ${network.key}` },
    body,
  }).reply;
  await single.waiting(1);
  await release();
  const reply = await sending;
  await reply.over;
  expect([reply.status, JSON.parse(reply.body().toString())]).toEqual([200, expect.objectContaining({ sha256: sha256(body) })]);
  expect((await order()).filter((tag) => tag === 'e1')).toHaveLength(1);
});

test('a line that is full: 429 queue_full with Retry-After, and those in it are served', async () => {
  const { release } = await occupy('f0');
  const line = Array.from({ length: LINE }, (_, i) => hold(`f${i + 1}`, 1));
  await single.waiting(LINE);
  const refused = await hold('f-late', 1);
  await refused.over;
  expect(refused.status).toBe(429);
  expect(JSON.parse(refused.body().toString())).toMatchObject({ code: 'queue_full' });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  // The other account still has room.
  const other = hold('f-other', 1, otherKey);
  await single.waiting(LINE + 1);
  await release();
  expect((await Promise.all(line)).map((reply) => reply.status)).toEqual(line.map(() => 200));
  expect((await other).status).toBe(200);
});

test('an instance that the caller names and that is busy: 429 no_capacity with Retry-After, in OpenAI form under /v1', async () => {
  const { instances } = (await (await network.request(`/chutes/${single.name}`)).json()) as { instances: { instance_id: string }[] };
  const { over, release } = await occupy('g0');
  const refused = await network.request(single.at('/hold'), { headers: { 'x-ripcord-instance': instances[0]?.instance_id ?? '' } });
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(await refused.json()).toMatchObject({ code: 'no_capacity' });
  await release();
  expect((await over).status).toBe(200);
  const v1 = await network.request('/v1/chat/completions', { body: CHAT, headers: { 'x-ripcord-instance': 'ins_none' } });
  expect([v1.status, await v1.json()]).toEqual([
    429,
    { error: expect.objectContaining({ code: 'no_capacity', type: 'rate_limit_error' }) },
  ]);
  expect(Number(v1.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
});

test('a chute that nobody runs: the call waits until its time is up, then 503 queue_timeout', async () => {
  const { chute_id: id } = await new Client(network).deploy(
    {
      name: 'image',
      tagline: '',
      public: false,
      template: 'http',
      image: `registry.example/none@sha256:${'0'.repeat(64)}`,
      port: 80,
      health: '/',
      start_timeout: 10,
      cords: [],
      concurrency: 1,
      min: 0,
      max: 1,
      timeout: 2,
      env: {},
      price: NO_PRICE,
    },
    null,
  );
  const reply = await network.request(`/call/${id}/x`);
  expect([reply.status, await reply.json()]).toEqual([503, expect.objectContaining({ code: 'queue_timeout' })]);
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(await closedStory(network, reply.headers.get('x-request-id') ?? '')).toMatchObject({
    state: 'failed',
    code: 'queue_timeout',
    attempts: [],
  });
});
