import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME, LIMITS, decodeU64, frame, heldStreamSchema, helloSchema } from '../../../functions/protocol/index.ts';
import { ReplyLog } from '../../../miner-agent/connection/reply-log.ts';
import { base64url } from '../../../miner-agent/connection/call-stream.ts';
import { attempt, pattern, ready } from './edge-double.ts';

const BIG = 2 ** 40;

describe('resume', () => {
  const text = pattern(1500);
  /** Chunks of uneven size, some acknowledged, the end already there. */
  function broken(trim: number) {
    const d = ready();
    d.open(2, 1);
    d.send(frame(FRAME.END, 2));
    d.head(1);
    for (let at = 0, size = 1; at < text.byteLength; at += size, size = (size * 7) % 113 || 5) d.data(1, text.subarray(at, at + size));
    d.settle();
    if (trim > 0) d.ack(2, trim, 'base', true);
    d.ack(2, 1200, 'newest', false);
    d.end(1);
    d.settle();
    d.step({ type: 'closed', code: 1006 });
    d.clear();
    return d;
  }

  it('is byte-identical from every offset that is kept, and a gap from every other', () => {
    for (let offset = 0; offset <= text.byteLength; offset += 1) {
      const d = broken(400);
      const hello = d.connect();
      expect(hello.streams).toEqual([
        {
          stream: 2,
          attempt: attempt(1),
          instance: 'ins_1',
          received: 0,
          requestEnded: true,
          kept: 400,
          produced: 1500,
          base: Buffer.from('base').toString('base64url'),
          latest: Buffer.from('newest').toString('base64url'),
        },
      ]);
      expect(d.frames).toEqual([]);
      d.resume(2, offset, BIG);
      d.settle();
      if (offset < 400) {
        expect(d.resets(2)).toEqual(['gap']);
        continue;
      }
      expect(d.body(2).equals(text.subarray(offset))).toBe(true);
      expect(d.frames.map((f) => f.type).filter((t) => t !== FRAME.DATA)).toEqual([FRAME.HEAD, FRAME.END]);
    }
  });

  it('sends nothing before RESUME, goes on while the engine does, and respects the new credit', () => {
    const d = ready();
    d.open(2, 1);
    d.head(1);
    d.data(1, 'aaaa');
    d.settle();
    d.step({ type: 'closed', code: 1006 });
    d.data(1, 'bbbb');
    d.clear();
    d.connect();
    d.pass(100);
    expect(d.frames).toEqual([]);
    d.resume(2, 2, 5);
    d.settle();
    expect(d.body(2).toString()).toBe('aab');
    d.credit(2, 100);
    d.data(1, 'cc');
    d.settle();
    expect(d.body(2).toString()).toBe('aabbbbcc');
  });

  it('tells again what it grants of the request', () => {
    const d = ready();
    d.open(2, 1);
    d.send(frame(FRAME.DATA, 2, new Uint8Array(1000)));
    d.step({ type: 'taken', attempt: attempt(1), bytes: 1000 });
    d.step({ type: 'closed', code: 1006 });
    d.clear();
    expect(d.connect().streams[0]).toMatchObject({ received: 1000, requestEnded: false });
    d.resume(2, 0, 10);
    expect(d.of(2, FRAME.CREDIT).map((f) => decodeU64(f.payload))).toEqual([LIMITS.windowBytes]);
    d.send(frame(FRAME.DATA, 2, new Uint8Array(10)), frame(FRAME.END, 2));
    expect(d.did('finish')).toHaveLength(1);
    expect(d.resets(2)).toEqual([]);
  });

  it('an edge that does not take the stream up loses it', () => {
    const d = ready();
    d.open(2, 1);
    d.step({ type: 'closed', code: 1006 });
    d.connect();
    d.pass(LIMITS.resumeMs);
    expect(d.core.calls.size).toBe(1);
    d.pass(10_000);
    expect(d.core.calls.size).toBe(0);
    expect(d.did('cancel')).toHaveLength(1);
  });

  it('an edge that refuses the stream ends the engine at once', () => {
    const d = ready();
    d.open(2, 1);
    d.step({ type: 'closed', code: 1006 });
    d.connect();
    d.send(frame(FRAME.RESET, 2, Buffer.from('{"code":"cancelled"}')));
    expect(d.did('cancel')).toHaveLength(1);
    expect(d.core.calls.size).toBe(0);
  });

  it('an end that no edge acknowledged is kept and sent again', () => {
    const d = ready();
    d.open(2, 1);
    d.head(1);
    d.end(1);
    d.settle();
    expect(d.core.calls.size).toBe(1);
    d.step({ type: 'closed', code: 1006 });
    d.clear();
    d.connect();
    d.resume(2, 0, 10);
    d.settle();
    expect(d.frames.map((f) => f.type)).toEqual([FRAME.CREDIT, FRAME.HEAD, FRAME.END]);
    d.ack(2, 0, '', true);
    expect(d.core.calls.size).toBe(0);
  });

  it('an edge that has it all says so by an ACK alone', () => {
    const d = ready();
    d.open(2, 1);
    d.head(1);
    d.data(1, 'abc');
    d.end(1);
    d.settle();
    d.step({ type: 'closed', code: 1006 });
    d.connect();
    d.ack(2, 3, '', true);
    expect(d.core.calls.size).toBe(0);
    expect(d.did('cancel')).toEqual([]);
  });

  it('a reply that failed while nobody listened says so after its bytes', () => {
    const d = ready();
    d.open(2, 1);
    d.head(1);
    d.data(1, 'abc');
    d.step({ type: 'closed', code: 1006 });
    d.step({ type: 'broken', attempt: attempt(1), code: 'engine_error', message: 'x' });
    d.connect();
    d.clear();
    d.resume(2, 1, 10);
    d.settle();
    expect(d.body(2).toString()).toBe('bc');
    expect(d.resets(2)).toEqual(['engine_error']);
  });

  it.each([
    ['beyond what was sent', 11],
    ['far beyond', 2 ** 50],
  ])('an ACK %s breaks the stream', (_what, offset) => {
    const d = ready();
    d.open(2, 1);
    d.head(1);
    d.data(1, '0123456789');
    d.settle();
    d.ack(2, offset, '', true);
    expect(d.resets(2)).toEqual(['protocol']);
    expect(d.core.calls.retained).toBe(0);
  });

  it('a hello with as many streams as there may be fits, and says only what is still there', () => {
    const d = ready(2000);
    for (let i = 1; i <= 1100; i++) {
      d.open(2 * i, i);
      if (i <= LIMITS.streams) {
        d.head(i);
        d.data(i, 'x');
      }
    }
    expect(d.resets(2 * 1100)).toEqual(['busy']);
    d.settle();
    for (let i = 1; i <= LIMITS.streams; i++) d.ack(2 * i, 1, 'c'.repeat(240), false);
    d.step({ type: 'closed', code: 1006 });
    const hello = helloSchema.parse(d.connect());
    expect(d.texts.every((t) => t.length <= LIMITS.controlBytes)).toBe(true);
    expect(hello.streams.length).toBeGreaterThan(200);
    expect(d.core.calls.size).toBe(hello.streams.length);
    expect(hello.streams.every((s) => heldStreamSchema.safeParse(s).success)).toBe(true);
  });

  it('asks for a blob again from where it stood', () => {
    const d = ready();
    d.step({ type: 'fetch', instance: 'ins_2', blob: 'a'.repeat(64), bytes: 10 });
    const open = () => d.frames.filter((f) => f.type === FRAME.OPEN).at(-1);
    const first = open()?.stream ?? 0;
    expect(first % 2).toBe(1);
    const head = frame(FRAME.HEAD, first, Buffer.from('{"status":200,"headers":[]}'));
    d.send(head, frame(FRAME.DATA, first, Buffer.from('01234')));
    d.step({ type: 'closed', code: 1006 });
    d.connect();
    const second = open();
    expect(JSON.parse(Buffer.from(second?.payload ?? []).toString())).toMatchObject({ offset: 5, instance: 'ins_2' });
    d.send(
      { ...head, stream: second?.stream ?? 0 },
      frame(FRAME.DATA, second?.stream ?? 0, Buffer.from('56789')),
      frame(FRAME.END, second?.stream ?? 0),
    );
    expect(Buffer.concat(d.did('blob').map((e) => (e.type === 'blob' ? e.bytes : new Uint8Array()))).toString()).toBe('0123456789');
    expect(d.did('blob-end')).toHaveLength(1);
  });

  it.each([
    ['larger than granted', [frame(FRAME.DATA, 1, new Uint8Array(11))]],
    ['shorter than granted', [frame(FRAME.DATA, 1, new Uint8Array(9)), frame(FRAME.END, 1)]],
    ['refused', [frame(FRAME.RESET, 1, Buffer.from('{"code":"not_found"}'))]],
  ])('a blob that is %s fails its start', (_what, frames) => {
    const d = ready();
    d.step({ type: 'fetch', instance: 'ins_2', blob: 'a'.repeat(64), bytes: 10 });
    d.send(frame(FRAME.HEAD, 1, Buffer.from('{"status":200,"headers":[]}')), ...frames);
    expect(d.did('blob-failed')).toHaveLength(1);
    expect(d.did('blob-end')).toEqual([]);
  });
});

describe('reply log', () => {
  it('reads any range that is kept, in bounded pieces', () => {
    const all = pattern(4000);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 30 }),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 300 }),
        (sizes, t, a, b, piece) => {
          const log = new ReplyLog();
          for (const size of sizes) log.append(all.subarray(log.end, Math.min(4000, log.end + size)));
          log.trim(t % (log.end + 1));
          const from = log.start + (a % (log.held + 1));
          const to = from + (b % (log.end - from + 1));
          const pieces = log.read(from, to, piece);
          expect(Buffer.concat(pieces).equals(all.subarray(from, to))).toBe(true);
          expect(pieces.every((p) => p.byteLength <= piece)).toBe(true);
        },
      ),
    );
  });

  it('base64url is that of Node', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => base64url(bytes) === Buffer.from(bytes).toString('base64url')));
  });
});
