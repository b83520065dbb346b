/** Parts die while calls run: the same client streams go on, byte for byte, and every call is settled once. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deployEcho, type Echo } from '../harness/echo.ts';
import { rawRequest, sha256, stallAfter, type RawReply } from '../harness/http.ts';
import { DEMO_CHUTES, startNetwork, type TestNetwork } from '../harness/network.ts';
import { closedStory, fault, recordedUsage, storyOf, usageOf } from '../harness/story.ts';
import { until } from '../harness/until.ts';
import { knownBytes, knownEvents } from './chutes/echo/known.ts';

const DONE = 'data: [DONE]\n\n';
/** Events and bytes of one stream; about a second each. */
const EVENTS = { count: 100, ms: 10, pad: 200 };
const BYTES = { count: 1_200_000, ms: 10, chunk: 12_000 };
const CHAT = {
  model: 'demo/chat',
  messages: [{ role: 'user' as const, content: 'Tell me of rivers.' }],
  max_tokens: 90,
  seed: 11,
  temperature: 0.9,
};

let network: TestNetwork;
let echo: Echo;
/** One call at a time. */
let single: Echo;
let client: OpenAI;
/** What the engine says to `CHAT` when nothing breaks. */
let said: string;

beforeAll(async () => {
  network = await startNetwork({ chutes: DEMO_CHUTES.slice(0, 1) });
  client = new OpenAI({ baseURL: `${network.api}/v1`, apiKey: network.key, maxRetries: 0 });
  [echo, single] = await Promise.all([deployEcho(network), deployEcho(network, { name: 'single', concurrency: 1, max: 1 })]);
  said = (await client.chat.completions.create(CHAT)).choices[0]?.message.content ?? '';
});
afterAll(() => network?.close());

function open(path: string): Promise<RawReply> {
  return rawRequest(network.api + path, { headers: { authorization: `Bearer ${network.key}` } }).reply;
}

const eventsPath = (of = echo, count = EVENTS.count) => of.at(`/events?n=${count}&ms=${EVENTS.ms}&pad=${EVENTS.pad}`);
const bytesPath = () => echo.at(`/bytes?n=${BYTES.count}&ms=${BYTES.ms}&chunk=${BYTES.chunk}`);
const callOf = (reply: RawReply) => reply.headers['x-request-id'] ?? '';

async function chat(): Promise<{ text: string; call: string }> {
  const { data, request_id } = await client.chat.completions.create({ ...CHAT, stream: true }).withResponse();
  let text = '';
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? '';
  return { text, call: request_id ?? '' };
}

const FAULTS: Record<string, () => Promise<unknown>> = {
  'the miner object is torn down': () => fault(network, 'miner', network.agent(0).agent),
  'the account object is torn down': () => fault(network, 'account', network.account),
  'the chute object is torn down': () => fault(network, 'chute', echo.id),
  'the market object is torn down': () => fault(network, 'market', ''),
  "the agent's socket is cut": () => fault(network, 'miner', network.agent(0).agent, 'cut'),
  "the agent's socket is cut, and the miner object torn down as it comes back": async () => {
    await fault(network, 'miner', network.agent(0).agent, 'cut');
    await fault(network, 'miner', network.agent(0).agent);
  },
};

/** What a stream crosses is broken more than once, each time somewhere else. */
const ROUNDS = Object.keys(FAULTS).flatMap((what) => (/miner|socket/.test(what) ? [what, what] : [what]));

describe('in the middle of streams', () => {
  test.each(ROUNDS)('%s: each goes on where it was', async (what) => {
    const [events, bytes] = await Promise.all([open(eventsPath()), open(bytesPath())]);
    const chatting = chat();
    const wholeEvents = knownEvents(EVENTS.count, EVENTS.pad);
    await events.until(Math.floor(wholeEvents.length * (0.05 + 0.7 * Math.random())));
    const at = { events: events.body().length, bytes: bytes.body().length, moment: performance.now() };
    await FAULTS[what]?.();

    expect(await Promise.all([events.over, bytes.over])).toEqual(['end', 'end']);
    const talk = await chatting;
    console.log(
      `  at ${at.events} and ${at.bytes} bytes: stall ${stallAfter(events.parts, at.moment)} ms of events, ${stallAfter(bytes.parts, at.moment)} ms of bytes`,
    );
    expect(events.body().toString()).toBe(wholeEvents);
    expect(bytes.body()).toHaveLength(BYTES.count);
    expect(sha256(bytes.body())).toBe(sha256(knownBytes(0, BYTES.count)));
    expect(talk.text).toBe(said);

    const calls = [callOf(events), callOf(bytes), talk.call];
    for (const call of calls) {
      const story = await closedStory(network, call);
      expect(story).toMatchObject({ state: 'completed', attempts: [{ attempt: 0, outcome: 'completed' }] });
      expect(story.attempts).toHaveLength(1);
    }
    const rows = await recordedUsage(network, calls);
    expect(rows.map((row) => row.call_id).toSorted()).toEqual(calls.toSorted());
    expect(rows.find((row) => row.call_id === calls[0])?.bytes).toBe(String(wholeEvents.length));
    expect(rows.find((row) => row.call_id === calls[1])?.bytes).toBe(String(BYTES.count));
  });
});

describe('before the first byte', () => {
  test.each(['the miner object is torn down', "the agent's socket is cut", 'the account object is torn down'])(
    '%s: the call is answered, and the engine was asked once',
    async (what) => {
      const tag = `held-${what.length}`;
      const held = open(echo.at(`/hold?ms=1200&tag=${tag}`));
      await echo.has(tag);
      await FAULTS[what]?.();
      const reply = await held;
      await reply.over;
      expect([reply.status, reply.body().toString()]).toEqual([200, expect.stringContaining('"word":"v1"')]);
      const seen = (await echo.engines()).flatMap((engine) => engine.order.filter((t) => t === tag));
      expect(seen).toHaveLength(1);
    },
  );

  test('new calls made while the miner object comes back wait for it', async () => {
    await fault(network, 'miner', network.agent(0).agent);
    const replies = await Promise.all(Array.from({ length: 8 }, () => open(echo.at('/hold?ms=5'))));
    expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => 200));
  });
});

test('the only miner dies and is started again: calls without a byte are answered by its next program', async () => {
  const held = Array.from({ length: 4 }, (_, i) => open(echo.at(`/hold?ms=300&tag=died-${i}`)));
  await Promise.all(held.map((_, i) => echo.has(`died-${i}`)));
  const killed = performance.now();
  network.agent(0).crash();
  const later = Array.from({ length: 4 }, () => open(echo.at('/hold?ms=1')));
  const replies = await Promise.all([...held, ...later]);
  console.log(`  all were answered ${Math.round(performance.now() - killed)} ms after the agent was killed`);
  expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
});

test('an upload that is cut on a route that is not safe to repeat: 502 outcome_unknown, never sent twice', async () => {
  let push: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => void (push = controller) });
  const headers = { authorization: `Bearer ${network.key}` };
  push?.enqueue(knownBytes(0, 100_000));
  const sending = fetch(network.api + echo.at('/echo?tag=cut-upload'), { method: 'POST', headers, body, duplex: 'half' } as RequestInit);
  await echo.has('cut-upload');
  await fault(network, 'miner', network.agent(0).agent);
  const reply = await sending;
  expect([reply.status, await reply.json()]).toEqual([502, expect.objectContaining({ code: 'outcome_unknown' })]);
  expect((await echo.engines()).flatMap((e) => e.order.filter((t) => t === 'cut-upload'))).toHaveLength(1);
  await until('the engine is free of it', async () => (await echo.engines()).every((e) => e.active === 0));
  try {
    push?.close();
  } catch {
    // The request is over already.
  }
});

test('workerd is killed in the middle of a stream: a cut, never a false end; settled once; the slot is free', async () => {
  const stream = await open(eventsPath(single, 3000));
  const other = await open(bytesPath());
  await Promise.all([stream.until(20_000), other.until(100_000)]);
  const killed = performance.now();
  network.edge.crash();

  expect(await Promise.all([stream.over, other.over])).toEqual(['cut', 'cut']);
  expect(stream.body().toString()).not.toContain(DONE);
  expect(knownEvents(3000, EVENTS.pad).startsWith(stream.body().toString())).toBe(true);
  expect(other.body().length).toBeLessThan(BYTES.count);

  await until('the edge is back', async () => (await network.request('/health')).ok, { deadlineMs: 20_000 });
  const back = performance.now();
  const free = await open(single.at('/hold?ms=0'));
  expect(free.status).toBe(200);
  const freeMs = Math.round(performance.now() - back);
  console.log(`  the edge was back after ${Math.round(back - killed)} ms, the slot was free ${freeMs} ms later`);
  expect(freeMs).toBeLessThan(10_000);

  const story = await closedStory(network, callOf(stream), 30_000);
  expect(story).toMatchObject({ state: 'failed', code: 'miner_lost', attempts: [{ attempt: 0, outcome: 'failed', refused: false }] });
  const settled = story.attempts[0]?.bytes ?? 0;
  console.log(`  ${stream.body().length} bytes were delivered, ${settled} settled`);
  expect(settled).toBeGreaterThan(0);
  const rows = await recordedUsage(network, [callOf(stream), callOf(other)], 30_000);
  expect(rows).toHaveLength(2);
  await until('the engine is free of both', async () => (await echo.engines()).every((e) => e.active === 0));
});

test('Postgres is killed while calls run: they go on, and their usage arrives once after it is back', async () => {
  const calls: string[] = [];
  const call = async () => {
    const reply = await open(echo.at('/hold?ms=20'));
    await reply.over;
    expect(reply.status).toBe(200);
    calls.push(callOf(reply));
  };
  const stream = await open(eventsPath());
  calls.push(callOf(stream));
  await stream.until(5_000);
  await Promise.all(Array.from({ length: 10 }, call));
  await network.postgres.kill();
  await Promise.all(Array.from({ length: 20 }, call));
  expect(await stream.over).toBe('end');
  expect(stream.body().toString()).toBe(knownEvents(EVENTS.count, EVENTS.pad));
  expect(await storyOf(network, calls[0] ?? '')).toMatchObject({ call_id: calls[0] });
  // What needs the record says so; what does not, serves.
  expect((await network.request('/chutes')).status).toBe(503);
  expect((await network.request('/v1/models')).status).toBe(200);
  // Long enough that a batch has failed and is waiting for its next try.
  for (let i = 0; i < 30; i++) await call();
  await network.postgres.restart();
  const back = performance.now();
  const rows = await recordedUsage(network, calls, 60_000);
  console.log(`  usage of ${calls.length} calls was on record ${Math.round(performance.now() - back)} ms after Postgres was back`);
  expect(rows).toHaveLength(calls.length);
  await call();
  await recordedUsage(network, calls);
  expect(await usageOf(network, calls)).toHaveLength(calls.length);
});
