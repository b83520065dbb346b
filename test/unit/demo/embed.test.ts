import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { post, type Program, startProgram } from './program.ts';

const folder = fileURLToPath(new URL('../../../dev/chutes/embed', import.meta.url));
const model = 'demo/embed';

let program: Program;
let client: OpenAI;

beforeAll(async () => {
  program = await startProgram(folder, 'server.ts');
  client = new OpenAI({ baseURL: `${program.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterAll(() => program.stop());

const embeddings = (body: object): Promise<Response> => post(`${program.url}/v1/embeddings`, { model, ...body });

async function vectorsOf(...input: string[]): Promise<number[][]> {
  const reply = await client.embeddings.create({ model, input, encoding_format: 'float' });
  return reply.data.map(({ embedding }) => embedding);
}

const dot = (a: number[] = [], b: number[] = []): number => a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

test('vectors have length one, the asked dimensions and the order of the input', async () => {
  for (const dimensions of [64, 100, 512, 1024]) {
    const reply = await client.embeddings.create({ model, input: ['one', 'two words', '!?', ' '], dimensions });
    expect(reply.data.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    for (const { embedding } of reply.data) {
      expect(embedding).toHaveLength(dimensions);
      expect(dot(embedding, embedding)).toBeCloseTo(1, 5);
    }
  }
});

test('base64 holds the same numbers as float', async () => {
  const body = { input: 'the same text', dimensions: 128 };
  const [float, base64] = await Promise.all(['float', 'base64'].map((encoding_format) => embeddings({ ...body, encoding_format })));
  const numbers = ((await float!.json()) as { data: [{ embedding: number[] }] }).data[0].embedding;
  const bytes = Buffer.from(((await base64!.json()) as { data: [{ embedding: string }] }).data[0].embedding, 'base64');
  expect(numbers.map((_, at) => bytes.readFloatLE(at * 4))).toEqual(numbers);
  expect(bytes).toHaveLength(128 * 4);
});

test('similar texts are nearer than others', async () => {
  const pairs: [string, string, string][] = [
    ['How do I deploy a chute?', 'Deploying chutes, step by step', 'The owl hunts mice in the dark'],
    ['the cat sat on the mat', 'a cat is sitting on a mat', 'interest rates rose again in March'],
    ['colour of the evening sky', 'evening skies and their colours', 'a recipe for bread with rye'],
    ['miners serve calls', 'a call is served by a miner', 'tulips are planted in autumn'],
  ];
  for (const texts of pairs) {
    const [text, near, far] = await vectorsOf(...texts);
    expect(dot(text, near)).toBeGreaterThan(dot(text, far) + 0.1);
  }
});

test('the same text has the same vector, whatever its case and accents', async () => {
  const [a, b] = await vectorsOf('Café au lait', 'cafe AU LAIT');
  expect(dot(a, b)).toBeCloseTo(1, 5);
});

test('usage counts tokens and models are listed', async () => {
  const reply = await client.embeddings.create({ model, input: ['two words', 'three more words'] });
  expect(reply.usage).toEqual({ prompt_tokens: 5, total_tokens: 5 });
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual([model]);
});

describe('bad input', () => {
  test.each<[string, object, string]>([
    ['nothing', {}, 'input'],
    ['an empty string', { input: '' }, 'input'],
    ['no strings', { input: [] }, 'input'],
    ['tokens', { input: [1, 2, 3] }, 'input'],
    ['lists of tokens', { input: [[1, 2], [3]] }, 'input'],
    ['an empty string among others', { input: ['a', ''] }, 'input[1]'],
    ['too many', { input: Array.from({ length: 257 }, () => 'a') }, 'input'],
    ['too long', { input: 'a'.repeat(32_769) }, 'input'],
    ['few dimensions', { input: 'a', dimensions: 63 }, 'dimensions'],
    ['many dimensions', { input: 'a', dimensions: 1025 }, 'dimensions'],
    ['an unknown encoding', { input: 'a', encoding_format: 'hex' }, 'encoding_format'],
    ['no model', { input: 'a', model: null }, 'model'],
  ])('%s', async (_, body, param) => {
    const reply = await embeddings(body);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ error: { type: 'invalid_request_error', param } });
  });

  test('a body that is too large or no JSON', async () => {
    expect((await embeddings({ input: 'a'.repeat(5_000_000) })).status).toBe(413);
    expect((await post(`${program.url}/v1/embeddings`, '{')).status).toBe(400);
    expect((await fetch(`${program.url}/v1/embeddings`)).status).toBe(405);
  });
});
