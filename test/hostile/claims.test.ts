/** Miners that claim more than they gave: the caller pays for what the text can be, and for no more than was held. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../harness/until.ts';
import { data, end, events, head } from './raw-agent.ts';
import { Stage } from './stage.ts';

/** Nano-USD of a token in and out, and of a request. */
const [IN, OUT, REQUEST] = [3n, 7n, 11n];
const price = { input_per_million: 3_000_000, output_per_million: 7_000_000, per_request: 11 };

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ price });
});
afterAll(() => stage?.close());

/** What became of a call, once it is over. */
async function story(reply: Response): Promise<{ cost_nanousd: string; hold_nanousd: string; attempts: { tokens_out: number | null }[] }> {
  return until('the call is over', async () => {
    const told = await stage.request(`/calls/${reply.headers.get('x-request-id')}`, {}, false);
    const body = (await told.json()) as Awaited<ReturnType<typeof story>> & { state: string };
    return body.state === 'running' ? null : body;
  });
}

/** One call that the agent answers with these events; the text that reached the client with it. */
async function streamed(fields: Record<string, unknown>, ...objects: unknown[]): Promise<{ reply: Response; text: string; cost: bigint }> {
  const asked = stage.chat({ stream: true, ...fields });
  const { stream, open } = await stage.agent.opened();
  const body = `${objects.map((object) => `data: ${JSON.stringify(object)}\n\n`).join('')}data: [DONE]\n\n`;
  stage.agent.frames(events(stream), data(stream, body), end(stream, open.attempt, Buffer.byteLength(body)));
  const reply = await asked;
  const text = await reply.text();
  return { reply, text, cost: BigInt((await story(reply)).cost_nanousd) };
}

const says = (content: string) => ({ choices: [{ index: 0, delta: { content } }] });
const claims = (prompt: unknown, completion: unknown, more = {}) => ({
  choices: [],
  usage: { prompt_tokens: prompt, completion_tokens: completion, ...more },
});
const requestBytes = (fields: Record<string, unknown>): bigint =>
  BigInt(JSON.stringify({ model: stage.it.name, messages: [{ role: 'user', content: 'Hi' }], ...fields }).length);

describe('tokens', () => {
  test.each<[string, unknown[], bigint]>([
    ['ten times the text', [says('0123456789'), claims(2, 100)], REQUEST + 2n * IN + 11n * OUT],
    ['any number of them', [says('abc'), claims(2, Number.MAX_SAFE_INTEGER)], REQUEST + 2n * IN + 4n * OUT],
    ['of no text at all', [claims(2, 1_000_000)], REQUEST + 2n * IN + OUT],
    ['below zero', [says('abc'), claims(-1_000, -1_000)], REQUEST + OUT],
    ['in words', [says('abc'), claims('many', '1e9')], REQUEST + OUT],
    ['one last, larger claim', [says('abc'), claims(2, 1), claims(2, 500)], REQUEST + 2n * IN + 4n * OUT],
    [
      'from the cache, more than there were',
      [says('abc'), claims(2, 1, { prompt_tokens_details: { cached_tokens: 99 } })],
      REQUEST + 2n * IN + OUT,
    ],
  ])('%s', async (_, objects, cost) => {
    expect((await streamed({}, ...objects)).cost).toBe(cost);
  });

  test('of a prompt longer than the request', async () => {
    const { cost } = await streamed({}, says('abc'), claims(1_000_000, 1));
    expect(cost).toBe(REQUEST + requestBytes({ stream: true }) * IN + OUT);
  });

  test('more text than was asked for: what was held', async () => {
    const fields = { max_tokens: 5 };
    const { reply, cost } = await streamed(fields, says('x'.repeat(1_000)), claims(1_000_000, 1_000));
    const held = REQUEST + requestBytes({ stream: true, ...fields }) * IN + 1n + 5n * OUT;
    expect(reply.headers.get('x-ripcord-hold-nanousd')).toBe(String(held));
    expect(cost).toBe(held);
  });
});

test('nobody but the edge says what a call costs', async () => {
  const { text, cost } = await streamed(
    { stream_options: { include_usage: true } },
    says('abc'),
    claims(2, 1, { cost_nanousd: '0', total_tokens: 3 }),
  );
  expect(text).toContain(`"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3,"cost_nanousd":"${cost}"}`);
  const asked = stage.chat();
  const { stream, open } = await stage.agent.opened();
  const forged: [string, string][] = [
    ['x-ripcord-cost-nanousd', '0'],
    ['x-ripcord-hold-nanousd', '0'],
    ['ratelimit', '"key";r=0;t=9999'],
    ['ratelimit-policy', '"key";q=1;w=1'],
  ];
  const body = JSON.stringify({ choices: [{ message: { content: 'abc' } }], usage: { prompt_tokens: 2, completion_tokens: 1 } });
  const first = head(stream, [['content-type', 'application/json'], ...forged]);
  stage.agent.frames(first, data(stream, body), end(stream, open.attempt, body.length));
  const reply = await asked;
  expect(reply.headers.get('x-ripcord-cost-nanousd')).toBe(String(REQUEST + 2n * IN + OUT));
  expect(reply.headers.has('x-ripcord-hold-nanousd')).toBe(false);
  for (const [name, value] of forged) expect(reply.headers.get(name)).not.toBe(value);
  expect((await story(reply)).cost_nanousd).toBe(String(REQUEST + 2n * IN + OUT));
});
