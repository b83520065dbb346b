/** One attempt at its Miner object, with an agent that does what it must not. */
import { beforeEach, describe, expect, test } from 'vitest';
import { FRAME, LIMITS, ProtocolError, encodeJson, frame, type Frame, type HeldStream } from '#protocol';
import { CODE, INSTANCE, VERSION, World, callId, credit, data, end, head, reset, utf8 } from './world.ts';

let world: World;
beforeEach(() => {
  world = new World().live();
});

const EVENT = 'data: {"choices":[{"delta":{"content":"abc"}}]}\n\n';
const DONE = 'data: [DONE]\n\n';

describe('an honest reply', () => {
  test('in one message is answered whole, and settled', () => {
    const key = world.relay(1);
    const stream = world.stream(key);
    world.frames(head(stream, 'application/json'), data(stream, '{}'), end(stream, key, 2));
    expect(world.answers.get(key)).toMatchObject({ kind: 'reply', status: 200, body: utf8('{}') });
    expect(world.settlement(key)).toMatchObject({ outcome: 'completed', bytes: 2, final: true });
  });

  test('as events is pushed, is on record before its end is told, and gives its slot back at once', () => {
    const key = world.relay(1);
    const stream = world.stream(key);
    world.frames(head(stream), data(stream, EVENT));
    world.frames(data(stream, DONE), end(stream, key, EVENT.length + DONE.length));
    expect(world.text(key)).toBe(EVENT + DONE);
    expect(world.over.get(key)).toBe('end');
    expect(world.core.listInstances()[0]?.busy).toBe(0);
    expect(world.settlement(key)).toMatchObject({ outcome: 'completed', tokensOut: 1 });
    const kinds = world.effects.map((effect) => effect.do);
    expect(kinds.indexOf('put')).toBeLessThan(kinds.indexOf('end'));
    world.drained(key);
    expect(world.core.running()).toEqual([]);
  });
});

describe('an object that goes down between the end of a reply and the client’s last byte', () => {
  let stream = 0;
  let key = '';
  const held = () => [
    {
      stream,
      attempt: key,
      instance: INSTANCE,
      received: 1,
      requestEnded: true,
      produced: EVENT.length + DONE.length,
      kept: 0,
      latest: '',
      base: '',
    },
  ];
  const reply = () => [head(stream), data(stream, EVENT), data(stream, DONE), end(stream, key, EVENT.length + DONE.length)];
  const settlements = () => [...world.rows.values()].filter((row) => row.kind === 'settlement').length;

  beforeEach(() => {
    key = world.relay(1);
    stream = world.stream(key);
    world.frames(...reply());
  });

  test('serves the rest to the Worker that comes back, and settles nothing again', () => {
    const before = world.settlement(key);
    world.crash();
    world.pushed.clear();
    world.over.clear();
    world.login();
    world.do(world.core.attach(callId(1), 0, EVENT.length, world.now));
    world.hello({ instances: [{ instance: INSTANCE, chute: 'cht_1', version: VERSION, state: 'live', detail: '' }], streams: held() });
    world.frames(...reply());
    expect(world.text(key)).toBe(DONE);
    expect(world.over.get(key)).toBe('end');
    world.drained(key);
    expect(world.settlement(key)).toEqual(before);
    expect(settlements()).toBe(1);
    expect(world.core.running()).toEqual([]);
  });

  test('keeps no slot for it, and forgets it when nobody comes', () => {
    world.crash();
    expect(world.core.listInstances()[0]?.busy).toBe(0);
    world.now += 6_000;
    world.do(world.core.onAlarm(world.now));
    expect(world.core.running()).toEqual([]);
    expect(settlements()).toBe(1);
    expect(world.core.inquire(callId(1), world.now).answer).toMatchObject({ kind: 'settled' });
  });

  test('remembers that it was settled when the Account has it, until the client has all', () => {
    world.do(world.core.onSettled([key], world.now));
    expect(world.rows.get(key)).toMatchObject({ kind: 'attempt', settled: true });
    world.crash();
    world.now += 6_000;
    world.do(world.core.onAlarm(world.now));
    expect(world.rows.get(key)).toBeUndefined();
  });

  test('a client that has all before the Account: one row, gone with the acknowledgement', () => {
    world.drained(key);
    world.do(world.core.onSettled([key], world.now));
    expect(world.rows.get(key)).toBeUndefined();
  });

  test('more frames of the agent change nothing', () => {
    world.frames(data(stream, 'x'), end(stream, key, 1));
    expect(world.over.get(key)).toBe('end');
    expect(settlements()).toBe(1);
  });
});

describe('frames that a stream must not have', () => {
  const table: [string, (stream: number, key: string) => Frame[]][] = [
    ['DATA before HEAD', (s) => [data(s, 'x')]],
    ['END before HEAD', (s, key) => [end(s, key, 0)]],
    ['HEAD twice', (s) => [head(s), head(s)]],
    ['HEAD that is no JSON', (s) => [frame(FRAME.HEAD, s, utf8('{'))]],
    ['HEAD with a line end in a header', (s) => [head(s, 'text/plain\r\nset-cookie: a=b')]],
    ['HEAD with NUL in a header', (s) => [head(s, 'text/plain\0')]],
    ['HEAD with too many headers', (s) => [headOf(s, { status: 200, headers: many(LIMITS.headers + 1) })]],
    ['HEAD of a status that is none', (s) => [head(s, 'text/plain', 99)]],
    ['a body under 204', (s) => [head(s, 'text/plain', 204), data(s, 'x')]],
    ['a body under 304', (s) => [head(s, 'text/plain', 304), data(s, 'x')]],
    ['DATA after END', (s, key) => [head(s), end(s, key, 0), data(s, 'x')]],
    ['END twice', (s, key) => [head(s), end(s, key, 0), end(s, key, 0)]],
    ['a receipt that is no JSON', (s) => [head(s), frame(FRAME.END, s)]],
    ['a receipt of another attempt of the call', (s, key) => [head(s), end(s, key.replace('/0', '/1'), 0)]],
    ['a receipt of another call', (s) => [head(s), end(s, `${callId(9)}/0`, 0)]],
    ['a receipt of fewer bytes', (s, key) => [head(s), data(s, EVENT), end(s, key, EVENT.length - 1)]],
    ['a receipt of more bytes', (s, key) => [head(s), data(s, EVENT), end(s, key, EVENT.length + 1)]],
    ['a receipt with negative tokens', (s, key) => [head(s), end(s, key, 0, { tokensOut: -1 })]],
    ['an end inside an event', (s, key) => [head(s), data(s, 'data: {'), end(s, key, 7)]],
    ['an event that is no JSON', (s) => [head(s), data(s, 'data: x\n\n')]],
    ['more DATA than it was granted', (s) => [head(s, 'text/plain'), ...bulk(s, LIMITS.windowBytes + 1)]],
    ['OPEN', (s) => [frame(FRAME.OPEN, s, encodeJson({ blob: CODE, instance: INSTANCE, offset: 0 }))]],
    ['ACK', (s) => [frame(FRAME.ACK, s, new Uint8Array(8))]],
    ['RESUME', (s) => [frame(FRAME.RESUME, s, new Uint8Array(16))]],
    ['CREDIT without an offset', (s) => [frame(FRAME.CREDIT, s, new Uint8Array(7))]],
    ['CREDIT beyond the window', (s) => [credit(s, LIMITS.windowBytes + 2)]],
    ['CREDIT beyond what can be counted', (s) => [frame(FRAME.CREDIT, s, new Uint8Array(8).fill(255))]],
    ['RESET that is no JSON', (s) => [frame(FRAME.RESET, s, utf8('x'))]],
    ['RESET with a code of its own', (s) => [reset(s, 'insufficient_credit')]],
  ];

  test.each(table)('%s: the stream is over, the next one works', (_, frames) => {
    const key = world.relay(1);
    world.frames(...frames(world.stream(key), key));
    expect(world.answers.get(key)).toEqual({ kind: 'failed', code: 'engine_error', handed: true });
    expect(world.settlement(key)).toMatchObject({ outcome: 'failed', code: 'engine_error', final: false, tokensIn: null, tokensOut: null });
    expect(world.core.running()).toEqual([]);
    expect(world.core.listInstances()[0]?.busy).toBe(0);
    const next = world.relay(2);
    const stream = world.stream(next);
    world.frames(head(stream, 'application/json'), end(stream, next, 0));
    expect(world.answers.get(next)).toMatchObject({ kind: 'reply' });
  });

  test.each(table)('%s: told to the agent', (name, frames) => {
    const key = world.relay(1);
    const stream = world.stream(key);
    world.frames(...frames(stream, key));
    expect(world.resets(stream)[0], name).toBe('protocol');
  });

  test.each<[string, (stream: number, key: string) => Frame[]]>([
    ['HEAD again', (s) => [head(s)]],
    ['an event that is no JSON', (s) => [data(s, 'data: x\n\n')]],
    ['an end inside an event', (s, key) => [data(s, 'data:'), end(s, key, EVENT.length + 5)]],
    ['a receipt of other bytes', (s, key) => [end(s, key, 1)]],
    ['a receipt of another call', (s) => [end(s, `${callId(9)}/0`, EVENT.length)]],
    ['END twice', (s, key) => [end(s, key, EVENT.length), end(s, key, EVENT.length)]],
    ['DATA after END', (s, key) => [end(s, key, EVENT.length), data(s, EVENT)]],
    ['OPEN', (s) => [frame(FRAME.OPEN, s)]],
    ['RESET', (s) => [reset(s, 'engine_error')]],
  ])('%s after the first bytes: the client sees a break, never an end', (_, frames) => {
    const key = world.relay(1);
    const stream = world.stream(key);
    world.frames(head(stream), data(stream, EVENT));
    world.frames(...frames(stream, key));
    expect(world.over.get(key)).toBe('break');
    expect(world.text(key)).toBe(EVENT);
    expect(world.settlement(key)).toMatchObject({ outcome: 'failed', final: true });
  });

  test('a reply that breaks its rules hands on nothing of the same message', () => {
    const key = world.relay(1);
    const stream = world.stream(key);
    world.frames(head(stream), data(stream, EVENT));
    world.frames(data(stream, EVENT), data(stream, 'data: x\n\n'));
    expect(world.text(key)).toBe(EVENT);
    expect(world.settlement(key)).toMatchObject({ outcome: 'failed', final: true });
  });

  test('frames of streams nobody opened change nothing', () => {
    const key = world.relay(1);
    const other = world.stream(key) + 100;
    world.frames(data(other, 'x'), credit(other, 5), reset(other, 'busy'), frame(FRAME.ACK, other, new Uint8Array(8)));
    expect(world.sent.filter((f) => f.stream === other)).toEqual([]);
    world.frames(head(other), end(other, key, 0));
    expect(world.resets(other)).toEqual(['cancelled', 'cancelled']);
    expect(world.core.running()).toHaveLength(1);
    expect(world.answers.size).toBe(0);
  });
});

describe('what an agent says of a stream it gives up', () => {
  test.each([
    ['busy', { kind: 'refused', code: 'busy' }],
    ['stale', { kind: 'refused', code: 'stale' }],
    ['engine_unreachable', { kind: 'failed', code: 'engine_unreachable' }],
    ['timeout', { kind: 'failed', code: 'timeout' }],
    ['engine_error', { kind: 'failed', code: 'engine_error' }],
    ['cancelled', { kind: 'failed', code: 'engine_error' }],
    ['gap', { kind: 'failed', code: 'engine_error' }],
    ['not_found', { kind: 'failed', code: 'engine_error' }],
  ])('%s', (code, answer) => {
    const key = world.relay(1);
    world.frames(reset(world.stream(key), code));
    expect(world.answers.get(key)).toMatchObject(answer);
    expect(world.core.listInstances()[0]?.busy).toBe(0);
    // A refusal is not an attempt: nothing is settled.
    expect(world.settlement(key) === undefined).toBe(answer.kind === 'refused');
  });

  test('busy after the reply began is no refusal', () => {
    const key = world.relay(1);
    const stream = world.stream(key);
    world.frames(head(stream), data(stream, EVENT));
    world.frames(reset(stream, 'busy'));
    expect(world.settlement(key)).toMatchObject({ outcome: 'failed', code: 'engine_error', final: true });
  });
});

describe('time', () => {
  /** Rings the alarm as it is due, until then. */
  function pass(until: number): void {
    while (world.now < until) {
      world.now = Math.min(until, world.now + 500);
      world.do(world.core.onAlarm(world.now));
    }
  }
  const begin = (fields = {}): { key: string; stream: number; at: number } => {
    const key = world.relay(1, { deadlineMs: LIMITS.callMs, ...fields });
    return { key, stream: world.stream(key), at: world.now };
  };

  test('no first byte in time', () => {
    const { key, stream, at } = begin();
    pass(at + LIMITS.firstByteMs - 1);
    expect(world.answers.has(key)).toBe(false);
    pass(at + LIMITS.firstByteMs + 1_000);
    expect(world.answers.get(key)).toMatchObject({ kind: 'failed', code: 'timeout' });
    expect(world.resets(stream)).toEqual(['cancelled']);
  });

  test('no further byte in time', () => {
    const { key, stream } = begin();
    world.frames(head(stream), data(stream, EVENT));
    const at = world.now;
    pass(at + LIMITS.idleMs - 1);
    expect(world.over.has(key)).toBe(false);
    pass(at + LIMITS.idleMs + 1_000);
    expect(world.over.get(key)).toBe('break');
    expect(world.settlement(key)).toMatchObject({ outcome: 'failed', code: 'timeout', final: true });
  });

  test('drop by drop, beyond what the call may take', () => {
    const { key, stream, at } = begin({ deadlineMs: 30_000 });
    world.frames(head(stream));
    while (world.now < at + 29_000) {
      world.frames(data(stream, EVENT));
      world.drained(key);
      pass(world.now + 1_000);
    }
    expect(world.over.has(key)).toBe(false);
    pass(at + 31_000);
    expect(world.over.get(key)).toBe('break');
    expect(world.settlement(key)).toMatchObject({ code: 'timeout' });
  });

  test('an agent that does not come back: soon before the first byte, later after it', () => {
    const early = begin();
    const late = world.relay(2);
    world.frames(head(world.stream(late)), data(world.stream(late), EVENT));
    world.do(world.core.onClose(world.core.epoch, world.now));
    const lostAt = world.now;
    pass(lostAt + 2_500);
    expect(world.answers.get(early.key)).toMatchObject({ kind: 'failed', code: 'miner_lost' });
    expect(world.over.has(late)).toBe(false);
    pass(lostAt + LIMITS.resumeMs + 1_000);
    expect(world.over.get(late)).toBe('break');
    expect(world.settlement(late)).toMatchObject({ code: 'miner_lost', final: true });
  });

  test('checkpoints come at their pace, however small the pieces', () => {
    const { stream, at } = begin();
    world.frames(head(stream));
    for (let i = 0; i < 1_000; i++) {
      world.now = at + i * 10;
      world.frames(data(stream, ': x\n\n'));
    }
    const acks = world.sent.filter((f) => f.type === FRAME.ACK && f.stream === stream);
    expect(acks.length).toBeGreaterThan(30);
    expect(acks.length).toBeLessThanOrEqual(10_000 / LIMITS.checkpointMs);
  });
});

test('no more streams than a socket may have', () => {
  world = new World().live(2_000);
  for (let i = 0; i < LIMITS.streams; i++) world.relay(i);
  const key = world.relay(LIMITS.streams);
  expect(world.answers.get(key)).toMatchObject({ kind: 'refused', code: 'busy' });
  expect(world.core.running()).toHaveLength(LIMITS.streams);
});

describe('a session', () => {
  test.each<[string, () => void]>([
    ['frames before hello', () => world.frames(head(2))],
    ['a report before hello', () => world.report('live')],
    ['a claim before hello', () => world.claim()],
  ])('%s are refused', (_, act) => {
    world = new World();
    world.login();
    expect(codeOf(act)).toBe('state');
  });

  test('hello comes once', () => {
    expect(codeOf(() => world.hello())).toBe('state');
  });

  test('the word of an older session counts for nothing', () => {
    const old = world.core.epoch;
    world.do(world.core.onClose(old, world.now));
    world.login();
    world.hello();
    expect(world.core.epoch).toBe(old + 1);
    expect(world.core.onClose(old, world.now)).toEqual([]);
    expect(world.core.connected).toBe(true);
  });

  test('control messages have a rate', () => {
    let sent = 0;
    const flood = (): void => {
      for (; sent < 10_000; sent++) world.do(world.core.onText({ type: 'pong', id: 'x' }, world.now));
    };
    expect(codeOf(flood)).toBe('limit');
    expect(sent).toBeGreaterThan(1_000);
    expect(sent).toBeLessThan(2_100);
  });
});

describe('claims', () => {
  test('so many in flight, each with a ref of its own', () => {
    world.claim('again');
    expect(codeOf(() => world.claim('again'))).toBe('state');
    for (let i = 1; i < 64; i++) world.claim(`r${i}`);
    expect(codeOf(() => world.claim('one more'))).toBe('limit');
  });

  test('a cut forgets them: their answers are for nobody', () => {
    for (let i = 0; i < 64; i++) world.claim(`r${i}`);
    world.do(world.core.onClose(world.core.epoch, world.now));
    world.login();
    world.hello();
    world.granted('ins_late', 1, 'r1');
    expect(world.core.listInstances().map((i) => i.instance)).not.toContain('ins_late');
    world.claim('r1');
  });

  test('no more instances than an agent may run', () => {
    for (let i = 1; i < LIMITS.instances; i++) {
      world.claim(`r${i}`);
      world.granted(`ins_${i + 1}`, 1, `r${i}`);
    }
    world.now += 60_000;
    world.claim('one more');
    expect(world.told.at(-1)).toMatchObject({ type: 'refusal', ref: 'one more', code: 'not_eligible' });
    expect(world.core.listInstances()).toHaveLength(LIMITS.instances);
  });

  test('a grant nobody asked for is not one', () => {
    const before = world.core.listInstances();
    world.granted('ins_2', 1, 'never asked');
    expect(world.core.listInstances()).toEqual(before);
  });
});

describe('reports', () => {
  test('an instance nobody granted takes no call, and is stopped', () => {
    world.report('live', 'ins_forged');
    world.relay(1, { instance: 'ins_forged' });
    expect(world.answers.get(`${callId(1)}/0`)).toMatchObject({ kind: 'refused', code: 'stale' });
    const report = { instance: 'ins_forged', chute: 'cht_1', version: VERSION, state: 'live' as const, detail: '' };
    world.do(world.core.onReportAnswer(report, { known: false }, world.now));
    expect(world.told.at(-1)).toMatchObject({ type: 'stop', instance: 'ins_forged', reason: 'unknown_instance' });
  });

  test('an instance of another chute or version does not become live by its name', () => {
    const report = { instance: INSTANCE, chute: 'cht_other', version: VERSION, state: 'draining' as const, detail: '' };
    world.do(world.core.onText({ type: 'report', report }, world.now));
    expect(world.core.listInstances()[0]).toMatchObject({ chute: 'cht_1', state: 'live' });
  });

  test('a draining instance does not serve again', () => {
    world.report('draining');
    world.report('live');
    const key = world.relay(1);
    expect(world.answers.get(key)).toMatchObject({ kind: 'refused', code: 'stale' });
  });

  test('a flood about instances nobody knows has an end', () => {
    let sent = 0;
    const flood = (): void => {
      for (; sent < 10_000; sent++) {
        world.now += 10;
        world.report('starting', `ins_forged${sent}`);
      }
    };
    expect(codeOf(flood)).toBe('limit');
    expect(sent).toBeLessThan(1_100);
  });
});

describe('blobs', () => {
  const open = (stream: number, blob = CODE, instance = INSTANCE, offset = 0): Frame =>
    frame(FRAME.OPEN, stream, encodeJson({ blob, instance, offset }));

  test('of its grant, and no other', () => {
    world.frames(open(1), open(3, 'ef'.repeat(32)), open(5, CODE, 'ins_2'));
    expect(world.effects.filter((e) => e.do === 'blob')).toMatchObject([{ stream: 1, sha256: CODE, offset: 0 }]);
    expect(world.resets(3)).toEqual(['not_found']);
    expect(world.resets(5)).toEqual(['not_found']);
  });

  test('so many at once, though they are reset: reading goes on until it is stopped', () => {
    for (let i = 0; i < 8; i++) world.frames(open(2 * i + 1), reset(2 * i + 1, 'cancelled'));
    expect(codeOf(() => world.frames(open(99)))).toBe('limit');
    world.core.onBlobDone(1, world.core.epoch);
    world.frames(open(101));
  });

  test('a stream is opened once', () => {
    world.frames(open(1));
    expect(codeOf(() => world.frames(open(1)))).toBe('state');
  });

  test.each([FRAME.HEAD, FRAME.DATA, FRAME.END, FRAME.ACK, FRAME.RESUME])('frame type %i is refused', (type) => {
    world.frames(open(1));
    expect(codeOf(() => world.frames(frame(type, 1, new Uint8Array(16))))).toBe('state');
  });

  test.each([
    ['no hash', open(1, 'x')],
    ['a path', open(1, '../../etc/passwd'.padEnd(64, 'a'))],
    ['a negative offset', open(1, CODE, INSTANCE, -1)],
    ['no JSON', frame(FRAME.OPEN, 1, utf8('x'))],
  ])('an OPEN with %s is refused', (_, f) => {
    expect(codeOf(() => world.frames(f))).toBe('malformed');
  });
});

describe('taken up after a crash of the object', () => {
  const REPLY = Array.from({ length: 12 }, (_, i) => `data: {"choices":[{"delta":{"content":"${i}"}}]}\n\n`).join('') + DONE;
  const bytes = utf8(REPLY);

  /** Runs a reply up to `cut` bytes, crashes, and goes on with what the agent says it holds. */
  function crashed(cut: number, lie: (held: HeldStream) => HeldStream = (held) => held, clientHas: number | null = null) {
    world = new World().live();
    const key = world.relay(1);
    const stream = world.stream(key);
    world.frames(head(stream));
    for (let at = 0; at < cut; at++) {
      world.now += LIMITS.checkpointMs;
      world.frames(data(stream, bytes.subarray(at, at + 1)));
    }
    const latest = world.sent.findLast((f) => f.type === FRAME.ACK)?.payload.subarray(8) ?? new Uint8Array(0);
    const before = world.text(key);
    world.crash();
    world.login();
    world.pushed.clear();
    const held: HeldStream = {
      stream,
      attempt: key,
      instance: INSTANCE,
      received: 1,
      requestEnded: true,
      kept: 0,
      produced: cut,
      base: '',
      latest: Buffer.from(latest).toString('base64url'),
    };
    const live = { instance: INSTANCE, chute: 'cht_1', version: VERSION, state: 'live' as const, detail: '' };
    const offset = clientHas ?? utf8(before).byteLength;
    world.do(world.core.attach(callId(1), 0, offset, world.now));
    world.hello({ instances: [live], streams: [lie(held)] });
    return { key, before, offset };
  }

  function resumeFrom(stream: number): number | null {
    const f = world.sent.findLast((sent) => sent.type === FRAME.RESUME && sent.stream === stream);
    return f === undefined ? null : Number(Buffer.from(f.payload).readBigUInt64BE(0));
  }

  test('from every byte: the client has the same bytes as without it', () => {
    for (let cut = 1; cut < bytes.byteLength; cut++) {
      const { key, before } = crashed(cut);
      const stream = world.stream(key);
      const from = resumeFrom(stream);
      expect(from, `cut at ${cut}`).not.toBeNull();
      world.frames(head(stream), data(stream, bytes.subarray(from ?? 0)), end(stream, key, bytes.byteLength));
      expect(before + world.text(key), `cut at ${cut}`).toBe(REPLY);
      world.drained(key);
      expect(world.settlement(key), `cut at ${cut}`).toMatchObject({ outcome: 'completed', bytes: bytes.byteLength, tokensOut: 12 });
    }
  });

  test('the client may be behind the checkpoint: the part it lacks is sent again', () => {
    const whole = bytes.byteLength - DONE.length;
    for (const has of [0, 1, 60, whole - 1]) {
      const { key } = crashed(whole, undefined, has);
      const stream = world.stream(key);
      world.frames(head(stream), data(stream, bytes.subarray(resumeFrom(stream) ?? 0)), end(stream, key, bytes.byteLength));
      expect(world.text(key)).toBe(REPLY.slice(has));
    }
  });

  test.each<[string, (held: HeldStream) => HeldStream]>([
    ['forged', (held) => ({ ...held, latest: Buffer.from('forged-forged-forged[0,0,0,0,0,0,0]').toString('base64url') })],
    ['garbage', (held) => ({ ...held, latest: '%%%' })],
    ['left out', (held) => ({ ...held, latest: '' })],
    ['of another attempt', (held) => ({ ...held, latest: latestOfAnother() })],
  ])('a checkpoint that is %s is not believed: it starts over', (_, lie) => {
    const { key } = crashed(200, lie);
    expect(resumeFrom(world.stream(key))).toBe(0);
  });

  test('nothing is left to start over from: the call is lost, and says so', () => {
    const { key } = crashed(200, (held) => ({ ...held, latest: '', kept: 50 }));
    expect(world.answers.get(key)).toMatchObject({ kind: 'failed', code: 'miner_lost' });
    expect(world.resets(world.sent.findLast((f) => f.type === FRAME.RESET)?.stream ?? 0)).toContain('gap');
  });

  test('a stream of an attempt nobody knows is reset', () => {
    const stranger: HeldStream = {
      stream: 4242,
      attempt: `${callId(99)}/0`,
      instance: INSTANCE,
      received: 0,
      requestEnded: true,
      kept: 0,
      produced: 5,
      base: '',
      latest: '',
    };
    world = new World();
    world.login();
    world.hello({ streams: [stranger] });
    expect(world.resets(4242)).toEqual(['cancelled']);
    expect(world.core.running()).toEqual([]);
  });

  /** A genuine checkpoint that the edge gave for call 2. */
  function latestOfAnother(): string {
    const other = new World().live();
    const key = other.relay(2);
    const stream = other.stream(key);
    other.frames(head(stream));
    other.now += LIMITS.checkpointMs;
    other.frames(data(stream, EVENT));
    const payload = other.sent.findLast((f) => f.type === FRAME.ACK)?.payload.subarray(8);
    expect(payload?.byteLength).toBeGreaterThan(16);
    return Buffer.from(payload ?? []).toString('base64url');
  }
});

function headOf(stream: number, value: unknown): Frame {
  return frame(FRAME.HEAD, stream, encodeJson(value));
}

function many(count: number): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`h${i}`, 'x']);
}

function bulk(stream: number, size: number): Frame[] {
  const frames: Frame[] = [];
  for (let left = size; left > 0; left -= LIMITS.dataBytes) frames.push(data(stream, new Uint8Array(Math.min(left, LIMITS.dataBytes))));
  return frames;
}

function codeOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}
