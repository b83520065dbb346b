/** Requests of hostile clients: too much, too deep, too odd. Each is answered, and no agent is lost to one. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FRAME, LIMITS, SIGNED_HEADERS } from '#protocol';
import { signedHeaders } from '../../miner-agent/identity/signed-request.ts';
import { credit, data, end, json, newHotkey, type Opened } from './raw-agent.ts';
import { chunked, headText, rawHttp, stalled } from './raw-http.ts';
import { Stage, edge, openAiCode, problemCode } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ template: 'http' });
});
afterAll(() => stage?.close());

const auth: [string, string] = ['authorization', `Bearer ${edge.key}`];
const chat = (body: BodyInit, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${edge.api}/v1/chat/completions`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${edge.key}`, 'content-type': 'application/json', ...headers },
    signal: AbortSignal.timeout(30_000),
  });
const api = (method: string, target: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${edge.api}${target}`, {
    method,
    body,
    headers: { authorization: `Bearer ${edge.key}`, 'content-type': 'application/json', ...headers },
    signal: AbortSignal.timeout(30_000),
  });
type BodyInit = NonNullable<RequestInit['body']>;
const spaces = (bytes: number): string => ' '.repeat(bytes);

/** The agent takes request bytes as fast as they come. */
function grantAll(stream: number): { stop(): void } {
  let [seen, taken, granted, going] = [0, 0, LIMITS.windowBytes as number, true];
  const grant = async (): Promise<void> => {
    while (going) {
      await stage.agent.until('more', () => (stage.agent.received.length > seen ? true : undefined), 90_000);
      for (; seen < stage.agent.received.length; seen++) {
        const f = stage.agent.received[seen];
        if (f?.stream === stream && f.type === FRAME.DATA) taken += f.payload.byteLength;
      }
      if (taken + LIMITS.windowBytes / 2 < granted) continue;
      granted = taken + LIMITS.windowBytes;
      stage.agent.frames(credit(stream, granted));
    }
  };
  void grant().catch(() => {});
  return {
    stop: () => {
      going = false;
    },
  };
}

describe('too large', () => {
  test('a chat: told by its length, or by its bytes', async () => {
    const reply = await chat(spaces(LIMITS.bufferedBodyBytes + 1));
    expect([reply.status, await openAiCode(reply)]).toEqual([413, 'body_too_large']);
    const line = headText('POST /v1/chat/completions HTTP/1.1', [auth, ['transfer-encoding', 'chunked']]);
    const streamed = await rawHttp([line, ...chunked(LIMITS.bufferedBodyBytes + 1)]);
    expect(streamed.status).toBe(413);
    expect(streamed.text).toContain('"code":"body_too_large"');
  });

  test('a length that is only claimed is refused at once', async () => {
    const claimed = (line: string, length: number): Promise<{ status: number }> =>
      rawHttp([headText(line, [auth, ['content-length', String(length)]])], 10_000);
    expect((await claimed('POST /v1/chat/completions HTTP/1.1', 2 ** 40)).status).toBe(413);
    expect((await claimed(`PUT /call/${stage.it.chute}/x HTTP/1.1`, LIMITS.bodyBytes + 1)).status).toBe(413);
    expect((await claimed(`PUT /blobs/${'0'.repeat(64)} HTTP/1.1`, LIMITS.codeBytes + 1)).status).toBe(413);
  });

  test.each<[string, string, string, number]>([
    ['a deploy', 'POST', '/chutes', 152 * 1024],
    ['a blob', 'PUT', `/blobs/${'0'.repeat(64)}`, LIMITS.codeBytes],
    ['a key', 'POST', '/keys', 64 * 1024],
    ['a challenge', 'POST', '/agents/challenge', 64 * 1024],
  ])('%s', async (_, method, target, limit) => {
    const reply = await api(method, target, spaces(limit + 1));
    expect([reply.status, await problemCode(reply)]).toEqual([413, 'body_too_large']);
    const streamed = await rawHttp([
      headText(`${method} ${target} HTTP/1.1`, [auth, ['transfer-encoding', 'chunked']]),
      ...chunked(limit + 1),
    ]);
    expect(streamed.status).toBe(413);
  });

  test('a signed request', async () => {
    const headers = { [SIGNED_HEADERS.hotkey]: 'x' };
    const reply = await api('POST', '/accounts', spaces(LIMITS.codeBytes + 1), headers);
    expect([reply.status, await problemCode(reply)]).toEqual([413, 'body_too_large']);
    const line = headText('POST /accounts HTTP/1.1', [...Object.entries(headers), ['transfer-encoding', 'chunked']]);
    expect((await rawHttp([line, ...chunked(1024)])).status).toBeGreaterThanOrEqual(400);
  });

  test('an upload that goes on and on: its call ends, and the agent is told', async () => {
    const line = headText(`PUT /call/${stage.it.chute}/up HTTP/1.1`, [
      auth,
      ['x-ripcord-instance', stage.instance],
      ['transfer-encoding', 'chunked'],
    ]);
    const waiting = rawHttp([line, ...chunked(LIMITS.bodyBytes + 1)], 90_000);
    const it = await stage.agent.opened();
    const granting = grantAll(it.stream);
    expect(await stage.agent.reset(it.stream, 80_000)).toBe('cancelled');
    granting.stop();
    const reply = await waiting;
    expect(reply.status).toBe(413);
    expect(reply.text).toContain('"code":"body_too_large"');
    expect(await stage.state()).toBe('live');
  });
});

describe('an upload that is cut', () => {
  test.each<[string, [string, string], () => Iterable<Uint8Array | string>]>([
    ['between two chunks', ['transfer-encoding', 'chunked'], () => ['5\r\nhello\r\n']],
    ['within a chunk', ['transfer-encoding', 'chunked'], () => ['ff\r\nhello']],
    ['before its length', ['content-length', String(LIMITS.bufferedBodyBytes + 1)], () => ['hello']],
  ])('%s is never a whole one to the engine', async (_, framing, sent) => {
    const line = headText(`PUT /call/${stage.it.chute}/up HTTP/1.1`, [auth, ['x-ripcord-instance', stage.instance], framing]);
    const client = await stalled([line, ...sent()]);
    const it = await stage.agent.opened();
    await stage.agent.until('the bytes', () => stage.agent.received.find((f) => f.type === FRAME.DATA && f.stream === it.stream));
    client.cut();
    expect(await stage.agent.reset(it.stream)).toBe('cancelled');
    expect(stage.agent.received.filter((f) => f.type === FRAME.END && f.stream === it.stream)).toEqual([]);
  });
});

describe('too deep or not what it should be', () => {
  const deep = (open: string, close: string, depth = 200_000): string => open.repeat(depth) + close.repeat(depth);
  test.each<[string, string]>([
    ['messages', `{"model":"a/b","messages":${deep('[', ']')}}`],
    ['messages of objects', `{"model":"a/b","messages":[${deep('{"a":', '}').replace(':}', ':1}')}]}`],
    ['a field nobody reads', `{"model":"a/b","x":${deep('[', ']')}}`],
    ['the model', `{"model":${deep('[', ']')}}`],
    ['all of it', deep('[', ']')],
  ])('JSON of 200,000 levels in %s', async (_, body) => {
    const reply = await chat(body);
    expect([400, 404]).toContain(reply.status);
    await openAiCode(reply);
  });

  test.each([
    ['POST', '/keys', `{"name":${deep('[', ']', 10_000)}}`],
    ['POST', '/chutes', `{"config":${deep('{"a":', '}', 10_000).replace(':}', ':1}')}}`],
    ['POST', '/chutes', `{"config":{"name":"x","command":${deep('[', ']', 10_000)}}}`],
    ['POST', '/agents/challenge', deep('[', ']', 10_000)],
  ])('%s %s: JSON of 10,000 levels', async (method, target, body) => {
    const reply = await api(method, target, body);
    expect(reply.status).toBe(400);
    expect(['invalid_request', 'invalid_config']).toContain(await problemCode(reply));
  });

  test.each<[string, BodyInit]>([
    ['nothing', ''],
    ['no JSON', '{'],
    ['a list', '[]'],
    ['a text', '"x"'],
    ['null', 'null'],
    ['no UTF-8', new Uint8Array(Buffer.from('{"model":"\xff"}', 'latin1'))],
    ['UTF-16', new Uint8Array(Buffer.from('{"model":"a/b"}', 'utf16le'))],
    ['a model that is a list', '{"model":["a/b"]}'],
    ['a stream that is a text', '{"model":"a/b","stream":"yes"}'],
    ['tokens below zero', '{"model":"a/b","max_tokens":-1}'],
    ['too many tokens to count', '{"model":"a/b","max_tokens":1e400}'],
    ['a prototype', '{"__proto__":{"model":"a/b"}}'],
  ])('a chat of %s', async (_, body) => {
    const reply = await chat(body);
    expect([reply.status, await openAiCode(reply)]).toEqual([400, 'invalid_request']);
  });

  test.each(['text/plain', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'application/jsonp', 'x'])(
    'a deploy of type %s',
    async (type) => {
      const reply = await api('POST', '/chutes', '{"config":{"name":"x","command":["x"]}}', { 'content-type': type });
      expect([reply.status, await problemCode(reply)]).toEqual([415, 'unsupported_media_type']);
    },
  );

  test.each([
    ['another name than its hash', `/blobs/${'0'.repeat(64)}`, 'x'],
    ['a path', '/blobs/..%2f..%2fetc', 'x'],
    ['a name in capitals', `/blobs/${createHash('sha256').update('x').digest('hex').toUpperCase()}`, 'x'],
    ['no bytes', `/blobs/${createHash('sha256').update('').digest('hex')}`, ''],
  ])('a blob under %s', async (_, target, body) => {
    const reply = await api('PUT', target, body);
    expect([reply.status, await problemCode(reply)]).toEqual([400, 'invalid_request']);
  });

  test.each([
    '{"config":{"name":"x","command":["x"],"__proto__":{"public":true}}}',
    '{"config":{"name":"x","command":["x"],"constructor":1}}',
    '{"config":{"name":"../x","command":["x"]}}',
    '{"config":{"name":"x","command":["x"],"health":"/a\\r\\nhost: evil"}}',
    '{"config":{"name":"x","command":["x"],"env":{"A B":"x"}}}',
    '{"config":{"name":"x","command":["x"]},"owner":"acc_1"}',
    '{"config":{"name":"x","command":["x"]},"code":{"sha256":"../x","bytes":1}}',
    '{"config":{"name":"x","command":["x"],"concurrency":1e9}}',
  ])('a deploy of %s', async (body) => {
    const reply = await api('POST', '/chutes', body);
    expect([reply.status, await problemCode(reply)]).toEqual([400, 'invalid_config']);
  });
});

describe('odd requests', () => {
  const call = `/call/`;
  const line = (method: string, path: string): string => `${method} ${call}${stage.it.chute}${path} HTTP/1.1`;
  const pinned = (): [string, string][] => [auth, ['x-ripcord-instance', stage.instance]];

  let serving = true;
  beforeAll(() => void serveAll());
  afterAll(() => {
    serving = false;
  });

  /** The agent answers whatever comes: `/ping` by an object, all else by nothing. */
  async function serveAll(): Promise<void> {
    while (serving) {
      const it = await stage.agent.opened().catch(() => null);
      if (it === null) continue;
      came.push(it);
      const body = it.open.path === '/ping' ? '{}' : '';
      stage.agent.frames(json(it.stream), ...(body === '' ? [] : [data(it.stream, body)]), end(it.stream, it.open.attempt, body.length));
    }
  }
  const came: Opened[] = [];

  /** No request before cost the agent its socket. */
  async function agentLives(): Promise<void> {
    const reply = await stage.call('/ping', { method: 'GET' });
    expect(await reply.text()).toBe('{}');
  }

  test.each<[string, [string, string][]]>([
    ['33 headers for the engine', Array.from({ length: 33 }, (_, i): [string, string] => [`x-h${i}`, 'x'])],
    ['headers that fill more than a frame', Array.from({ length: 12 }, (_, i): [string, string] => [`x-h${i}`, 'x'.repeat(4_000)])],
    [
      'headers that fill more than a frame once they are quoted',
      Array.from({ length: 12 }, (_, i): [string, string] => [`x-h${i}`, '"'.repeat(2_000)]),
    ],
    ['one header that is too long', [['x-long', 'x'.repeat(5_000)]]],
  ])('%s are refused', async (_, headers) => {
    const reply = await rawHttp([headText(line('GET', '/x'), [...pinned(), ...headers])]);
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('"code":"invalid_request"');
    await agentLives();
  });

  test('what fits is passed on', async () => {
    const headers = Array.from({ length: 6 }, (_, i): [string, string] => [`x-h${i}`, 'x'.repeat(4_000)]);
    expect((await rawHttp([headText(line('GET', '/six'), [...pinned(), ...headers])])).status).toBe(200);
    const passed = came.find((it) => it.open.path === '/six')?.open.headers ?? [];
    expect(passed.filter(([name]) => name.startsWith('x-h'))).toHaveLength(6);
    expect(passed.map(([name]) => name)).not.toContain('authorization');
  });

  const odd: [string, () => (string | Uint8Array)[]][] = [
    [
      'a header flood',
      () => [
        headText(line('GET', '/x'), [
          ...pinned(),
          ...Array.from({ length: 3_000 }, (_, i): [string, string] => [`a${i}`, 'x'.repeat(100)]),
        ]),
      ],
    ],
    [
      'two lengths that differ',
      () => [headText(line('POST', '/x'), [...pinned(), ['content-length', '1'], ['content-length', '2']]), 'ab'],
    ],
    [
      'a length and chunks',
      () => [headText(line('POST', '/x'), [...pinned(), ['content-length', '1'], ['transfer-encoding', 'chunked']]), '0\r\n\r\n'],
    ],
    ['a length below zero', () => [headText(line('POST', '/x'), [...pinned(), ['content-length', '-1']])]],
    ['a length in letters', () => [headText(line('POST', '/x'), [...pinned(), ['content-length', 'x']])]],
    ['chunks without a size', () => [headText(line('POST', '/x'), [...pinned(), ['transfer-encoding', 'chunked']]), 'zz\r\n\r\n']],
    ['a control character in a header', () => [headText(line('GET', '/x'), [...pinned(), ['x-a', 'a\u0001b']])]],
    ['DEL in a header', () => [headText(line('GET', '/x'), [...pinned(), ['x-a', 'a\u007fb']])]],
    ['NUL in a header', () => [headText(line('GET', '/x'), [...pinned(), ['x-a', 'a\0b']])]],
    ['CR in a header', () => [headText(line('GET', '/x'), [...pinned(), ['x-a', 'a\rb']])]],
    ['a folded header', () => [headText(line('GET', '/x'), [...pinned(), ['x-a', 'a\r\n b']])]],
    ['bytes that are no UTF-8 in a header', () => [Buffer.from(headText(line('GET', '/x'), [...pinned(), ['x-a', '\xff\xfe']]), 'latin1')]],
    ['letters of many bytes in a header', () => [headText(line('GET', '/x'), [...pinned(), ['x-a', '€😀']])]],
    ['a space in a header name', () => [headText(line('GET', '/x'), [...pinned(), ['x a', 'b']])]],
    ['an odd method', () => [headText(line('PROPFIND', '/x'), pinned())]],
    ['a method with a hyphen', () => [headText(line('M-SEARCH', '/x'), pinned())]],
    ['a method of small letters', () => [headText(line('get', '/x'), pinned())]],
    ['a method nobody has', () => [headText(line('FROBNICATE', '/x'), pinned())]],
    ['TRACE', () => [headText(line('TRACE', '/x'), pinned())]],
    ['OPTIONS', () => [headText(line('OPTIONS', '/x'), pinned())]],
    ['a NUL in the path', () => [headText(line('GET', '/%00'), pinned())]],
    ['line ends in the path', () => [headText(line('GET', '/a%0d%0ahost:%20evil'), pinned())]],
    ['dots in the path', () => [headText(line('GET', '/../../../v1/models'), pinned())]],
    ['coded dots in the path', () => [headText(line('GET', '/%2e%2e/%2e%2e/x'), pinned())]],
    ['quotes and brackets in the path', () => [headText(line('GET', '/"<>\\^`{|}'), pinned())]],
    ['raw bytes in the path', () => [Buffer.from(headText(line('GET', '/\xff\xfe'), pinned()), 'latin1')]],
    ['a very long path', () => [headText(line('GET', `/${'a'.repeat(9_000)}`), pinned())]],
    ['a long path of quotes', () => [headText(line('GET', `/?${"'".repeat(8_000)}`), pinned())]],
    ['a fragment in the path', () => [headText(line('GET', '/a#b'), pinned())]],
    ['an absolute path of another host', () => [headText(`GET http://evil.example/x HTTP/1.1`, pinned())]],
    ['no host', () => [`${line('GET', '/x')}\r\nconnection: close\r\nauthorization: ${auth[1]}\r\n\r\n`]],
    ['two hosts', () => [headText(line('GET', '/x'), [...pinned(), ['host', 'evil.example']])]],
    ['HTTP/0.9', () => [`GET /health\r\n\r\n`]],
    ['no HTTP at all', () => ['\x16\x03\x01\x00\x00garbage\r\n\r\n']],
  ];
  test.each(odd)('%s: an answer, no 500, and the agent lives', async (_, pieces) => {
    const reply = await rawHttp(pieces(), 20_000);
    expect(reply.status).not.toBe(500);
    await agentLives();
  });
});

test('what is signed is what is read: a chunked signed body is refused', async () => {
  const hotkey = newHotkey();
  const body = '{"handle":"chunkedone"}';
  const headers = signedHeaders(hotkey, { origin: edge.api, method: 'POST', target: '/accounts', body });
  const line = headText('POST /accounts HTTP/1.1', [...Object.entries(headers), ['transfer-encoding', 'chunked']]);
  const reply = await rawHttp([line, `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`]);
  expect(reply.status).toBe(400);
});
