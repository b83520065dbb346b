/** What of a miner's reply reaches a client: the same bytes however they were cut, and nothing that is not a reply. */
import { describe, expect, test } from 'vitest';
import { LIMITS, ProtocolError, headSchema } from '#protocol';
import { replyFilter, replyHeaders, isEventStream, type Checkpoint, type ReplyKind } from '../../../functions/miner/reply.ts';

type Template = 'openai' | 'http';

const kind = (template: Template, events = true): ReplyKind => ({ events, template, bill: null });
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (parts: Uint8Array[]): string => Buffer.concat(parts).toString('utf8');

/** The client's text of a reply that comes in these pieces. */
function through(template: Template, pieces: Uint8Array[], from?: Checkpoint): string {
  const filter = replyFilter(kind(template), from);
  const out = pieces.map((piece) => filter.push(piece).slice());
  return textOf([...out, filter.end()]);
}

const chunk = (content: string): string => JSON.stringify({ choices: [{ delta: { content } }] });

const CASES: [string, Template, string, string][] = [
  ['events as they should be', 'openai', `data: ${chunk('a')}\n\ndata: [DONE]\n\n`, `data: ${chunk('a')}\n\ndata: [DONE]\n\n`],
  ['CRLF', 'openai', `data: ${chunk('a')}\r\n\r\ndata: [DONE]\r\n\r\n`, `data: ${chunk('a')}\n\ndata: [DONE]\n\n`],
  ['mixed line ends', 'openai', `data: ${chunk('a')}\n\r\ndata: [DONE]\r\n\n`, `data: ${chunk('a')}\n\ndata: [DONE]\n\n`],
  ['no space after the colon', 'openai', `data:${chunk('a')}\n\n`, `data: ${chunk('a')}\n\n`],
  ['two spaces: one is content', 'http', 'data:  x\n\n', 'data:  x\n\n'],
  ['comments are dropped', 'openai', `: hello\n\n: keep\ndata: ${chunk('a')}\n\n:\n\n`, `data: ${chunk('a')}\n\n`],
  ['event and id are stripped', 'openai', `event: error\nid: 7\nretry: 1\ndata: ${chunk('a')}\n\n`, `data: ${chunk('a')}\n\n`],
  ['event and id are kept', 'http', 'event: step\nid: 7\nretry: 1\ndata: x\n\n', 'event: step\nid: 7\ndata: x\n\n'],
  ['unknown fields are dropped', 'http', 'evil: 1\n data: y\ndatax: 2\ndata: x\n\n', 'data: x\n\n'],
  ['an event without data is none', 'http', 'event: ping\n\nid: 1\n\n', ''],
  ['data of many lines', 'http', 'data: a\ndata:\ndata: b\n\n', 'data: a\ndata: \ndata: b\n\n'],
  ['a bare CR is a line end, not content', 'http', 'data: a\rdata: b\revent: x\n\n', 'event: x\ndata: a\ndata: b\n\n'],
  ['letters of two, three and four bytes', 'openai', `data: ${chunk('é€😀')}\n\n`, `data: ${chunk('é€😀')}\n\n`],
  ['blank lines at either end', 'openai', `\n\n\r\n\ndata: ${chunk('a')}\n\n\n\n\r\n`, `data: ${chunk('a')}\n\n`],
  ['nothing at all', 'openai', '', ''],
];

describe('server-sent events', () => {
  test.each(CASES)('%s', (_, template, reply, expected) => {
    expect(through(template, [utf8(reply)])).toBe(expected);
  });

  test.each(CASES)('%s, cut anywhere', (_, template, reply, expected) => {
    const bytes = utf8(reply);
    for (let at = 0; at <= bytes.byteLength; at++) {
      expect(through(template, [bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toBe(expected);
    }
    expect(
      through(
        template,
        [...bytes].map((byte) => Uint8Array.of(byte)),
      ),
    ).toBe(expected);
  });

  test.each(CASES)('%s, taken up at every checkpoint', (_, template, reply, expected) => {
    const bytes = utf8(reply);
    const first = replyFilter(kind(template));
    let before = '';
    for (let at = 0; at < bytes.byteLength; at++) {
      before += textOf([first.push(bytes.subarray(at, at + 1))]);
      const checkpoint = first.checkpoint();
      expect(checkpoint.client).toBe(utf8(before).byteLength);
      expect(before + through(template, [bytes.subarray(checkpoint.offset)], checkpoint)).toBe(expected);
    }
  });

  const refused: [string, Template, string | Uint8Array, 'malformed' | 'limit'][] = [
    ['no JSON', 'openai', 'data: hello\n\n', 'malformed'],
    ['an array', 'openai', 'data: []\n\n', 'malformed'],
    ['a string', 'openai', 'data: "x"\n\n', 'malformed'],
    ['null', 'openai', 'data: null\n\n', 'malformed'],
    ['empty data', 'openai', 'data:\n\n', 'malformed'],
    ['JSON over two lines', 'openai', 'data: {"a":\ndata: 1}\n\n', 'malformed'],
    ['something like DONE', 'openai', 'data: [DONE] \n\n', 'malformed'],
    ['no UTF-8', 'openai', Buffer.from('data: "\xff"\n\n', 'latin1'), 'malformed'],
    ['no UTF-8 on http', 'http', Buffer.from('data: \xff\n\n', 'latin1'), 'malformed'],
    ['an end inside an event', 'openai', `data: ${chunk('a')}\n`, 'malformed'],
    ['an end inside a line', 'http', 'data: x\n\nda', 'malformed'],
    ['an event that is too large', 'http', `data: ${'x'.repeat(LIMITS.eventBytes)}\n\n`, 'limit'],
    ['an event that never ends', 'http', 'x'.repeat(LIMITS.eventBytes + 1), 'limit'],
    ['a comment that never ends', 'http', `:${'x'.repeat(LIMITS.eventBytes)}`, 'limit'],
  ];
  test.each(refused)('refused: %s', (_, template, reply, code) => {
    const bytes = typeof reply === 'string' ? utf8(reply) : new Uint8Array(reply);
    for (const pieces of [[bytes], halves(bytes)]) expect(codeOf(() => through(template, pieces))).toBe(code);
  });

  test('the largest event passes', () => {
    const event = `data: ${'x'.repeat(LIMITS.eventBytes - 8)}\n\n`;
    expect(through('http', halves(utf8(event)))).toBe(event);
  });

  test('a large event in single bytes costs about what its bytes cost', () => {
    const filter = replyFilter(kind('http'));
    const started = performance.now();
    for (let i = 0; i < LIMITS.eventBytes; i++) filter.push(Uint8Array.of(120));
    // Quadratic work would be 32 GB of copies: tens of seconds.
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('nothing that a miner writes can end an event early or begin another', () => {
    const evil = ['\r', '\n', '\r\n', '\n\n', '\u2028', '\u0085', '\0'].map((end) => `data: a${end}event: hacked${end}data: b\n\n`);
    for (const reply of evil) {
      const out = through('http', [utf8(reply)]);
      for (const event of out.split('\n\n')) expect(event).not.toMatch(/\r/);
    }
    expect(codeOf(() => through('openai', [utf8('data: {}\revent: hacked\rdata: x\n\n')]))).toBe('malformed');
  });
});

describe('any other body', () => {
  test('passes byte by byte, from any checkpoint', () => {
    const bytes = utf8('data: not events\r\n\0\u00ff');
    const first = replyFilter(kind('http', false));
    for (let at = 0; at < bytes.byteLength; at++) {
      const byte = bytes.subarray(at, at + 1);
      expect(first.push(byte)).toEqual(byte);
      const checkpoint = first.checkpoint();
      expect(checkpoint).toMatchObject({ offset: at + 1, client: at + 1 });
      const rest = bytes.subarray(checkpoint.offset);
      expect(replyFilter(kind('http', false), checkpoint).push(rest)).toEqual(rest);
    }
  });

  test('is metered by its usage when it is an OpenAI object', () => {
    const body = utf8(JSON.stringify({ choices: [{ message: { content: 'abc' } }], usage: { prompt_tokens: 5, completion_tokens: 2 } }));
    const filter = replyFilter(kind('openai', false));
    for (const piece of halves(body)) filter.push(piece);
    filter.end();
    expect(filter.checkpoint().meter).toEqual({ bytes: body.byteLength, events: 1, text: 3, claimIn: 5, claimOut: 2, claimCached: null });
  });

  test('is not parsed for http, nor when it is no object', () => {
    for (const [template, text] of [
      ['http', '{"usage":{"prompt_tokens":5}}'],
      ['openai', '[{"usage":{"prompt_tokens":5}}]'],
      ['openai', '{"usage":'],
    ] as const) {
      const filter = replyFilter(kind(template, false));
      filter.push(utf8(text));
      filter.end();
      expect(filter.checkpoint().meter).toMatchObject({ claimIn: null, claimOut: null, text: 0 });
    }
  });
});

describe('headers', () => {
  const dropped = [
    'x-ripcord-error',
    'X-Request-Id',
    'set-cookie',
    'Set-Cookie',
    'location',
    'refresh',
    'content-length',
    'content-encoding',
    'transfer-encoding',
    'connection',
    'content-security-policy',
    'x-content-type-options',
    'access-control-allow-origin',
    'access-control-allow-credentials',
    'strict-transport-security',
    'www-authenticate',
    'retry-after',
    'cache-control',
    'link',
    'server',
    'x-anything',
  ];
  test.each(dropped)('%s does not pass', (name) => {
    expect(replyHeaders([[name, 'x']])).toEqual([]);
  });

  test('the allow-list passes in lower case, the first of each name', () => {
    expect(
      replyHeaders([
        ['Content-Type', 'text/plain'],
        ['content-type', 'text/html'],
        ['ETag', '"1"'],
        ['X-Evil', '1'],
      ]),
    ).toEqual([
      ['content-type', 'text/plain'],
      ['etag', '"1"'],
    ]);
  });

  test.each([
    ['CR', 'a\rb'],
    ['LF', 'a\nset-cookie: x'],
    ['NUL', 'a\0b'],
    ['DEL', 'a\u007fb'],
    ['escape', 'a\u001bb'],
    ['too long', 'x'.repeat(8193)],
  ])('a value with %s is refused', (_, value) => {
    expect(headSchema.safeParse({ status: 200, headers: [['content-type', value]] }).success).toBe(false);
  });

  test.each([
    ['a space in a name', { status: 200, headers: [['content type', 'x']] }],
    ['a colon in a name', { status: 200, headers: [['a:b', 'x']] }],
    ['CRLF in a name', { status: 200, headers: [['a\r\nb', 'x']] }],
    ['an empty name', { status: 200, headers: [['', 'x']] }],
    ['too many', { status: 200, headers: Array.from({ length: LIMITS.headers + 1 }, (_, i) => [`h${i}`, 'x']) }],
    ['status 101', { status: 101, headers: [] }],
    ['status 600', { status: 600, headers: [] }],
    ['status 200.5', { status: 200.5, headers: [] }],
  ])('a head is refused: %s', (_, head) => {
    expect(headSchema.safeParse(head).success).toBe(false);
  });

  test.each([
    ['text/event-stream', true],
    ['Text/Event-Stream; charset=utf-8', true],
    ['text/event-streams', false],
    ['application/json; x=text/event-stream', false],
  ])('%s: events %s', (type, events) => {
    expect(isEventStream([['Content-Type', type]])).toBe(events);
  });
});

function halves(bytes: Uint8Array): Uint8Array[] {
  const middle = bytes.byteLength >> 1;
  return [bytes.subarray(0, middle), bytes.subarray(middle)];
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}
