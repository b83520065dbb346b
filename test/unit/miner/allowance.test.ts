/** A long reply is paid for block by block, ahead of use; where no more is paid for it ends, and says why. */
import { beforeEach, describe, expect, test } from 'vitest';
import { FRAME, LIMITS, type Frame } from '#protocol';
import type { ExtendAnswer, RelayAsk, StreamAsk } from '../../../functions/calls/ports.ts';
import { Allowance, ASK_AGAIN_MS, BLOCK_TOKENS } from '../../../functions/miner/allowance.ts';
import { FREE } from '../../../functions/prices/now.ts';
import { World, data, end, head } from './world.ts';

const BLOCK = BLOCK_TOKENS;
const granted = (allowance: number | null): ExtendAnswer => ({ ok: true, allowance });
const REFUSED: ExtendAnswer = { ok: false };

describe('what is asked for', () => {
  test('nothing where all is paid for', () => {
    const allowance = new Allowance(null);
    expect([0, BLOCK, 1e9].map((used) => allowance.next(used, 0))).toEqual([null, null, null]);
    expect(allowance.waits(1e9)).toBe(false);
    expect(allowance.rest(1e9)).toBeNull();
  });

  test('one block more, once, a quarter of a block ahead', () => {
    const allowance = new Allowance(BLOCK);
    expect(allowance.next((BLOCK * 3) / 4 - 1, 0)).toBeNull();
    expect(allowance.next((BLOCK * 3) / 4, 0)).toBe(2 * BLOCK);
    expect(allowance.next(BLOCK, 0)).toBeNull();
  });

  test('more at a time as it goes on, up to eight blocks', () => {
    const allowance = new Allowance(BLOCK);
    let paid = BLOCK;
    const steps: number[] = [];
    for (let i = 0; i < 6; i++) {
      const asked = allowance.next(paid, 0) ?? 0;
      steps.push((asked - paid) / BLOCK);
      paid = asked;
      allowance.answered(granted(paid), 0);
    }
    expect(steps).toEqual([1, 2, 4, 8, 8, 8]);
  });

  test('all may come: nothing further', () => {
    const allowance = new Allowance(BLOCK);
    allowance.next(BLOCK, 0);
    allowance.answered(granted(null), 0);
    expect(allowance.next(100 * BLOCK, 0)).toBeNull();
    expect(allowance.end).toBeNull();
  });

  test('much is refused: a block is asked for; a block is refused: that is the end', () => {
    const allowance = new Allowance(BLOCK);
    allowance.next(BLOCK, 0);
    allowance.answered(granted(2 * BLOCK), 0);
    expect(allowance.next(2 * BLOCK, 0)).toBe(4 * BLOCK);
    allowance.answered(REFUSED, 0);
    expect(allowance.end).toBeNull();
    expect(allowance.next(2 * BLOCK, 0)).toBe(3 * BLOCK);
    allowance.answered(REFUSED, 0);
    expect(allowance.end).toBe(2 * BLOCK);
    expect(allowance.next(2 * BLOCK, 0)).toBeNull();
  });

  test('an answer that pays for nothing more is a refusal', () => {
    const allowance = new Allowance(BLOCK);
    allowance.next(BLOCK, 0);
    allowance.answered(granted(BLOCK), 0);
    expect(allowance.end).toBe(BLOCK);
  });

  test('no answer: asked again after a while, and not before', () => {
    const allowance = new Allowance(BLOCK);
    allowance.next(BLOCK, 0);
    allowance.answered(null, 5_000);
    expect(allowance.next(BLOCK, 5_000 + ASK_AGAIN_MS - 1)).toBeNull();
    expect(allowance.next(BLOCK, 5_000 + ASK_AGAIN_MS)).toBe(2 * BLOCK);
  });

  test('one block without an answer, no further', () => {
    const allowance = new Allowance(BLOCK);
    allowance.next(BLOCK, 0);
    expect(allowance.waits(2 * BLOCK - 1)).toBe(false);
    expect(allowance.waits(2 * BLOCK)).toBe(true);
    allowance.answered(granted(3 * BLOCK), 0);
    expect(allowance.waits(2 * BLOCK)).toBe(false);
  });
});

// ── a whole attempt ──

let world: World;
beforeEach(() => {
  world = new World().live();
});

const IDENTITY = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'm' };
const token = (text = 'x'): string => `data: ${JSON.stringify({ ...IDENTITY, choices: [{ index: 0, delta: { content: text } }] })}\n\n`;
const tokens = (count: number): string => token().repeat(count);
const STREAM: StreamAsk = { object: 'chat.completion.chunk', model: 'o/x', choices: 1, usage: false, options: false };

function begin(fields: Partial<RelayAsk> = {}): { key: string; stream: number } {
  const key = world.relay(1, { allowance: BLOCK, hold: '1000000', stream: STREAM, ...fields });
  const stream = world.stream(key);
  world.frames(head(stream));
  return { key, stream };
}

/** DATA frames of a text, as the wire cuts them. */
function sent(stream: number, text: string): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < text.length; at += LIMITS.dataBytes) frames.push(data(stream, text.slice(at, at + LIMITS.dataBytes)));
  return frames;
}

/** Hands on so many tokens, taken by the client as they come. */
function flow(key: string, stream: number, count: number, each = 100): void {
  for (let left = count; left > 0; left -= each) {
    world.frames(...sent(stream, tokens(Math.min(each, left))));
    world.drained(key);
  }
}

function events(key: string): Record<string, unknown>[] {
  const all = world.text(key).split('\n\n').filter(Boolean);
  return all.filter((e) => e !== 'data: [DONE]').map((e) => JSON.parse(e.slice(6)) as Record<string, unknown>);
}

function creditOf(stream: number): number {
  const last = world.sent.findLast((f) => f.type === FRAME.CREDIT && f.stream === stream);
  return last === undefined ? LIMITS.windowBytes : Number(Buffer.from(last.payload).readBigUInt64BE(0));
}

test('asks ahead, once, and goes on without a pause', () => {
  const { key, stream } = begin();
  flow(key, stream, 767);
  expect(world.asked).toEqual([]);
  flow(key, stream, 1);
  expect(world.asked).toEqual([2 * BLOCK]);
  flow(key, stream, 100);
  world.extended(key, granted(2 * BLOCK));
  flow(key, stream, 924);
  expect(world.asked).toEqual([2 * BLOCK, 4 * BLOCK]);
  expect(events(key)).toHaveLength(1_792);
  expect(world.over.has(key)).toBe(false);
});

test('the claim of the engine counts where it is more than its events', () => {
  const { stream } = begin();
  const usage = { prompt_tokens: 1, completion_tokens: 800 };
  world.frames(data(stream, `data: ${JSON.stringify({ ...IDENTITY, choices: [{ delta: { content: 'y'.repeat(4_000) } }], usage })}\n\n`));
  expect(world.asked).toEqual([2 * BLOCK]);
});

describe('refused', () => {
  test('exactly what was paid for is handed on, then the reason and [DONE]; the engine is cancelled, the rest settled at once', () => {
    const { key, stream } = begin();
    flow(key, stream, 800);
    world.extended(key, REFUSED);
    world.frames(...sent(stream, tokens(400)));
    const all = events(key);
    expect(all).toHaveLength(BLOCK + 1);
    expect(all.at(-1)).toEqual({ ...IDENTITY, choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: 'insufficient_credit' }] });
    expect(world.text(key).endsWith('data: [DONE]\n\n')).toBe(true);
    expect(world.over.get(key)).toBe('end');
    expect(world.resets(stream)).toEqual(['cancelled']);
    expect(world.settlement(key)).toMatchObject({
      outcome: 'cancelled',
      code: 'insufficient_credit',
      final: true,
      status: 200,
      tokensOut: BLOCK,
    });
    expect(world.core.running()).toEqual([]);
    expect(world.core.listInstances()[0]?.busy).toBe(0);
  });

  test('nothing after it reaches the client, whatever the agent still sends', () => {
    const { key, stream } = begin();
    flow(key, stream, 1_000);
    world.extended(key, REFUSED);
    world.frames(...sent(stream, tokens(100)), data(stream, 'data: [DONE]\n\n'), end(stream, key, tokens(1_100).length + 14));
    expect(events(key)).toHaveLength(BLOCK + 1);
    expect(world.text(key).match(/\[DONE\]/g)).toHaveLength(1);
    expect(world.settlement(key)).toMatchObject({ code: 'insufficient_credit', tokensOut: BLOCK });
    const before = world.text(key);
    world.frames(data(stream, token()));
    expect(world.text(key)).toBe(before);
  });

  test('a reply that ends within what was paid for just ends', () => {
    const { key, stream } = begin();
    flow(key, stream, 1_000);
    world.extended(key, REFUSED);
    const stop = `data: ${JSON.stringify({ ...IDENTITY, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\n`;
    const rest = `${tokens(24)}${stop}data: [DONE]\n\n`;
    world.frames(...sent(stream, rest), end(stream, key, tokens(1_000).length + rest.length));
    world.drained(key);
    expect(world.text(key)).not.toContain('insufficient_credit');
    expect(world.settlement(key)).toMatchObject({ outcome: 'completed', code: '', tokensOut: BLOCK });
  });

  test('text completions end in their own form, every answer of them', () => {
    const { key, stream } = begin({ stream: { ...STREAM, object: 'text_completion', choices: 2 } });
    const text = `data: ${JSON.stringify({ id: 'cmpl-1', object: 'text_completion', created: 1, model: 'm', choices: [{ index: 1, text: 'x' }] })}\n\n`;
    world.frames(...sent(stream, text.repeat(900)));
    world.extended(key, REFUSED);
    world.frames(...sent(stream, text.repeat(200)));
    expect(events(key).at(-1)).toEqual({
      id: 'cmpl-1',
      object: 'text_completion',
      created: 1,
      model: 'm',
      choices: [0, 1].map((index) => ({ index, text: '', logprobs: null, finish_reason: 'insufficient_credit' })),
    });
  });

  test('who asked for usage gets it before [DONE], with the cost', () => {
    const terms = { ...FREE, price: { ...FREE.price, output_per_million: 2_000_000, per_request: 7 } };
    const { key, stream } = begin({ stream: { ...STREAM, usage: true }, terms });
    flow(key, stream, 1_000);
    world.extended(key, REFUSED);
    world.frames(...sent(stream, tokens(100)));
    const usage = { prompt_tokens: 0, completion_tokens: BLOCK, total_tokens: BLOCK, cost_nanousd: String(2 * BLOCK + 7) };
    expect(events(key).at(-1)).toEqual({ ...IDENTITY, choices: [], usage });
  });
});

describe('no answer', () => {
  test('one further block flows, then the agent gets no more credit; the answer lets it go on', () => {
    const { key, stream } = begin();
    flow(key, stream, 2 * BLOCK, 64);
    expect(world.asked).toEqual([2 * BLOCK]);
    const credit = creditOf(stream);
    flow(key, stream, 900, 90);
    expect(creditOf(stream)).toBe(credit);
    world.extended(key, granted(4 * BLOCK));
    expect(creditOf(stream)).toBeGreaterThan(credit);
  });

  test('the Account is down: asked again by the clock, though no token comes', () => {
    const { key, stream } = begin();
    flow(key, stream, 800);
    world.extended(key, null);
    expect(world.effects).toContainEqual({ do: 'alarm', at: world.now + ASK_AGAIN_MS });
    world.now += ASK_AGAIN_MS;
    world.do(world.core.onAlarm(world.now));
    expect(world.asked).toEqual([2 * BLOCK, 2 * BLOCK]);
    world.extended(key, granted(null));
    flow(key, stream, 5_000);
    expect(world.asked).toHaveLength(2);
  });

  test('refused late: what is out is out, but only what was paid for is charged, and nothing follows', () => {
    const { key, stream } = begin();
    flow(key, stream, 1_500);
    world.extended(key, REFUSED);
    expect(world.over.has(key)).toBe(false);
    world.frames(...sent(stream, tokens(10)));
    expect(events(key)).toHaveLength(1_501);
    expect(world.settlement(key)).toMatchObject({ code: 'insufficient_credit', tokensOut: BLOCK });
  });

  test('an answer that comes after the end changes nothing', () => {
    const { key, stream } = begin();
    const text = `${tokens(900)}data: [DONE]\n\n`;
    world.frames(...sent(stream, text), end(stream, key, text.length));
    world.drained(key);
    expect(world.settlement(key)).toMatchObject({ outcome: 'completed' });
    world.extended(key, REFUSED);
    expect(world.effects).toEqual([]);
  });
});

test('a reply that came to more than was paid for asks for that at its end', () => {
  const { key, stream } = begin();
  const usage = { prompt_tokens: 3, completion_tokens: 3_000 };
  const text = `${`data: ${JSON.stringify({ ...IDENTITY, choices: [{ delta: { content: 'y'.repeat(9_000) } }] })}\n\n`}data: ${JSON.stringify({ ...IDENTITY, choices: [], usage })}\n\ndata: [DONE]\n\n`;
  world.frames(data(stream, text), end(stream, key, text.length));
  expect(world.asked).toEqual([3_000]);
  world.drained(key);
  expect(world.settlement(key)).toMatchObject({ outcome: 'completed', tokensOut: 3_000 });
});

test('after a crash of the object: asked anew from where the client is', () => {
  const { key, stream } = begin();
  flow(key, stream, 900);
  world.now += LIMITS.checkpointMs;
  flow(key, stream, 100);
  world.extended(key, granted(8 * BLOCK));
  const sealed = world.sent.findLast((f) => f.type === FRAME.ACK)?.payload.subarray(8);
  const before = world.text(key);
  world.crash();
  world.login();
  world.do(world.core.attach(key.slice(0, -2), 0, before.length, world.now));
  const held = { stream, attempt: key, instance: 'ins_1', received: 1, requestEnded: true, kept: 0, produced: before.length, base: '' };
  const live = { instance: 'ins_1', chute: 'cht_1', version: 'ab'.repeat(32), state: 'live' as const, detail: '' };
  world.hello({ instances: [live], streams: [{ ...held, latest: Buffer.from(sealed ?? []).toString('base64url') }] });
  world.asked.length = 0;
  const again = world.stream(key);
  const resume = world.sent.findLast((f) => f.type === FRAME.RESUME && f.stream === again);
  const from = Number(Buffer.from(resume?.payload ?? []).readBigUInt64BE(0));
  world.frames(head(again), ...sent(again, tokens(1_010).slice(from)));
  expect(world.text(key)).toBe(tokens(1_010));
  expect(world.asked).toEqual([2 * BLOCK]);
});
