/** How much a request for tokens asks for: read before anything is held, refused where it makes no sense. */
import { describe, expect, test } from 'vitest';
import { chatShape, ownTokenShape, wantUsage } from '../../../functions/calls/shape.ts';
import { RipcordError } from '../../../functions/errors.ts';
import { DEFAULT_MAX_TOKENS, quoteOf } from '../../../functions/prices/cost.ts';
import { factsOf } from '../../../functions/prices/facts.ts';
import { NO_PRICE } from '#protocol';

const CHAT = '/v1/chat/completions';
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const bodyOf = (fields: Record<string, unknown>): Uint8Array => utf8(JSON.stringify({ model: 'o/x', ...fields }));

describe('tokens wanted', () => {
  test.each<[string, Record<string, unknown>, number | null]>([
    ['none said', {}, null],
    ['null', { max_tokens: null }, null],
    ['max_tokens', { max_tokens: 7 }, 7],
    ['by the newer name', { max_completion_tokens: 9 }, 9],
    ['the larger of two names', { max_tokens: 7, max_completion_tokens: 9 }, 9],
    ['the larger of two names, if it is the older', { max_tokens: 9, max_completion_tokens: 7 }, 9],
    ['the newer name is null', { max_tokens: 7, max_completion_tokens: null }, 7],
    ['the largest that can be said', { max_tokens: Number.MAX_SAFE_INTEGER }, Number.MAX_SAFE_INTEGER],
    ['several answers', { max_tokens: 7, n: 3 }, 21],
    ['several answers of the default', { n: 3 }, 3 * DEFAULT_MAX_TOKENS],
    ['the best of several', { max_tokens: 7, n: 2, best_of: 5 }, 35],
    ['several prompts', { max_tokens: 7, prompt: ['a', 'b', 'c'], n: 2 }, 42],
    ['several prompts of tokens', { max_tokens: 7, prompt: [[1, 2], [3]] }, 14],
    ['one prompt of tokens', { max_tokens: 7, prompt: [1, 2, 3] }, 7],
    ['an empty list of prompts', { max_tokens: 7, prompt: [] }, 7],
    ['more than can be counted', { max_tokens: Number.MAX_SAFE_INTEGER, n: 128 }, Number.MAX_SAFE_INTEGER],
  ])('%s', (_, fields, tokens) => {
    expect(chatShape(CHAT, bodyOf(fields)).maxTokens).toBe(tokens);
  });

  test.each<[string, Record<string, unknown>, number | null]>([
    ['beside the one it has', { max_tokens: 100_000, max_completion_tokens: 1 }, 100_000],
    ['alone', { max_completion_tokens: 1 }, null],
  ])('text completions know no max_completion_tokens: %s', (_, fields, tokens) => {
    expect(chatShape('/v1/completions', bodyOf(fields)).maxTokens).toBe(tokens);
  });

  const bad: [string, string, string][] = [
    ['zero', 'max_tokens', '0'],
    ['negative', 'max_tokens', '-1'],
    ['a fraction', 'max_tokens', '1.5'],
    ['2^53', 'max_tokens', '9007199254740992'],
    ['far beyond', 'max_tokens', '1e300'],
    ['infinite', 'max_tokens', '1e999'],
    ['a text', 'max_tokens', '"7"'],
    ['a list', 'max_tokens', '[7]'],
    ['true', 'max_completion_tokens', 'true'],
    ['zero', 'max_completion_tokens', '0'],
    ['zero', 'n', '0'],
    ['negative', 'n', '-3'],
    ['too many', 'n', '129'],
    ['a text', 'best_of', '"2"'],
    ['a number', 'stream', '1'],
    ['a text', 'stream', '"true"'],
    ['a name that some engines prefer', 'n_predict', '100000'],
  ];
  test.each(bad)('%s is refused: %s', (_, param, value) => {
    const error = thrown(() => chatShape(CHAT, utf8(`{"model":"o/x","${param}":${value}}`)));
    expect(error).toMatchObject({ code: 'invalid_request', detail: { param } });
    expect(error.message).toContain(param);
  });

  test.each(bad)('%s under the own name of a chute is told to who is paid by tokens: %s', (_, param, value) => {
    const shape = ownTokenShape(CHAT, utf8(`{"model":"o/x","${param}":${value}}`));
    expect(shape).toMatchObject({ maxTokens: null, tokens: null, unread: { param } });
  });

  test('no request makes a quote that cannot be held in 64 bits, at prices per token', () => {
    const terms = { version: 'p', price: { ...NO_PRICE, input_per_million: 1e12, output_per_million: 1e12 }, discountBps: 0, feeBps: 0 };
    const body = bodyOf({ max_tokens: Number.MAX_SAFE_INTEGER, n: 128 });
    const { maxTokens } = chatShape(CHAT, body);
    expect(quoteOf(terms, factsOf(terms, { body, maxTokens, timeoutMs: 600_000 }))).toBeLessThan(2n ** 63n);
  });
});

describe('a stream of tokens', () => {
  test.each<[string, string, Record<string, unknown>, unknown]>([
    ['not wanted', CHAT, {}, null],
    ['of chat', CHAT, { stream: true }, { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: false, options: false }],
    [
      'of text',
      '/v1/completions',
      { stream: true, n: 2 },
      { object: 'text_completion', model: 'o/x', choices: 2, usage: false, options: false },
    ],
    [
      'with usage',
      CHAT,
      { stream: true, stream_options: { include_usage: true } },
      { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: true, options: true },
    ],
    [
      'with options of nonsense',
      CHAT,
      { stream: true, stream_options: 'usage' },
      { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: false, options: true },
    ],
    [
      'with usage that is not true',
      CHAT,
      { stream: true, stream_options: { include_usage: 'yes' } },
      { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: false, options: true },
    ],
  ])('%s', (_, path, fields, tokens) => {
    const wanted = tokens === null ? null : { ...(tokens as object), prompt: 0 };
    expect(chatShape(path, bodyOf(fields)).tokens).toEqual(wanted);
    expect(ownTokenShape(path, bodyOf(fields)).tokens).toEqual(wanted);
  });

  test.each<[string, string, Record<string, unknown>, number]>([
    ['eight characters are counted as one', CHAT, { messages: [{ role: 'user', content: 'x'.repeat(15) }] }, 1],
    ['over all messages', CHAT, { messages: Array.from({ length: 4 }, () => ({ role: 'user', content: 'x'.repeat(6) })) }, 3],
    [
      'parts of text, not images',
      CHAT,
      { messages: [{ content: [{ type: 'text', text: 'x'.repeat(16) }, { image_url: 'y'.repeat(999) }] }] },
      2,
    ],
    ['a prompt', '/v1/completions', { prompt: 'x'.repeat(80) }, 10],
    ['several prompts', '/v1/completions', { prompt: ['x'.repeat(8), 'x'.repeat(8)] }, 2],
    ['token ids', '/v1/completions', { prompt: [1, 2, 3] }, 0],
    ['nonsense', CHAT, { messages: [null, 7, { content: { text: [] } }] }, 0],
  ])('tokens of its prompt: %s', (_, path, fields, prompt) => {
    expect(chatShape(path, bodyOf({ stream: true, ...fields })).tokens?.prompt).toBe(prompt);
  });

  test.each<[string, string, string]>([
    [
      'no options',
      '{"stream":true,"seed": 12345678901234567890}',
      '{"stream":true,"seed": 12345678901234567890,"stream_options":{"include_usage":true}}',
    ],
    ['blanks at the end', '{"stream":true } \n', '{"stream":true ,"stream_options":{"include_usage":true}}'],
    ['braces in a text', '{"stream":true,"x":"}"}', '{"stream":true,"x":"}","stream_options":{"include_usage":true}}'],
    ['options without', '{"stream":true,"stream_options":{"x":1}}', '{"stream":true,"stream_options":{"x":1,"include_usage":true}}'],
    [
      'options that say no',
      '{"stream":true,"stream_options":{"include_usage":false}}',
      '{"stream":true,"stream_options":{"include_usage":true}}',
    ],
    ['options that are null', '{"stream":true,"stream_options":null}', '{"stream":true,"stream_options":{"include_usage":true}}'],
    [
      'options that ask',
      '{"stream":true,"stream_options":{"include_usage":true}}',
      '{"stream":true,"stream_options":{"include_usage":true}}',
    ],
    ['options of nonsense', '{"stream":true,"stream_options":"x"}', '{"stream":true,"stream_options":"x"}'],
    [
      'options that an engine may read as a no',
      '{"stream":true,"stream_options":{"include_usage":"off"}}',
      '{"stream":true,"stream_options":{"include_usage":true}}',
    ],
    [
      'usage that is null',
      '{"stream":true,"stream_options":{"include_usage":null}}',
      '{"stream":true,"stream_options":{"include_usage":true}}',
    ],
  ])('the engine is asked for usage: %s', (_, body, asking) => {
    const { tokens } = ownTokenShape(CHAT, utf8(body));
    expect(tokens && Buffer.from(wantUsage(utf8(body), tokens)).toString()).toBe(asking);
  });

  test('options in a body that is nested too deeply to be written again are refused', () => {
    const body = utf8(`{"stream":true,"stream_options":{},"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`);
    const { tokens } = ownTokenShape(CHAT, body);
    expect(thrown(() => tokens && wantUsage(body, tokens))).toMatchObject({ code: 'invalid_request', detail: { param: 'stream_options' } });
  });

  test.each<[string, string, unknown]>([
    ['on another route', '/run', bodyOf({ stream: true, max_tokens: 3 })],
    ['of a body that is not in memory', CHAT, new ReadableStream()],
    ['of no body', CHAT, null],
  ])('under the own name of a chute, not %s', (_, path, body) => {
    expect(ownTokenShape(path, body)).toEqual({ maxTokens: null, tokens: null });
  });

  test('under the own name of a chute, a body that is no JSON is told', () => {
    expect(ownTokenShape(CHAT, utf8('{'))).toMatchObject({
      maxTokens: null,
      tokens: null,
      unread: { message: expect.any(String) as string },
    });
  });

  test('under the own name of a chute, whatever the query', () => {
    expect(ownTokenShape(`${CHAT}?x=1`, bodyOf({ max_tokens: 3 })).maxTokens).toBe(3);
  });
});

function thrown(act: () => unknown): RipcordError {
  try {
    act();
  } catch (error) {
    if (error instanceof RipcordError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
