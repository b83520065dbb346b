import { describe, expect, it } from 'vitest';
import { CLOSE, FRAME, LIMITS, encodeFrames, encodeU64, frame, receiptSchema } from '../../../functions/protocol/index.ts';
import { Double, attempt, deps, pattern, ready } from './edge-double.ts';
import { Core } from '../../../miner-agent/connection/core.ts';
import { windowMs } from '../../../miner-agent/connection/flusher.ts';

const payloads = (frames: { payload: Uint8Array }[]) =>
  frames.map((f) => JSON.parse(Buffer.from(f.payload).toString()) as Record<string, unknown>);

describe('a call', () => {
  it('goes to the engine and back in one message, with a receipt', () => {
    const d = ready();
    d.open(2, 1);
    d.send(frame(FRAME.DATA, 2, Buffer.from('ask')), frame(FRAME.END, 2));
    expect(d.effects.filter((e) => 'attempt' in e || e.type === 'call').map((e) => e.type)).toEqual(['call', 'write', 'finish']);
    d.clear();
    d.now += 5;
    d.head(1);
    d.data(1, 'hello ');
    d.data(1, '{"usage":{"prompt_tokens":3,"completion_tokens":11}}');
    d.end(1);
    expect(d.messages).toBe(0);
    d.settle();
    expect(d.messages).toBe(1);
    expect(d.frames.map((f) => f.type)).toEqual([FRAME.HEAD, FRAME.DATA, FRAME.END]);
    const receipt = receiptSchema.parse(payloads(d.of(2, FRAME.END))[0]);
    expect(receipt).toMatchObject({
      attempt: attempt(1),
      bytes: 58,
      tokensIn: 3,
      tokensOut: 11,
      firstByteMs: 5,
      lastByteMs: 5,
      signature: 'signed',
    });
    expect(d.core.calls.slots.runningOn('ins_1')).toBe(0);
    d.ack(2, 58, 'x', true);
    expect(d.core.calls.size).toBe(0);
  });

  it.each([
    ['an unknown instance', { instance: 'ins_9' }, 'stale'],
    ['a path that is none', { path: 'http://other/' }, 'protocol'],
    ['a path with a line break', { path: '/a\r\nb: c' }, 'protocol'],
  ])('is refused for %s', (_what, fields, code) => {
    const d = ready();
    d.open(2, 1, fields);
    expect(d.resets(2)).toEqual([code]);
    expect(d.did('call')).toEqual([]);
  });

  it('is refused without a slot, and that is no attempt', () => {
    const d = ready(1);
    d.open(2, 1);
    d.open(4, 2);
    expect(d.resets(4)).toEqual(['busy']);
    d.send(frame(FRAME.RESET, 2, Buffer.from('{"code":"cancelled"}')));
    expect(d.did('cancel')).toEqual([{ type: 'cancel', attempt: attempt(1) }]);
    d.open(6, 2);
    expect(d.resets(6)).toEqual([]);
  });

  it('never runs twice', () => {
    const d = ready();
    d.open(2, 1);
    d.head(1);
    d.end(1);
    d.settle();
    d.ack(2, 0, '', true);
    d.open(4, 1);
    expect(d.resets(4)).toEqual(['protocol']);
    expect(d.did('call')).toHaveLength(1);
  });

  it('is cut at its deadline, after the bytes that came', () => {
    const d = ready();
    d.open(2, 1, { deadlineMs: 1000 });
    d.head(1);
    d.data(1, 'some');
    d.pass(1300);
    expect(d.did('cancel')).toHaveLength(1);
    expect(d.body(2).toString()).toBe('some');
    expect(d.resets(2)).toEqual(['timeout']);
    expect(d.core.calls.size).toBe(0);
  });

  it.each([
    ['engine_unreachable', false],
    ['engine_error', true],
  ] as const)('that ends in %s says so after its bytes', (code, headed) => {
    const d = ready();
    d.open(2, 1);
    if (headed) {
      d.head(1);
      d.data(1, 'half');
    }
    d.step({ type: 'broken', attempt: attempt(1), code, message: 'x' });
    d.settle();
    expect(d.body(2).toString()).toBe(headed ? 'half' : '');
    expect(d.resets(2)).toEqual([code]);
  });

  it('with a head that the wire cannot carry is an engine error', () => {
    const d = ready();
    d.open(2, 1);
    d.step({
      type: 'head',
      attempt: attempt(1),
      status: 200,
      headers: Array.from({ length: 65 }, (_, i): [string, string] => [`x-${i}`, '1']),
    });
    d.settle();
    expect(d.resets(2)).toEqual(['engine_error']);
    expect(d.did('cancel')).toHaveLength(1);
  });
});

describe('flow control', () => {
  it('sends up to the credit, stops the engine beyond it, and goes on exactly', () => {
    const d = ready();
    const all = pattern(LIMITS.windowBytes * 3);
    d.open(2, 1);
    d.head(1);
    const chunk = 48 * 1024;
    let at = 0;
    let paused = false;
    let credit: number = LIMITS.windowBytes;
    for (let i = 0; i < 1000 && at < all.byteLength; i++) {
      const before = d.effects.length;
      if (!paused) {
        d.data(1, all.subarray(at, at + chunk));
        at = Math.min(all.byteLength, at + chunk);
      } else {
        credit += 100_000;
        d.credit(2, credit);
      }
      for (const e of d.effects.slice(before)) if (e.type === 'pause' || e.type === 'continue') paused = e.type === 'pause';
      d.settle();
      expect(d.body(2).byteLength).toBeLessThanOrEqual(credit);
      expect(at - credit).toBeLessThanOrEqual(LIMITS.dataBytes + chunk);
    }
    d.end(1);
    d.credit(2, all.byteLength);
    d.settle();
    expect(d.body(2).equals(all)).toBe(true);
    expect(d.of(2, FRAME.END)).toHaveLength(1);
    expect(d.did('pause').length).toBeGreaterThan(0);
  });

  it('holds no more than the limit for one stream whatever credit the edge gives', () => {
    const d = ready();
    d.open(2, 1);
    d.head(1);
    d.credit(2, Number.MAX_SAFE_INTEGER);
    const chunk = new Uint8Array(64 * 1024);
    let fed = 0;
    while (d.did('pause').length === 0 && fed < 10 * LIMITS.retainBytes) {
      d.data(1, chunk);
      fed += chunk.byteLength;
    }
    expect(fed).toBe(LIMITS.retainBytes);
    d.settle();
    d.ack(2, 100_000, 'a', true);
    expect(d.did('continue')).toHaveLength(1);
    expect(d.core.calls.retained).toBe(fed - 100_000);
  });

  it('holds no more than the limit over all streams', () => {
    const d = new Double(new Core({ ...deps(), hasher: () => ({ update: () => {}, hex: () => '' }) }));
    d.step({ type: 'slots', instance: 'ins_1', slots: 1024 });
    d.connect();
    const chunk = new Uint8Array(512 * 1024);
    const streams = LIMITS.retainTotalBytes / chunk.byteLength;
    for (let i = 1; i <= streams; i++) {
      d.open(2 * i, i);
      d.credit(2 * i, LIMITS.retainBytes);
      d.head(i);
      d.data(i, chunk);
    }
    expect(d.did('pause')).toEqual([{ type: 'pause', attempt: attempt(streams) }]);
    d.clear();
    d.send(frame(FRAME.RESET, 2, Buffer.from('{"code":"cancelled"}')));
    expect(d.did('continue')).toEqual([{ type: 'continue', attempt: attempt(streams) }]);
  });

  it('grants request credit as the engine takes bytes, and resets who sends more', () => {
    const d = ready();
    d.open(2, 1);
    const half = LIMITS.windowBytes / 2;
    for (let sent = 0; sent < LIMITS.windowBytes; sent += LIMITS.dataBytes) d.send(frame(FRAME.DATA, 2, new Uint8Array(LIMITS.dataBytes)));
    expect(d.of(2, FRAME.CREDIT)).toEqual([]);
    d.step({ type: 'taken', attempt: attempt(1), bytes: half });
    expect(d.of(2, FRAME.CREDIT).map((f) => Buffer.from(f.payload))).toEqual([Buffer.from(encodeU64(half + LIMITS.windowBytes))]);
    for (let sent = 0; sent < half; sent += LIMITS.dataBytes) d.send(frame(FRAME.DATA, 2, new Uint8Array(LIMITS.dataBytes)));
    expect(d.resets(2)).toEqual([]);
    d.send(frame(FRAME.DATA, 2, new Uint8Array(1)));
    expect(d.resets(2)).toEqual(['protocol']);
    expect(d.did('cancel')).toHaveLength(1);
  });

  it('sends nothing while the socket is full', () => {
    const d = ready();
    d.open(2, 1);
    d.step({ type: 'writable', yes: false });
    d.head(1);
    d.data(1, 'x');
    d.pass(100);
    expect(d.frames).toEqual([]);
    d.step({ type: 'writable', yes: true });
    d.settle();
    expect(d.body(2).toString()).toBe('x');
  });
});

describe('coalescing', () => {
  it.each([
    [1, 0],
    [8, 0],
    [9, 5],
    [32, 5],
    [33, 20],
    [100, 20],
    [101, 50],
  ])('%i streams wait %i ms', (streams, ms) => expect(windowMs(streams)).toBe(ms));

  it('sends the first bytes at once and then one message for many streams per window', () => {
    const d = ready(50);
    for (let i = 1; i <= 50; i++) {
      d.open(2 * i, i);
      d.head(i);
      d.data(i, 'first');
    }
    d.settle();
    expect(d.messages).toBe(1);
    d.clear();
    for (let t = 0; t < 4; t++) {
      for (let i = 1; i <= 50; i++) d.data(i, `token ${t} `);
      d.pass(4);
    }
    expect(d.messages).toBe(0);
    d.pass(4);
    expect(d.messages).toBe(1);
    expect(d.of(20, FRAME.DATA)).toHaveLength(1);
    expect(d.body(20).toString()).toBe('token 0 token 1 token 2 token 3 ');
    d.data(1, 'last');
    d.end(1);
    d.settle();
    expect(d.of(2, FRAME.END)).toHaveLength(1);
  });
});

describe('rules of the connection', () => {
  const bad: [string, (d: Double) => void, number][] = [
    ['frames before welcome', (d) => d.send(frame(FRAME.CREDIT, 2, encodeU64(1))), CLOSE.protocol],
    ['a message before welcome', (d) => d.step({ type: 'text', text: '{"type":"ping","id":"x"}' }), CLOSE.protocol],
    ['text that is not JSON', (d) => d.step({ type: 'text', text: '{' }), CLOSE.protocol],
    ['a message too large', (d) => d.step({ type: 'text', text: `"${'x'.repeat(LIMITS.controlBytes)}"` }), CLOSE.limit],
    [
      'a frame cut short',
      (d) => d.step({ type: 'message', bytes: encodeFrames([frame(FRAME.DATA, 2, new Uint8Array(9))]).subarray(0, 20) }),
      CLOSE.protocol,
    ],
    ['a frame message too large', (d) => d.step({ type: 'message', bytes: new Uint8Array(LIMITS.messageBytes + 1) }), CLOSE.limit],
  ];
  it.each(bad)('%s ends it, and it comes back slowly', (_what, act, code) => {
    const d = new Double();
    d.step({ type: 'opened' });
    act(d);
    expect(d.did('close')).toMatchObject([{ code }]);
    expect(d.did('connect')).toMatchObject([{ inMs: 22_500 }]);
  });

  it('a message of a type from the future is passed over', () => {
    const d = ready();
    d.step({ type: 'text', text: '{"type":"greetings"}' });
    expect(d.did('close')).toEqual([]);
    d.step({ type: 'text', text: '{"type":"stop"}' });
    expect(d.did('close')).toHaveLength(1);
  });

  it('frames of streams nobody knows change nothing', () => {
    const d = ready();
    for (const type of [FRAME.DATA, FRAME.END, FRAME.RESET, FRAME.CREDIT, FRAME.ACK, FRAME.HEAD])
      d.send(frame(type, 40, encodeU64(1, 2).subarray(0, type === FRAME.CREDIT ? 8 : 16)));
    d.send(frame(FRAME.RESUME, 40, encodeU64(0, 0)));
    expect(d.resets(40)).toEqual(['gap']);
    expect(d.did('close')).toEqual([]);
  });

  it('pings, and gives a silent edge up', () => {
    const d = ready();
    d.pass(LIMITS.pingMs);
    expect(d.texts).toContain('ping');
    d.step({ type: 'text', text: 'pong' });
    d.pass(LIMITS.silenceMs + LIMITS.pingMs);
    expect(d.did('close')).toHaveLength(1);
    expect(d.did('connect')).toHaveLength(1);
  });

  it('answers a ping, and stops for good when superseded', () => {
    const d = ready();
    d.step({ type: 'text', text: '{"type":"ping","id":"p1"}' });
    expect(d.texts.at(-1)).toBe('{"type":"pong","id":"p1"}');
    d.step({ type: 'closed', code: CLOSE.superseded });
    expect(d.did('over')).toHaveLength(1);
    expect(d.did('connect')).toEqual([]);
  });

  it('leaves at goaway when asked to', () => {
    const d = ready();
    d.step({ type: 'text', text: '{"type":"goaway","retryAfterMs":700}' });
    d.pass(600);
    expect(d.did('close')).toEqual([]);
    d.pass(100);
    expect(d.did('close')).toMatchObject([{ code: CLOSE.goaway }]);
    expect(d.did('connect')).toMatchObject([{ inMs: 0 }]);
  });

  it('drains when the last call is acknowledged', () => {
    const d = ready();
    d.open(2, 1);
    d.step({ type: 'drain', withinMs: 5000 });
    expect(d.texts.at(-1)).toBe('{"type":"drain","withinMs":5000}');
    d.head(1);
    d.end(1);
    d.settle();
    expect(d.did('drained')).toEqual([]);
    d.ack(2, 0, '', true);
    expect(d.did('drained').length).toBeGreaterThan(0);
  });

  it('comes back within a second while streams are open, later otherwise', () => {
    const d = new Double(new Core(deps(() => 1)));
    d.step({ type: 'slots', instance: 'ins_1', slots: 4 });
    d.connect();
    d.open(2, 1);
    d.step({ type: 'closed', code: 1006 });
    const waits = [];
    for (let i = 0; i < 8; i++) {
      waits.push((d.did('connect').at(-1) as { inMs: number }).inMs);
      d.step({ type: 'failed', retryAfterMs: null });
    }
    expect(Math.max(...waits)).toBe(1000);
    d.now += 60_000;
    d.step({ type: 'wake' });
    expect(d.core.calls.size).toBe(0);
    d.step({ type: 'failed', retryAfterMs: null });
    expect(d.did('connect').at(-1)).toMatchObject({ inMs: 30_000 });
  });
});
