/** The official `openai` client against the whole network. */
import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEMO_CHUTES, startNetwork, type TestNetwork } from '../harness/network.ts';
import { closedStory, recordedUsage } from '../harness/story.ts';

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const MESSAGES = [{ role: 'user' as const, content: 'What is the capital of France?' }];

let network: TestNetwork;
let client: OpenAI;
/** Every call that was answered, for the bookkeeping at the end. */
const calls: string[] = [];

beforeAll(async () => {
  network = await startNetwork({ chutes: DEMO_CHUTES.slice(0, 2) });
  client = clientWith(network.key);
});
afterAll(() => network?.close());

function clientWith(apiKey: string): OpenAI {
  return new OpenAI({ baseURL: `${network.api}/v1`, apiKey, maxRetries: 0 });
}

function noted(id: string | null | undefined): string {
  expect(id).toMatch(UUID7);
  calls.push(id ?? '');
  return id ?? '';
}

async function refusalOf(work: Promise<unknown>): Promise<APIError> {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(APIError);
  return error as APIError;
}

describe('chat completions', () => {
  test('whole', async () => {
    const { data, request_id } = await client.chat.completions
      .create({ model: 'demo/chat', messages: MESSAGES, max_tokens: 24, seed: 7 })
      .withResponse();
    expect(data).toMatchObject({ object: 'chat.completion', model: 'demo/chat' });
    expect(data.choices[0]?.message.content).toMatch(/\w/);
    expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0));
    const call = noted(request_id);
    const story = await closedStory(network, call);
    // 0.10 and 0.40 dollars a million, as dev/chutes/chat/chute.toml has it.
    const cost = String((data.usage?.prompt_tokens ?? 0) * 100 + (data.usage?.completion_tokens ?? 0) * 400);
    expect(story).toMatchObject({ call_id: call, state: 'completed', code: '', chute_id: network.chutes[0]?.id, cost_nanousd: cost });
    expect(story.attempts).toMatchObject([
      {
        attempt: 0,
        outcome: 'completed',
        miner_hotkey: network.agent(0).hotkey,
        agent_id: network.agent(0).agent,
        tokens_in: data.usage?.prompt_tokens,
        tokens_out: data.usage?.completion_tokens,
      },
    ]);
  });

  test('streamed: the same words as whole, with usage, and a story of its own', async () => {
    const ask = { model: 'demo/chat', messages: MESSAGES, max_tokens: 24, seed: 7, temperature: 0.9 };
    const whole = await client.chat.completions.create(ask).withResponse();
    noted(whole.request_id);
    const { data, request_id } = await client.chat.completions
      .create({ ...ask, stream: true, stream_options: { include_usage: true } })
      .withResponse();
    let text = '';
    let chunks = 0;
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of data) {
      chunks += 1;
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.data.choices[0]?.message.content);
    expect(chunks).toBeGreaterThan(3);
    const story = await closedStory(network, noted(request_id));
    expect(usage).toEqual({ ...whole.data.usage, cost_nanousd: story.cost_nanousd });
    expect(story.attempts).toMatchObject([{ outcome: 'completed', tokens_out: usage?.completion_tokens }]);
  });

  test('many at once', async () => {
    const asked = Array.from({ length: 24 }, (_, i) =>
      client.chat.completions.create({ model: 'demo/chat', messages: MESSAGES, max_tokens: 4, seed: i }).withResponse(),
    );
    for (const { data, request_id } of await Promise.all(asked)) {
      expect(data.choices).toHaveLength(1);
      noted(request_id);
    }
  });
});

test('completions, whole and streamed', async () => {
  const ask = { model: 'demo/chat', prompt: 'The capital of France is', max_tokens: 12, seed: 3 };
  const whole = await client.completions.create(ask).withResponse();
  noted(whole.request_id);
  expect(whole.data.object).toBe('text_completion');
  const streamed = await client.completions.create({ ...ask, stream: true }).withResponse();
  noted(streamed.request_id);
  let text = '';
  for await (const chunk of streamed.data) text += chunk.choices[0]?.text ?? '';
  expect(text).toBe(whole.data.choices[0]?.text);
});

test('embeddings, as numbers and as base64', async () => {
  const whole = await client.embeddings.create({ model: 'demo/embed', input: ['red apple', 'green apple', 'gear box'] }).withResponse();
  noted(whole.request_id);
  const [red, green, gear] = whole.data.data.map((d) => d.embedding);
  expect(cosine(red, green)).toBeGreaterThan(cosine(red, gear));
  const floats = await client.embeddings.create({ model: 'demo/embed', input: 'red apple', encoding_format: 'float' }).withResponse();
  noted(floats.request_id);
  expect(cosine(floats.data.data[0]?.embedding, red)).toBeCloseTo(1, 5);
});

test('models: the public ones', async () => {
  const { data } = await client.models.list();
  expect(data.map((m) => m.id).toSorted()).toEqual(['demo/chat', 'demo/embed']);
  expect(data[0]).toMatchObject({ object: 'model', owned_by: 'demo' });
});

describe('refusals are OpenAI errors', () => {
  test('a key that is none, and one of another secret: 401', async () => {
    for (const key of ['sk-nonsense', `${network.key.slice(0, -6)}AAAAAA`]) {
      const error = await refusalOf(clientWith(key).chat.completions.create({ model: 'demo/chat', messages: MESSAGES }));
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'authentication_error' });
      expect(error.requestID).toMatch(UUID7);
      expect(error.message).not.toContain(key);
    }
  });

  test('a model that is not there: 404, also under a key that is wrong: 401', async () => {
    for (const model of ['demo/nothing', 'nobody/chat', 'gpt-5', '../x']) {
      const error = await refusalOf(client.chat.completions.create({ model, messages: MESSAGES }));
      expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model', type: 'invalid_request_error' });
      expect(error.requestID).toMatch(UUID7);
    }
    expect(await refusalOf(clientWith('sk-x').chat.completions.create({ model: 'demo/nothing', messages: MESSAGES }))).toMatchObject({
      status: 401,
    });
  });

  test('no model, no JSON, a number too small: 400', async () => {
    expect(await refusalOf(client.chat.completions.create({ model: '', messages: MESSAGES }))).toMatchObject({
      status: 400,
      param: 'model',
    });
    expect(await refusalOf(client.chat.completions.create({ model: 'demo/chat', messages: MESSAGES, max_tokens: 0 }))).toMatchObject({
      status: 400,
      param: 'max_tokens',
    });
    const raw = await network.request('/v1/chat/completions', { body: '{"model":' });
    expect(raw.status).toBe(400);
    expect(await raw.json()).toMatchObject({ error: { code: 'invalid_request', request_id: raw.headers.get('x-request-id') } });
  });

  test('what the engine refuses comes as the engine said it', async () => {
    const error = await refusalOf(client.chat.completions.create({ model: 'demo/chat', messages: [] }));
    expect(error).toMatchObject({ status: 400, param: 'messages' });
    noted(error.requestID);
  });

  test('a body that is too large: 413', async () => {
    const content = 'x'.repeat(9 * 1024 * 1024);
    const error = await refusalOf(client.chat.completions.create({ model: 'demo/chat', messages: [{ role: 'user', content }] }));
    expect(error).toMatchObject({ status: 413, code: 'body_too_large' });
  });
});

test('every reply has an id of its own, on every route', async () => {
  const paths = ['/health', '/v1/models', '/nothing', '/v1/nothing', '/chutes', '/calls', '/call/demo/nothing/', '/keys'];
  const ids = await Promise.all(paths.map(async (path) => (await network.request(path)).headers.get('x-request-id')));
  for (const id of ids) expect(id).toMatch(UUID7);
  expect(new Set(ids).size).toBe(paths.length);
});

test('each attempt is on record exactly once', async () => {
  const rows = await recordedUsage(network, calls);
  expect(rows.map((row) => row.attempt)).toEqual(calls.map(() => 0));
  expect(rows.every((row) => row.outcome === 'completed')).toBe(true);
  expect(await network.request(`/calls/${calls[0]?.replace(/.$/, (c) => (c === '0' ? '1' : '0'))}`)).toMatchObject({ status: 404 });
});

function cosine(a: number[] = [], b: number[] = []): number {
  const dot = (x: number[], y: number[]) => x.reduce((sum, v, i) => sum + v * (y[i] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
