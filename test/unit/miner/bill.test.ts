/** What a stream tells of its own cost: the same however it is cut or taken up again, and never by the miner's word. */
import { describe, expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import type { RelayAsk } from '../../../functions/calls/ports.ts';
import { Bill } from '../../../functions/miner/bill.ts';
import { replyFilter, type Checkpoint, type ReplyFilter } from '../../../functions/miner/reply.ts';
import type { AttemptRow } from '../../../functions/miner/rows.ts';
import type { Price } from '../../../functions/prices/terms.ts';
import { callId, utf8 } from './world.ts';

const PRICE: Price = {
  ...NO_PRICE,
  input_per_million: 3_000_000,
  cached_per_million: 1_000_000,
  output_per_million: 7_000_000,
  per_request: 11,
};

interface Wish {
  price?: Price;
  ask?: { [K in keyof RelayAsk]?: RelayAsk[K] | undefined };
  requestBytes?: number;
  status?: number;
}

function filterOf({ price = PRICE, ask = {}, requestBytes = 500, status = 200 }: Wish = {}, from?: Checkpoint): ReplyFilter {
  const row = {
    ask: {
      call: callId(1),
      terms: { version: 'p1', price, discountBps: 0, feeBps: 0 },
      facts: { images: 0, steps: 0 },
      hold: '1000000000',
      allowance: null,
      stream: { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: true, options: true },
      ...ask,
    },
    startedAt: 1_700_000_000_000,
    requestBytes,
  } as unknown as AttemptRow;
  return replyFilter({ events: true, template: 'openai', bill: new Bill(row, status) }, from);
}

const event = (object: unknown): string => `data: ${JSON.stringify(object)}\n\n`;
const text = (content: string): string => event({ id: 'c', choices: [{ index: 0, delta: { content } }] });
const usageEvent = (usage: Record<string, unknown>): string => event({ id: 'c', choices: [], usage });
const DONE = 'data: [DONE]\n\n';

function through(filter: ReplyFilter, reply: string): string {
  const out = Buffer.from(filter.push(utf8(reply))).toString();
  return out + Buffer.from(filter.end()).toString();
}

/** The usage objects that reach the client. */
function usages(reply: string, wish: Wish = {}): unknown[] {
  const events = through(filterOf(wish), reply).split('\n\n').filter(Boolean);
  const objects = events.filter((e) => e !== 'data: [DONE]').map((e) => JSON.parse(e.slice(6)) as { usage?: unknown });
  return objects.flatMap((o) => (o.usage == null ? [] : [o.usage]));
}

describe('the usage of the engine gets the cost', () => {
  const claim = { prompt_tokens: 20, completion_tokens: 4 };
  const table: [string, string, Wish, unknown[]][] = [
    ['of in and out', text('four') + usageEvent(claim), {}, [{ ...claim, cost_nanousd: `${11 + 20 * 3 + 4 * 7}` }]],
    [
      'of what was cached at its own price',
      text('four') + usageEvent({ ...claim, prompt_tokens_details: { cached_tokens: 15 } }),
      {},
      [{ ...claim, prompt_tokens_details: { cached_tokens: 15 }, cost_nanousd: `${11 + 5 * 3 + 15 * 1 + 4 * 7}` }],
    ],
    [
      'of the input that a request of so many bytes can have',
      text('four') + usageEvent(claim),
      { requestBytes: 6 },
      [{ ...claim, cost_nanousd: `${11 + 6 * 3 + 4 * 7}` }],
    ],
    [
      'of the output that so much text can be',
      text('ab') + usageEvent({ ...claim, completion_tokens: 40 }),
      {},
      [{ ...claim, completion_tokens: 40, cost_nanousd: `${11 + 20 * 3 + 3 * 7}` }],
    ],
    ['at most what is held', text('four') + usageEvent(claim), { ask: { hold: '50' } }, [{ ...claim, cost_nanousd: '50' }]],
    [
      'more than was held at first where the hold grows',
      text('four') + usageEvent(claim),
      { ask: { hold: '50', allowance: 1_024 } },
      [{ ...claim, cost_nanousd: '99' }],
    ],
    ['nothing of an error', text('four') + usageEvent(claim), { status: 500 }, [{ ...claim, cost_nanousd: '0' }]],
    ['nothing where it is free', text('four') + usageEvent(claim), { price: NO_PRICE }, [{ ...claim, cost_nanousd: '0' }]],
    [
      'so far, in each of them',
      text('a') +
        usageEvent({ prompt_tokens: 5, completion_tokens: 1 }) +
        text('b') +
        usageEvent({ prompt_tokens: 5, completion_tokens: 2 }),
      {},
      [
        { prompt_tokens: 5, completion_tokens: 1, cost_nanousd: `${11 + 15 + 7}` },
        { prompt_tokens: 5, completion_tokens: 2, cost_nanousd: `${11 + 15 + 14}` },
      ],
    ],
    ['and none that the miner made up', text('four') + usageEvent({ ...claim, cost_nanousd: '1' }), {}, [{ ...claim, cost_nanousd: '99' }]],
  ];
  test.each(table)('%s', (_, reply, wish, expected) => {
    expect(usages(reply + DONE, wish)).toEqual(expected);
  });

  test.each<[string, Wish]>([
    ['where time costs: it is not over', { price: { ...PRICE, per_second: 1 } }],
    ['where the body was streamed: its length is not in the row', { requestBytes: 0 }],
    ['where a row of an older deploy does not say what is held', { ask: { hold: undefined } }],
  ])("no cost, nor the miner's, %s", (_, wish) => {
    expect(usages(text('a') + usageEvent({ ...claim, cost_nanousd: '1' }) + DONE, wish)).toEqual([claim]);
  });

  test('all else of the event stays', () => {
    const object = {
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [],
      usage: claim,
      system_fingerprint: 'f',
      x: { y: [1, null] },
    };
    const out = through(filterOf(), text('four') + event(object));
    expect(JSON.parse(out.split('\n\n')[1]?.slice(6) ?? '')).toEqual({ ...object, usage: { ...claim, cost_nanousd: '99' } });
  });

  test('events without usage are not touched', () => {
    const strange = 'data: {"choices" : [{"delta":{"content":"\\u0061"}}],  "usage":null}\n\n';
    expect(through(filterOf(), strange + DONE)).toContain(strange);
  });
});

describe('an engine that tells no usage', () => {
  test('to a client that asked: one last event before [DONE], of what is charged', () => {
    const out = through(filterOf(), text('a') + text('b') + DONE);
    const [, , last, done] = out.split('\n\n');
    expect(JSON.parse(last?.slice(6) ?? '')).toEqual({
      id: callId(1),
      object: 'chat.completion.chunk',
      created: 1_700_000_000,
      model: 'o/x',
      choices: [],
      usage: { prompt_tokens: 0, completion_tokens: 2, total_tokens: 2, cost_nanousd: '25' },
    });
    expect(done).toBe('data: [DONE]');
  });

  test.each<[string, string, Wish]>([
    [
      'did not ask',
      text('a'),
      { ask: { stream: { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: false, options: false } } },
    ],
    ['asked, but no token came', event({ choices: [{ delta: {} }] }), {}],
    ['asked in an older deploy', text('a'), { ask: { stream: undefined } }],
  ])('to a client that %s: nothing', (_, reply, wish) => {
    expect(through(filterOf(wish), reply + DONE)).toBe(reply + DONE);
  });
});

test('usage that only the edge asked for is metered and goes no further', () => {
  const stream = { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: false, options: false } as const;
  const filter = filterOf({ ask: { stream } });
  const beside = event({ choices: [{ index: 0, delta: {} }], usage: { prompt_tokens: 5, completion_tokens: 1 } });
  const out = through(filter, text('a') + beside + usageEvent({ prompt_tokens: 9, completion_tokens: 1 }) + DONE);
  expect(out.split('\n\n').filter(Boolean)).toHaveLength(3);
  expect(out).not.toContain('"prompt_tokens":9');
  expect(filter.checkpoint().meter).toMatchObject({ claimIn: 9, claimOut: 1 });
});

describe('the same from any checkpoint', () => {
  const claim = { prompt_tokens: 20, completion_tokens: 3 };
  test.each<[string, string]>([
    ['usage at the end', text('é') + text('😀') + text('c') + usageEvent(claim) + DONE],
    ['usage in each event', text('a') + usageEvent(claim) + text('b') + usageEvent(claim) + DONE],
    ['usage made here', text('a') + text('b') + DONE],
  ])('%s', (_, reply) => {
    const bytes = utf8(reply);
    const expected = through(filterOf(), reply);
    const first = filterOf();
    let before = '';
    for (let at = 0; at < bytes.byteLength; at++) {
      before += Buffer.from(first.push(bytes.subarray(at, at + 1))).toString();
      const from = first.checkpoint();
      const rest = filterOf({}, from);
      expect(before + Buffer.from(rest.push(bytes.subarray(from.offset))).toString(), `at ${at}`).toBe(expected);
      expect(rest.checkpoint().client).toBe(utf8(expected).byteLength);
    }
  });
});
