/** What a client is told of money and rate: in headers, and in the body of a refusal. */
import { describe, expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import { moneyHeaders, refusalOf } from '../../../functions/calls/money.ts';
import type { Opened, OpenRefused, RateState, RelayMeter } from '../../../functions/calls/ports.ts';
import { rateHeaders } from '../../../functions/calls/rate.ts';
import { errorResponse } from '../../../functions/errors.ts';

const RATE: RateState = { limit: 20_000, windowMs: 10_000, remaining: 19_999.7, resetMs: 1 };
const FACTS = { requestBytes: 100, maxTokens: 10, timeoutMs: 1_000, images: 0, steps: 0 };
const PRICE = { ...NO_PRICE, input_per_million: 3_000_000, output_per_million: 7_000_000, per_request: 11 };
const OPENED: Opened = {
  ok: true,
  terms: { version: 'p1', price: PRICE, discountBps: 0, feeBps: 2_000 },
  hold: 381n,
  allowance: null,
  rate: RATE,
};
const METER: RelayMeter = { status: 200, bytes: 9, tokensIn: 5, cachedIn: null, tokensOut: 2, lastByteMs: 40 };

describe('rate', () => {
  test('in the form of the draft, whole numbers, rounded to the careful side', () => {
    expect(rateHeaders(RATE)).toEqual([
      ['ratelimit-policy', '"key";q=20000;w=10'],
      ['ratelimit', '"key";r=19999;t=1'],
    ]);
  });

  test.each<[string, Partial<RateState>, string, string]>([
    ['used up', { remaining: 0, resetMs: 10_000 }, '"key";q=20000;w=10', '"key";r=0;t=10'],
    ['overdrawn', { remaining: -3 }, '"key";q=20000;w=10', '"key";r=0;t=1'],
    ['full', { remaining: 20_000, resetMs: 0 }, '"key";q=20000;w=10', '"key";r=20000;t=0'],
    ['a window below a second', { limit: 1, windowMs: 10, remaining: 1, resetMs: 0 }, '"key";q=1;w=1', '"key";r=1;t=0'],
  ])('%s', (_, change, policy, state) => {
    expect(rateHeaders({ ...RATE, ...change }).map(([, value]) => value)).toEqual([policy, state]);
  });

  test('nothing is said where nothing is known', () => {
    expect(rateHeaders(undefined)).toEqual([]);
    expect(rateHeaders({ limit: 0, windowMs: 0, remaining: 0, resetMs: 0 })).toEqual([]);
  });
});

describe('money of a reply', () => {
  test.each<[string, RelayMeter | null, string, string]>([
    ['a stream: what is held', null, 'x-ripcord-hold-nanousd', '381'],
    ['whole: what it costs', METER, 'x-ripcord-cost-nanousd', `${11 + 15 + 14}`],
    ['whole, of more than was held', { ...METER, tokensOut: 1_000 }, 'x-ripcord-cost-nanousd', '381'],
    ['whole, an error', { ...METER, status: 404 }, 'x-ripcord-cost-nanousd', '0'],
  ])('%s', (_, meter, name, value) => {
    expect(moneyHeaders(OPENED, FACTS, meter)).toEqual([...rateHeaders(RATE), [name, value]]);
  });
});

describe('a refusal', () => {
  const short: OpenRefused = { ok: false, code: 'insufficient_credit', required: 1_234_567_000n, available: 0n, rate: RATE };

  async function answer(refused: OpenRefused, shape: 'openai' | 'problem') {
    const error = refusalOf(refused);
    if (refused.code === 'insufficient_credit') error.detail.topUpUrl = 'https://example.test/top-up';
    const reply = errorResponse(error, shape, 'id');
    return { reply, body: (await reply.json()) as Record<string, unknown> };
  }

  test('out of credit: what is required, what there is, where to get more', async () => {
    const { reply, body } = await answer(short, 'problem');
    expect(reply.status).toBe(402);
    expect(reply.headers.get('ratelimit')).toBe('"key";r=19999;t=1');
    expect(body).toMatchObject({
      code: 'insufficient_credit',
      detail: 'The call may cost up to 1.234567 USD, and the account has 0.00 USD.',
      required_nanousd: '1234567000',
      available_nanousd: '0',
      top_up_url: 'https://example.test/top-up',
    });
  });

  test('the same to an OpenAI client', async () => {
    const { body } = await answer(short, 'openai');
    expect(body['error']).toMatchObject({
      type: 'insufficient_quota',
      code: 'insufficient_credit',
      required_nanousd: '1234567000',
      available_nanousd: '0',
      top_up_url: 'https://example.test/top-up',
    });
  });

  test('the cap of a key: when it starts anew', async () => {
    const { body } = await answer({ ...short, code: 'key_cap_reached', available: 5n, resetAt: Date.UTC(2030, 0, 1) }, 'problem');
    expect(body).toMatchObject({
      code: 'key_cap_reached',
      detail: 'The call may cost up to 1.234567 USD, and the cap of the API key leaves 0.000000005 USD.',
      resets_at: '2030-01-01T00:00:00.000Z',
    });
    expect(body).not.toHaveProperty('top_up_url');
  });

  test('out of rate: when to come again', async () => {
    const { reply, body } = await answer(
      { ok: false, code: 'rate_limited', retryAfterMs: 1_200, rate: { ...RATE, remaining: 0 } },
      'problem',
    );
    expect(reply.status).toBe(429);
    expect(reply.headers.get('retry-after')).toBe('2');
    expect(reply.headers.get('ratelimit')).toBe('"key";r=0;t=1');
    expect(body).not.toHaveProperty('required_nanousd');
  });

  test('amounts beyond 64 bits are told as they are', async () => {
    const { body } = await answer({ ...short, required: 2n ** 70n }, 'problem');
    expect(body['required_nanousd']).toBe((2n ** 70n).toString());
  });
});
