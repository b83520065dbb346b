/** What an attempt is charged for by the way it ended: for what was delivered, and for nothing else. */
import { describe, expect, test } from 'vitest';
import { FRAME, LIMITS, NO_PRICE } from '#protocol';
import type { RelayAsk } from '../../../functions/calls/ports.ts';
import { chargeOf } from '../../../functions/prices/charge.ts';
import type { Terms } from '../../../functions/prices/terms.ts';
import { INSTANCE, VERSION, World, data, end, head, reset } from './world.ts';

/** 3 nano-USD a token in, 7 a token out, 11 a request; by the second, 2,000 (2 a millisecond). */
const TOKENS: Terms = terms({ input_per_million: 3_000_000, output_per_million: 7_000_000, per_request: 11 });
const SECONDS: Terms = terms({ per_second: 2_000 });
const UNITS: Terms = terms({ per_image: 100, per_step: 10 });

function terms(price: Partial<Terms['price']>): Terms {
  return { version: 'p1', price: { ...NO_PRICE, ...price }, discountBps: 0, feeBps: 0 };
}

const token = 'data: {"choices":[{"delta":{"content":"abc"}}]}\n\n';
const usage = 'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4}}\n\n';
const DONE = 'data: [DONE]\n\n';
const whole = JSON.stringify({ choices: [{ message: { content: 'abcdef' } }], usage: { prompt_tokens: 5, completion_tokens: 2 } });
const REQUEST = new Uint8Array(50);

interface Run {
  world: World;
  key: string;
  stream: number;
}

function begin(price: Terms, fields: Partial<RelayAsk> = {}): Run {
  const world = new World().live();
  const key = world.relay(1, { terms: price, facts: { images: 2, steps: 5 }, hold: '1000000', ...fields }, REQUEST);
  return { world, key, stream: world.stream(key) };
}

/** Nano-USD. */
function charged({ world, key }: Run, price: Terms): bigint {
  const settlement = world.settlement(key);
  if (settlement === undefined) throw new Error('not settled');
  return chargeOf(price, { images: 2, steps: 5 }, settlement);
}

/** Rings the alarm as it is due. */
function pass({ world }: Run, ms: number): void {
  const until = world.now + ms;
  while (world.now < until) {
    world.now = Math.min(until, world.now + 500);
    world.do(world.core.onAlarm(world.now));
  }
}

function started(run: Run, text: string): Run {
  run.world.frames(head(run.stream), data(run.stream, text));
  return run;
}

const complete = (run: Run, type: string, text: string, status = 200): void => {
  run.world.frames(head(run.stream, type, status), data(run.stream, text), end(run.stream, run.key, text.length));
  run.world.drained(run.key);
};

const TABLE: [string, (run: Run) => void, bigint][] = [
  ['a stream with usage', (run) => complete(run, 'text/event-stream', token + token + usage + DONE), 11n + 15n + 28n],
  ['a stream without', (run) => complete(run, 'text/event-stream', token + token + DONE), 11n + 14n],
  ['a whole reply', (run) => complete(run, 'application/json', whole), 11n + 15n + 14n],
  ['a whole reply of nothing', (run) => complete(run, 'application/json', ''), 11n],
  ['an error of the engine, with usage', (run) => complete(run, 'application/json', whole, 500), 0n],
  ['a refusal by the engine', (run) => complete(run, 'application/json', whole, 400), 0n],
  ['a stream of an error', (run) => complete(run, 'text/event-stream', token + usage, 503), 0n],
  ['the client left before the first byte', (run) => run.world.do(run.world.core.onReaderGone(run.key, run.world.now)), 0n],
  [
    'the client left within a stream',
    (run) => started(run, token.repeat(3)).world.do(run.world.core.onReaderGone(run.key, run.world.now)),
    11n + 21n,
  ],
  [
    'the client left within a reply that was not whole yet',
    (run) => {
      run.world.frames(head(run.stream, 'application/json'), data(run.stream, whole.slice(0, 30)));
      run.world.do(run.world.core.onReaderGone(run.key, run.world.now));
    },
    0n,
  ],
  ['the engine broke before the first byte', (run) => run.world.frames(reset(run.stream, 'engine_error')), 0n],
  ['the engine broke after the head', (run) => run.world.frames(head(run.stream), reset(run.stream, 'engine_error')), 0n],
  ['the engine broke within a stream', (run) => started(run, token.repeat(3)).world.frames(reset(run.stream, 'engine_error')), 11n + 21n],
  [
    'the engine broke within a reply that was not whole yet',
    (run) =>
      run.world.frames(head(run.stream, 'application/json'), data(run.stream, whole.slice(0, 30)), reset(run.stream, 'engine_error')),
    0n,
  ],
  ['an event that is none, at once', (run) => run.world.frames(head(run.stream), data(run.stream, 'data: x\n\n')), 0n],
  [
    'an event that is none, later: the message it came in counts for nothing',
    (run) => started(run, token.repeat(3)).world.frames(data(run.stream, `${token}data: x\n\n`)),
    11n + 21n,
  ],
  [
    'the miner was lost before the first byte',
    (run) => {
      run.world.do(run.world.core.onClose(run.world.core.epoch, run.world.now));
      pass(run, 3_000);
    },
    0n,
  ],
  [
    'the miner was lost within a stream',
    (run) => {
      started(run, token.repeat(3));
      run.world.do(run.world.core.onClose(run.world.core.epoch, run.world.now));
      pass(run, LIMITS.resumeMs + 1_000);
    },
    11n + 21n,
  ],
  [
    'no further byte in time',
    (run) => {
      started(run, token.repeat(3));
      pass(run, LIMITS.idleMs + 1_000);
    },
    11n + 21n,
  ],
  [
    'the object started again, and nobody came back for the stream: what the agent kept for it counts',
    (run) => {
      started(run, token);
      run.world.now += LIMITS.checkpointMs;
      run.world.frames(data(run.stream, token));
      const sealed = run.world.sent.findLast((f) => f.type === FRAME.ACK)?.payload.subarray(8);
      run.world.crash();
      run.world.login();
      const held = {
        stream: run.stream,
        attempt: run.key,
        instance: INSTANCE,
        received: 50,
        requestEnded: true,
        kept: 0,
        produced: 2 * token.length,
      };
      const live = { instance: INSTANCE, chute: 'cht_1', version: VERSION, state: 'live' as const, detail: '' };
      run.world.hello({ instances: [live], streams: [{ ...held, base: '', latest: Buffer.from(sealed ?? []).toString('base64url') }] });
      pass(run, 10_000);
    },
    11n + 14n,
  ],
];

test.each(TABLE)('%s', (_, act, cost) => {
  const run = begin(TOKENS, { deadlineMs: LIMITS.callMs });
  act(run);
  expect(charged(run, TOKENS)).toBe(cost);
});

test.each(TABLE)('free, whatever happens: %s', (_, act) => {
  const free = terms({});
  const run = begin(free, { deadlineMs: LIMITS.callMs });
  act(run);
  expect(charged(run, free)).toBe(0n);
});

describe('by time', () => {
  test('from dispatch to the last byte, not to the end of the wait', () => {
    const run = begin(SECONDS, { template: 'http' });
    run.world.now += 300;
    run.world.frames(head(run.stream, 'application/json'), data(run.stream, 'ab'));
    run.world.now += 700;
    run.world.frames(data(run.stream, 'cd'));
    run.world.now += 5_000;
    run.world.do(run.world.core.onReaderGone(run.key, run.world.now));
    expect(charged(run, SECONDS)).toBe(2_000n);
  });

  test('of a reply without a byte, to its end', () => {
    const run = begin(SECONDS, { template: 'http' });
    run.world.now += 300;
    run.world.frames(head(run.stream, 'text/plain', 204), end(run.stream, run.key, 0));
    expect(run.world.settlement(run.key)).toMatchObject({ firstByteMs: null, lastByteMs: 300 });
    expect(charged(run, SECONDS)).toBe(600n);
  });

  test('of an error: nothing', () => {
    const run = begin(SECONDS, { template: 'http' });
    run.world.now += 300;
    complete(run, 'text/plain', 'sorry', 500);
    expect(charged(run, SECONDS)).toBe(0n);
  });
});

test('by image and step: what was asked for, if a reply came', () => {
  const run = begin(UNITS, { template: 'http' });
  complete(run, 'image/png', 'x');
  expect(charged(run, UNITS)).toBe(2n * (100n + 5n * 10n));
  const failed = begin(UNITS, { template: 'http' });
  failed.world.frames(reset(failed.stream, 'engine_error'));
  expect(charged(failed, UNITS)).toBe(0n);
});

describe('a reply that comes whole', () => {
  test('says with it what it will be settled as', () => {
    const run = begin(TOKENS);
    run.world.now += 250;
    complete(run, 'application/json', whole);
    const meter = { status: 200, bytes: whole.length, tokensIn: 5, cachedIn: null, tokensOut: 2, lastByteMs: 250 };
    expect(run.world.answers.get(run.key)).toMatchObject({ kind: 'reply', meter });
    expect(run.world.settlement(run.key)).toMatchObject(meter);
  });

  test('is kept together though it comes in pieces', () => {
    const run = begin(TOKENS);
    run.world.frames(head(run.stream, 'application/json'));
    run.world.frames(data(run.stream, whole.slice(0, 30)));
    expect(run.world.answers.has(run.key)).toBe(false);
    run.world.frames(data(run.stream, whole.slice(30)), end(run.stream, run.key, whole.length));
    const answer = run.world.answers.get(run.key);
    expect(answer?.kind === 'reply' && Buffer.from(answer.body ?? []).toString()).toBe(whole);
  });

  test('is kept together on any route that says how long it is, and not where it does not', () => {
    for (const [length, waits] of [
      ['4', true],
      [String(LIMITS.windowBytes), false],
      ['x', false],
      [null, false],
    ] as const) {
      const run = begin(TOKENS, { template: 'http' });
      const headers = [['content-type', 'text/plain'], ...(length === null ? [] : [['Content-Length', length]])];
      run.world.frames(
        { ...head(run.stream), payload: new TextEncoder().encode(JSON.stringify({ status: 200, headers })) },
        data(run.stream, 'ab'),
      );
      expect(run.world.answers.has(run.key), String(length)).toBe(!waits);
    }
  });

  test('is a stream once it is long', () => {
    const run = begin(TOKENS);
    run.world.frames(head(run.stream, 'application/json'));
    const piece = 'x'.repeat(LIMITS.dataBytes);
    run.world.frames(data(run.stream, piece));
    expect(run.world.answers.has(run.key)).toBe(false);
    run.world.frames(data(run.stream, piece));
    expect(run.world.answers.get(run.key)).toMatchObject({ kind: 'reply', body: null });
    expect(run.world.text(run.key)).toBe(piece + piece);
  });

  test('is made elsewhere when it breaks before it is whole', () => {
    const run = begin(TOKENS);
    run.world.frames(head(run.stream, 'application/json'), data(run.stream, whole.slice(0, 30)));
    run.world.frames(reset(run.stream, 'engine_error'));
    expect(run.world.answers.get(run.key)).toEqual({ kind: 'failed', code: 'engine_error', handed: true });
    expect(run.world.settlement(run.key)).toMatchObject({ outcome: 'failed', final: false, bytes: 0 });
  });
});
