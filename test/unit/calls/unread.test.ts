/** No call runs whose price is counted by what nobody can read. */
import { describe, expect, test } from 'vitest';
import { NO_PRICE, type ChuteConfig } from '#protocol';
import { ownTokenShape } from '../../../functions/calls/shape.ts';
import { unreadOf } from '../../../functions/calls/unread.ts';
import type { Price } from '../../../functions/prices/terms.ts';

const CHAT = '/v1/chat/completions';
const TOKENS: Partial<Price> = { output_per_million: 1 };
const CORD = { path: '/v1/responses', method: 'POST', retry: 'never' } as const;
const openai = { template: 'openai', cords: [] } satisfies Pick<ChuteConfig, 'template' | 'cords'>;
const http = { ...openai, template: 'http' } as const;
const terms = (price: Partial<Price>) => ({ version: 'p', price: { ...NO_PRICE, ...price }, discountBps: 0, feeBps: 0 });
const post = (path: string, text: string) => {
  const body = new TextEncoder().encode(text);
  return { method: 'POST', path, body, ...ownTokenShape(path, body) };
};
const upload = (path: string) => ({ method: 'POST', path, body: new ReadableStream<Uint8Array>() });

describe('what is charged by must be read', () => {
  test.each<[string, Parameters<typeof unreadOf>[0], Pick<ChuteConfig, 'template' | 'cords'>, Partial<Price>, string | null]>([
    ['an inference route', post(CHAT, '{}'), openai, TOKENS, null],
    ['an inference route with a query', post(`${CHAT}?x=1`, '{}'), openai, TOKENS, null],
    ['its body streamed', upload(CHAT), openai, TOKENS, 'invalid_request'],
    ['its body streamed, for nothing', upload(CHAT), openai, {}, null],
    ['its body streamed, to another template', upload(CHAT), http, TOKENS, null],
    ['its body streamed, where images are counted', upload('/run'), http, { per_image: 1 }, 'invalid_request'],
    ['a size that engines read and the edge does not', post(CHAT, '{"max_tokens":"100000"}'), openai, TOKENS, 'invalid_request'],
    ['a stream that engines read and the edge does not', post(CHAT, '{"stream":1}'), openai, TOKENS, 'invalid_request'],
    ['the same for nothing', post(CHAT, '{"stream":1}'), openai, {}, null],
    ['the same to another template', post(CHAT, '{"stream":1}'), http, TOKENS, null],
    ['a route whose reply is not counted', post('/v1/responses', '{}'), openai, TOKENS, 'cord_not_found'],
    ['an inference route in other letters', post('/v1/chat%2Fcompletions', '{}'), openai, TOKENS, 'cord_not_found'],
    ['a route that is not counted, and listed', post('/v1/responses', '{}'), { ...openai, cords: [CORD] }, TOKENS, null],
    ['a route that is not counted, for nothing', post('/v1/responses', '{}'), openai, { per_request: 1 }, null],
    ['a look', { method: 'GET', path: '/v1/models', body: null }, openai, TOKENS, null],
  ])('%s', (_, call, config, price, code) => {
    expect(unreadOf(call, config, terms(price))?.code ?? null).toBe(code);
  });

  test('the caller is told what could not be read', () => {
    const unread = unreadOf(post(CHAT, '{"max_tokens":"7"}'), openai, terms(TOKENS));
    expect(unread?.detail).toMatchObject({ param: 'max_tokens', message: expect.stringContaining('max_tokens') as string });
  });
});
