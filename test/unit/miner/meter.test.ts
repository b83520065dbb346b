/** A miner's claim only ever lowers what it could have earned. */
import { describe, expect, test } from 'vitest';
import { emptyMeter, meterObject, meteredTokens, tokensUsed, type Meter } from '../../../functions/miner/meter.ts';

function after(...objects: Record<string, unknown>[]): Meter {
  const meter = emptyMeter();
  for (const object of objects) meterObject(meter, object);
  return meter;
}

const delta = (content: unknown) => ({ choices: [{ delta: { content } }] });
const usage = (prompt: unknown, completion: unknown) => ({ usage: { prompt_tokens: prompt, completion_tokens: completion } });
const cached = (prompt: number, tokens: unknown) => ({
  usage: { prompt_tokens: prompt, completion_tokens: 0, prompt_tokens_details: { cached_tokens: tokens } },
});

describe('tokens', () => {
  const table: [string, Record<string, unknown>[], number, { tokensIn: number | null; cachedIn?: number; tokensOut: number | null }][] = [
    ['an honest claim', [delta('four'), delta('five!'), usage(9, 3)], 100, { tokensIn: 9, tokensOut: 3 }],
    ['ten times the text', [delta('0123456789'), usage(9, 100)], 100, { tokensIn: 9, tokensOut: 11 }],
    ['the last claim counts', [delta('abc'), usage(1, 1), usage(2, 2)], 100, { tokensIn: 2, tokensOut: 2 }],
    ['reasoning by its newer name', [{ choices: [{ delta: { reasoning: 'four' } }] }, usage(9, 3)], 100, { tokensIn: 9, tokensOut: 3 }],
    [
      'reasoning by both names, once',
      [{ choices: [{ delta: { reasoning: 'four', reasoning_content: 'four' } }] }, usage(9, 100)],
      100,
      { tokensIn: 9, tokensOut: 5 },
    ],
    ['a claim without any text', [usage(9, 1_000_000)], 100, { tokensIn: 9, tokensOut: 1 }],
    ['a prompt larger than the request', [usage(1_000_000, 0)], 100, { tokensIn: 100, tokensOut: 0 }],
    ['a prompt of a request without bytes', [usage(5, 0)], 0, { tokensIn: 0, tokensOut: 0 }],
    ['no claim: one per event with text', [delta('a'), delta(''), delta('bc')], 100, { tokensIn: null, tokensOut: 2 }],
    ['neither claim nor text', [{}], 100, { tokensIn: null, tokensOut: null }],
    ['a negative claim is none', [delta('a'), usage(-1, -5)], 100, { tokensIn: null, tokensOut: 1 }],
    ['a fraction is none', [delta('a'), usage(1.5, 0.5)], 100, { tokensIn: null, tokensOut: 1 }],
    ['infinity is none', [delta('a'), usage(Infinity, 1e300)], 100, { tokensIn: null, tokensOut: 1 }],
    ['text is none', [delta('a'), usage('9', '9')], 100, { tokensIn: null, tokensOut: 1 }],
    ['usage null, as in every event but the last', [delta('ab'), { usage: null }], 100, { tokensIn: null, tokensOut: 1 }],
    ['usage that is a list', [delta('ab'), { usage: [1] }], 100, { tokensIn: null, tokensOut: 1 }],
    ['a later object without usage keeps the claim', [usage(3, 0), delta('a')], 100, { tokensIn: 3, tokensOut: 0 }],
    ['what the cache had', [cached(9, 4)], 100, { tokensIn: 9, cachedIn: 4, tokensOut: 0 }],
    ['more in the cache than there was', [cached(9, 10)], 100, { tokensIn: 9, cachedIn: 9, tokensOut: 0 }],
    ['more in the cache than the request had', [cached(200, 150)], 100, { tokensIn: 100, cachedIn: 100, tokensOut: 0 }],
    ['a cache of nonsense', [cached(9, -1), cached(9, '4')], 100, { tokensIn: 9, tokensOut: 0 }],
  ];
  test.each(table)('%s', (_, objects, requestBytes, tokens) => {
    expect(meteredTokens(after(...objects), requestBytes)).toEqual({ cachedIn: null, ...tokens });
  });

  test.each(table)('%s: never more than is asked of the Account', (_, objects, __, tokens) => {
    expect(tokensUsed(after(...objects))).toBeGreaterThanOrEqual(tokens.tokensOut ?? 0);
  });

  test('a claim beyond the text asks the Account for no more than the text can be', () => {
    expect(tokensUsed(after(delta('0123456789'), usage(9, 1_000_000)))).toBe(11);
  });
});

describe('bytes of text', () => {
  test.each<[string, Record<string, unknown>, number]>([
    ['chat, streamed', delta('abc'), 3],
    ['chat, whole', { choices: [{ message: { content: 'abc' } }] }, 3],
    ['completions', { choices: [{ text: 'abc' }] }, 3],
    ['reasoning', { choices: [{ delta: { reasoning_content: 'abcd' } }] }, 4],
    ['tool calls', { choices: [{ delta: { tool_calls: [{ function: { name: 'f', arguments: '{}' } }] } }] }, 3],
    ['every choice', { choices: [{ text: 'a' }, { text: 'bc' }] }, 3],
    ['as UTF-8', delta('é€😀'), 9],
    ['a lone surrogate is a replacement character or less', delta('\ud800'), 2],
    ['content that is no text', delta([{ type: 'text', text: 'abc' }]), 0],
    ['choices that are no list', { choices: { text: 'abc' } }, 0],
    ['choices of nonsense', { choices: [null, 1, 'x', [], { delta: null }] }, 0],
    ['text outside of choices', { content: 'abc', text: 'abc' }, 0],
  ])('%s', (_, object, bytes) => {
    expect(after(object).text).toBe(bytes);
  });
});

test.each([
  ['told by the engine', [{ usage: { prompt_tokens: 5 } }, { choices: [{ delta: { content: 'x' } }] }], 3, 5],
  ['never told: the low count', [{ choices: [{ delta: { content: 'x' } }] }], 3, 3],
  ['never told, and more than the request has bytes', [{ choices: [{ delta: { content: 'x' } }] }], 300, 100],
  ['no text came', [{ choices: [] }], 3, null],
  ['nothing known of the prompt', [{ choices: [{ delta: { content: 'x' } }] }], null, null],
])('input %s', (_, objects, prompt, tokens) => {
  expect(meteredTokens(after(...objects), 100, Infinity, prompt).tokensIn).toBe(tokens);
});
