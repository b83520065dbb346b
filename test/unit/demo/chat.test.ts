import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tokenise } from '../../../dev/chutes/chat/tokens.ts';
import { post, type Program, startProgram, until } from './program.ts';

const folder = fileURLToPath(new URL('../../../dev/chutes/chat', import.meta.url));
const model = 'demo/chat';
const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }];

let program: Program;
let client: OpenAI;

beforeAll(async () => {
  program = await startProgram(folder, 'server.ts', { TOKEN_DELAY_MS: '0' });
  client = new OpenAI({ baseURL: `${program.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => program.stop());

const chat = (body: object): Promise<Response> => post(`${program.url}/v1/chat/completions`, { model, messages, ...body });

async function textOf(body: object): Promise<string> {
  const reply = (await (await chat(body)).json()) as OpenAI.ChatCompletion;
  return reply.choices[0]?.message.content ?? '';
}

describe('a reply', () => {
  test('answers near the question and counts its tokens', async () => {
    const reply = await client.chat.completions.create({ model, messages, temperature: 0 });
    const text = reply.choices[0]?.message.content ?? '';
    expect(text).toContain('Paris');
    expect(reply.choices[0]?.finish_reason).toBe('stop');
    expect(reply.usage?.completion_tokens).toBe(tokenise(text).length);
    expect(reply.usage?.total_tokens).toBe((reply.usage?.prompt_tokens ?? 0) + (reply.usage?.completion_tokens ?? 0));
    expect(reply.model).toBe(model);
  });

  test('is the same for the same seed, and differs without one', async () => {
    const seeded = { seed: 42, max_tokens: 60, temperature: 1.5 };
    expect(await textOf(seeded)).toBe(await textOf(seeded));
    expect(await textOf({ ...seeded, seed: 43 })).not.toBe(await textOf(seeded));
    const free = { max_tokens: 60, temperature: 2 };
    expect(await textOf(free)).not.toBe(await textOf(free));
  });

  test('is the likeliest text at temperature 0 or with a tiny top_p', async () => {
    const greedy = await textOf({ temperature: 0 });
    expect(await textOf({ temperature: 0, seed: 1 })).toBe(greedy);
    expect(await textOf({ top_p: 1e-9, seed: 9 })).toBe(greedy);
  });

  test('ends by length after max_tokens, under either name', async () => {
    for (const name of ['max_tokens', 'max_completion_tokens']) {
      const reply = (await (await chat({ [name]: 3, seed: 1 })).json()) as OpenAI.ChatCompletion;
      expect(reply.choices[0]?.finish_reason).toBe('length');
      expect(reply.usage?.completion_tokens).toBe(3);
    }
  });

  test('has n choices, each drawn for itself', async () => {
    const body = { model, messages, n: 3, seed: 5, temperature: 1.5, max_tokens: 40 };
    const reply = await client.chat.completions.create(body);
    const texts = reply.choices.map((choice) => choice.message.content);
    expect(reply.choices.map((choice) => choice.index)).toEqual([0, 1, 2]);
    expect(new Set(texts).size).toBe(3);
    const alone = await textOf({ seed: 5, temperature: 1.5, max_tokens: 40 });
    expect(texts[0]).toBe(alone);
  });

  test('has log-probabilities of at most all chance, the best first', async () => {
    const reply = await client.chat.completions.create({ model, messages, seed: 3, logprobs: true, top_logprobs: 20 });
    const choice = reply.choices[0];
    const tokens = choice?.logprobs?.content ?? [];
    expect(tokens.map(({ token }) => token).join('')).toBe(choice?.message.content);
    for (const { logprob, top_logprobs: top } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0);
      const chances = top.map((other) => Math.exp(other.logprob));
      expect(chances.reduce((sum, chance) => sum + chance, 0)).toBeLessThanOrEqual(1 + 1e-9);
      expect(chances).toEqual(chances.toSorted((a, b) => b - a));
    }
  });

  test('repeats itself less under a frequency penalty', async () => {
    const share = async (frequency_penalty: number): Promise<number> => {
      const text = await textOf({ seed: 8, temperature: 1.4, max_tokens: 200, frequency_penalty });
      const words = tokenise(text);
      return new Set(words).size / words.length;
    };
    expect(await share(2)).toBeGreaterThan(await share(-1));
  });
});

describe('stop strings', () => {
  test('end the text before them, also across tokens', async () => {
    const whole = await textOf({ temperature: 0 });
    for (const stop of ['ital of Fr', 'Paris', whole.slice(5, 30), whole.slice(-1)]) {
      expect(await textOf({ temperature: 0, stop })).toBe(whole.slice(0, whole.indexOf(stop)));
    }
    expect(await textOf({ temperature: 0, stop: ['never there', 'is a', 'apital'] })).toBe(whole.slice(0, whole.indexOf('apital')));
  });

  test('that only begin are shown after all', async () => {
    const whole = await textOf({ temperature: 0 });
    expect(await textOf({ temperature: 0, stop: whole.slice(-4) + '#' })).toBe(whole);
  });

  test('never show a part of themselves while streaming', async () => {
    const whole = await textOf({ temperature: 0 });
    const stream = await client.chat.completions.create({ model, messages, temperature: 0, stop: 'ital of Fr', stream: true });
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    expect(text).toBe(whole.slice(0, whole.indexOf('ital of Fr')));
  });
});

describe('streaming', () => {
  test('is canonical server-sent events that add up to the reply', async () => {
    const reply = await chat({ seed: 4, stream: true, stream_options: { include_usage: true } });
    expect(reply.headers.get('content-type')).toBe('text/event-stream');
    const events = (await reply.text()).split('\n\n');
    expect(events.pop()).toBe('');
    expect(events.pop()).toBe('data: [DONE]');
    expect(events.every((event) => event.startsWith('data: {') && !event.includes('\n'))).toBe(true);
    const chunks = events.map((event) => JSON.parse(event.slice(6)) as OpenAI.ChatCompletionChunk);
    const usage = chunks.pop();
    expect(usage?.choices).toEqual([]);
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
    expect(text).toBe(await textOf({ seed: 4 }));
    expect(usage?.usage?.completion_tokens).toBe(tokenise(text).length);
    expect(chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean)).toEqual(['stop']);
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
  });

  test('gives usage only when asked, and every choice its end', async () => {
    const stream = await client.chat.completions.create({ model, messages, n: 2, max_tokens: 5, stream: true });
    const ends = new Set<number>();
    for await (const chunk of stream) {
      expect(chunk.usage).toBeUndefined();
      if (chunk.choices[0]?.finish_reason) ends.add(chunk.choices[0].index);
    }
    expect(ends).toEqual(new Set([0, 1]));
  });

  test('stops writing when the client leaves', async () => {
    const active = async (): Promise<number> => ((await (await fetch(`${program.url}/health`)).json()) as { active: number }).active;
    const left = new AbortController();
    const body = JSON.stringify({ model, messages, stream: true, delay_ms: 10_000 });
    const reply = await fetch(`${program.url}/v1/chat/completions`, { method: 'POST', body, signal: left.signal });
    await reply.body?.getReader().read();
    expect(await active()).toBe(1);
    left.abort();
    await until(async () => (await active()) === 0);
  });
});

describe('completions', () => {
  test('continue their prompts', async () => {
    const prompt = ['The capital of Japan is', 'The symbol of gold is'];
    const reply = await client.completions.create({ model, prompt, temperature: 0, max_tokens: 1 });
    expect(reply.choices.map(({ text }) => text)).toEqual([' Tokyo', ' Au']);
    expect(reply.usage?.prompt_tokens).toBe(10);
  });

  test('name tokens and their places, and echo', async () => {
    const prompt = 'Light travels';
    const reply = await client.completions.create({ model, prompt, seed: 2, max_tokens: 8, logprobs: 3 });
    const { text, logprobs } = reply.choices[0] ?? {};
    expect(logprobs?.tokens?.join('')).toBe(text);
    logprobs?.tokens?.forEach((token, at) => {
      expect(text?.startsWith(token, logprobs.text_offset?.[at])).toBe(true);
      expect(Object.keys(logprobs.top_logprobs?.[at] ?? {})).toHaveLength(3);
    });
    const echoed = await client.completions.create({ model, prompt, seed: 2, max_tokens: 8, echo: true });
    expect(echoed.choices[0]?.text).toBe(prompt + text);
  });

  test('stream', async () => {
    const stream = await client.completions.create({ model, prompt: '', seed: 2, max_tokens: 6, stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? '';
    expect(tokenise(text)).toHaveLength(6);
  });
});

test('models are listed', async () => {
  const list = await client.models.list();
  expect(list.data.map(({ id }) => id)).toEqual([model]);
});

describe('bad input gets an OpenAI error that names the field', () => {
  test.each<[string, object, string]>([
    ['model', { model: 7 }, 'model'],
    ['no messages', { messages: [] }, 'messages'],
    ['messages of the wrong type', { messages: 'hello' }, 'messages'],
    ['an unknown role', { messages: [{ role: 'king', content: 'x' }] }, 'messages[0].role'],
    ['no content', { messages: [{ role: 'user' }] }, 'messages[0].content'],
    ['a picture', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content[0]'],
    ['temperature', { temperature: 3 }, 'temperature'],
    ['top_p', { top_p: '1' }, 'top_p'],
    ['max_tokens', { max_tokens: 0 }, 'max_tokens'],
    ['more than the context', { max_tokens: 100_000 }, 'max_tokens'],
    ['n', { n: 1000 }, 'n'],
    ['seed', { seed: 1.5 }, 'seed'],
    ['stop', { stop: [1] }, 'stop'],
    ['too many stops', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    ['an empty stop', { stop: '' }, 'stop'],
    ['top_logprobs alone', { top_logprobs: 2 }, 'top_logprobs'],
    ['stream', { stream: 'yes' }, 'stream'],
    ['stream_options alone', { stream_options: { include_usage: true } }, 'stream_options'],
    ['tools', { tools: [{ type: 'function' }] }, 'tools'],
    ['response_format', { response_format: { type: 'json_object' } }, 'response_format'],
    ['delay_ms', { delay_ms: -1 }, 'delay_ms'],
  ])('%s', async (_, body, param) => {
    const reply = await chat(body);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ error: { type: 'invalid_request_error', param, message: expect.any(String) as string } });
  });

  test('a prompt of tokens', async () => {
    expect((await post(`${program.url}/v1/completions`, { model, prompt: [1, 2] })).status).toBe(400);
  });

  test.each([['{"model":'], ['[]'], ['null'], ['']])('a body that is no object: %s', async (body) => {
    const reply = await post(`${program.url}/v1/chat/completions`, body);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ error: { code: 'invalid_json' } });
  });

  test('a body that is too large, and a prompt that is too long', async () => {
    const body = (letters: number): object => ({ messages: [{ role: 'user', content: 'a '.repeat(letters) }] });
    expect((await chat(body(600_000))).status).toBe(413);
    expect(await (await chat(body(10_000))).json()).toMatchObject({ error: { code: 'context_length_exceeded' } });
  });

  test('an unknown route and a wrong method', async () => {
    expect((await fetch(`${program.url}/v1/nothing`)).status).toBe(404);
    expect((await fetch(`${program.url}/v1/completions`)).status).toBe(405);
  });

  test('odd text is read without harm', async () => {
    const content = '\u0000\ud800 \u202e 🦊🦊 ' + 'x'.repeat(5000);
    expect(await textOf({ messages: [{ role: 'user', content }], max_tokens: 5, seed: 1 })).not.toBe('');
  });
});
