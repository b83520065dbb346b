/** The bytes on the wire, as they are promised to peers of any version: a change here is a change of the protocol. */
import { describe, expect, test } from 'vitest';
import {
  hasFrame,
  FLAG_TRIM,
  FRAME,
  HEADER_BYTES,
  LIMITS,
  ProtocolError,
  dataFrames,
  decodeFrames,
  decodeJson,
  decodeU64,
  encodeFrames,
  encodeJson,
  encodeU64,
  frame,
  openBlobSchema,
  packMessages,
  receiptText,
  resetSchema,
  type Frame,
} from '#protocol';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A header by hand: type, flags, two reserved bytes, stream, length. */
function header(type: number, { flags = 0, reserved = 0, stream = 2, length = 0 } = {}): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES);
  const view = new DataView(out.buffer);
  view.setUint8(0, type);
  view.setUint8(1, flags);
  view.setUint16(2, reserved);
  view.setUint32(4, stream);
  view.setUint32(8, length);
  return out;
}

const GOLDEN: [string, Frame, string][] = [
  ['OPEN', frame(FRAME.OPEN, 0x01020304, text('{"a":1}')), '0100000001020304000000077b2261223a317d'],
  ['HEAD', frame(FRAME.HEAD, 2, text('{}')), '0200000000000002000000027b7d'],
  ['DATA', frame(FRAME.DATA, 0xfffffffe, new Uint8Array([0, 255, 10])), '03000000fffffffe0000000300ff0a'],
  ['END', frame(FRAME.END, 4), '040000000000000400000000'],
  ['RESET', frame(FRAME.RESET, 6, encodeJson({ code: 'cancelled' })), '0500000000000006000000147b22636f6465223a2263616e63656c6c6564227d'],
  ['CREDIT', frame(FRAME.CREDIT, 8, encodeU64(262_144)), '0600000000000008000000080000000000040000'],
  ['ACK', frame(FRAME.ACK, 10, new Uint8Array([...encodeU64(513), 0xca, 0xfe])), '070000000000000a0000000a0000000000000201cafe'],
  ['ACK that trims', frame(FRAME.ACK, 10, encodeU64(1), FLAG_TRIM), '070100000000000a000000080000000000000001'],
  ['RESUME', frame(FRAME.RESUME, 12, encodeU64(2 ** 40, 2 ** 53 - 1)), '080000000000000c000000100000010000000000001fffffffffffff'],
];

describe('golden bytes', () => {
  test.each(GOLDEN)('%s', (_, f, golden) => {
    expect(hex(encodeFrames([f]))).toBe(golden);
    expect(decodeFrames(bytes(golden))).toEqual([f]);
  });

  test('every type has its vector', () => {
    expect(new Set(GOLDEN.map(([, f]) => f.type))).toEqual(new Set(Object.values(FRAME)));
  });

  test('a message is its frames, one after the other', () => {
    const all = GOLDEN.map(([, f]) => f);
    const message = encodeFrames(all);
    expect(hex(message)).toBe(GOLDEN.map(([, , golden]) => golden).join(''));
    expect(decodeFrames(message)).toEqual(all);
    expect(decodeFrames(new Uint8Array(0))).toEqual([]);
  });

  test('the text under a receipt', () => {
    const receipt = { attempt: 'c/0', bytes: 1, sha256: 'aa', tokensIn: null, tokensOut: 3, firstByteMs: 4, lastByteMs: 5 };
    expect(receiptText(receipt)).toBe('ripcord-receipt/1\nc/0\n1\naa\n-\n3\n4\n5');
  });
});

describe('what is not exactly frames is refused', () => {
  const good = encodeFrames([frame(FRAME.END, 2)]);
  const oversize = (type: number, limit: number): [string, Uint8Array, string] => [
    `oversize payload of type ${type}`,
    Buffer.concat([header(type, { length: limit + 1 }), new Uint8Array(limit + 1)]),
    'limit',
  ];
  const table: [string, Uint8Array, string][] = [
    ...[1, 11].map((n): [string, Uint8Array, string] => [`a header of ${n} bytes`, good.slice(0, n), 'malformed']),
    ['a second header that is cut', Buffer.concat([good, good.slice(0, 5)]), 'malformed'],
    ['a payload that is cut', Buffer.concat([header(FRAME.DATA, { length: 5 }), new Uint8Array(4)]), 'malformed'],
    ['a length far beyond the message', header(FRAME.DATA, { length: 0xffffffff }), 'malformed'],
    ['the first reserved byte', header(FRAME.END, { reserved: 0x0100 }), 'malformed'],
    ['the second reserved byte', header(FRAME.END, { reserved: 1 }), 'malformed'],
    ['a flag where none is', header(FRAME.DATA, { flags: 1 }), 'malformed'],
    ['an unknown flag on ACK', header(FRAME.ACK, { flags: 2 }), 'malformed'],
    ['type 0', header(0), 'malformed'],
    ['type 9', header(9), 'malformed'],
    ['type 255', header(255), 'malformed'],
    oversize(FRAME.OPEN, LIMITS.headBytes),
    oversize(FRAME.HEAD, LIMITS.headBytes),
    oversize(FRAME.DATA, LIMITS.dataBytes),
    oversize(FRAME.END, 4096),
    oversize(FRAME.RESET, 4096),
    oversize(FRAME.CREDIT, 8),
    oversize(FRAME.ACK, 256),
    oversize(FRAME.RESUME, 16),
    ['one frame too many', Buffer.concat(Array.from({ length: LIMITS.messageFrames + 1 }, () => header(FRAME.END))), 'limit'],
    ['a message too large', new Uint8Array(LIMITS.messageBytes + 1), 'limit'],
  ];
  test.each(table)('%s', (_, message, code) => {
    expect(codeOf(() => decodeFrames(new Uint8Array(message)))).toBe(code);
  });

  test('what is exactly at a limit passes', () => {
    expect(decodeFrames(encodeFrames(Array.from({ length: LIMITS.messageFrames }, () => frame(FRAME.END, 2))))).toHaveLength(
      LIMITS.messageFrames,
    );
    expect(decodeFrames(encodeFrames([frame(FRAME.DATA, 2, new Uint8Array(LIMITS.dataBytes))]))).toHaveLength(1);
  });

  test('offsets', () => {
    expect(decodeU64(encodeU64(1, 2), 1)).toBe(2);
    expect(codeOf(() => decodeU64(new Uint8Array(7)))).toBe('malformed');
    expect(codeOf(() => decodeU64(encodeU64(1), 1))).toBe('malformed');
    expect(codeOf(() => decodeU64(bytes('0020000000000000')))).toBe('malformed');
    expect(decodeU64(bytes('001fffffffffffff'))).toBe(Number.MAX_SAFE_INTEGER);
    // A payload is a view into its message.
    expect(decodeU64(Buffer.concat([new Uint8Array(3), encodeU64(77)]).subarray(3))).toBe(77);
  });

  test.each([
    ['no JSON', text('{')],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
    ['a BOM before it', new Uint8Array([0xef, 0xbb, 0xbf, ...text('{"code":"gap"}')])],
    ['another code', text('{"code":"other"}')],
    ['an array', text('[]')],
    ['nothing', new Uint8Array(0)],
  ])('JSON payload: %s', (_, payload) => {
    expect(codeOf(() => decodeJson(resetSchema, payload, 'RESET'))).toBe('malformed');
  });

  test('an error of a payload never repeats what it held', () => {
    const secret = 'a-secret-that-came-in';
    const broken = encodeJson({ blob: secret, instance: 'ins_1', offset: 0 });
    expect(() => decodeJson(openBlobSchema, broken, 'OPEN')).toThrow(/^OPEN: blob/);
    expect(() => decodeJson(openBlobSchema, broken, 'OPEN')).not.toThrow(secret);
  });
});

describe('sending keeps the limits that receiving enforces', () => {
  test('bytes become frames of at most dataBytes', () => {
    const frames = dataFrames(2, new Uint8Array(2 * LIMITS.dataBytes + 1));
    expect(frames.map((f) => f.payload.byteLength)).toEqual([LIMITS.dataBytes, LIMITS.dataBytes, 1]);
    expect(dataFrames(2, new Uint8Array(0))).toEqual([]);
  });

  test.each([
    ['many small', Array.from({ length: 2 * LIMITS.messageFrames + 1 }, () => frame(FRAME.END, 2)), 3],
    ['few large', Array.from({ length: 33 }, () => frame(FRAME.DATA, 2, new Uint8Array(LIMITS.dataBytes))), 3],
    ['none', [], 0],
  ])('%s frames become messages that can be read', (_, frames, count) => {
    const messages = packMessages(frames);
    expect(messages).toHaveLength(count);
    expect(messages.flatMap((m) => decodeFrames(m))).toEqual(frames);
  });
});

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}

test('whether a message holds a frame, by its headers alone', () => {
  const message = encodeFrames([frame(FRAME.DATA, 2, new Uint8Array([FRAME.END, 0, 0])), frame(FRAME.END, 2)]);
  expect(hasFrame(message, FRAME.END)).toBe(true);
  expect(hasFrame(message, FRAME.RESET)).toBe(false);
  expect(hasFrame(message.subarray(0, 15), FRAME.END)).toBe(false);
  expect(hasFrame(new Uint8Array(5), FRAME.END)).toBe(false);
  expect(hasFrame(new Uint8Array(40).fill(255), FRAME.END)).toBe(false);
});
