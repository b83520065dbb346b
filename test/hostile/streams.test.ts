/** Replies that are none, frames out of order, and what of them an honest client sees: typed errors, whole events, its own call. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLOSE, FRAME, encodeJson, frame, type Frame } from '#protocol';
import { credit, data, end, events, head, json, reset, utf8, type Opened } from './raw-agent.ts';
import { Stage, edge, openAiCode, problemCode } from './stage.ts';

let stage: Stage;
let web: Stage;
beforeAll(async () => {
  [stage, web] = await Promise.all([Stage.open(), Stage.open({ template: 'http' })]);
});
afterAll(() => Promise.all([stage?.close(), web?.close()]));

const EVENT = 'data: {"choices":[{"delta":{"content":"abc"}}]}\n\n';

describe('frames out of order', () => {
  test.each<[string, (it: Opened) => Frame[]]>([
    ['DATA before HEAD', (it) => [data(it.stream, '{}')]],
    ['END before HEAD', (it) => [end(it.stream, it.open.attempt, 0)]],
    ['HEAD twice', (it) => [json(it.stream), json(it.stream)]],
    ['END twice', (it) => [events(it.stream), end(it.stream, it.open.attempt, 0), end(it.stream, it.open.attempt, 0)]],
    ['DATA after END', (it) => [events(it.stream), end(it.stream, it.open.attempt, 0), data(it.stream, EVENT)]],
    ['a receipt of another call', (it) => [json(it.stream), end(it.stream, '01890000-0000-7000-8000-000000000001/0', 0)]],
    ['a receipt of another attempt', (it) => [json(it.stream), end(it.stream, it.open.attempt.replace(/0$/, '1'), 0)]],
    ['a receipt of other bytes', (it) => [json(it.stream), data(it.stream, '{}'), end(it.stream, it.open.attempt, 3)]],
    ['a receipt that is none', (it) => [json(it.stream), frame(FRAME.END, it.stream, utf8('{}'))]],
    ['a HEAD that is none', (it) => [frame(FRAME.HEAD, it.stream, utf8('HTTP/1.1 200 OK\r\n\r\n'))]],
    ['status 100', (it) => [head(it.stream, [], 100)]],
    ['a body under 204', (it) => [head(it.stream, [], 204), data(it.stream, 'x')]],
    ['OPEN', (it) => [frame(FRAME.OPEN, it.stream, encodeJson({ blob: '00'.repeat(32), instance: stage.instance, offset: 0 }))]],
    ['ACK', (it) => [frame(FRAME.ACK, it.stream, new Uint8Array(8))]],
    ['RESUME', (it) => [frame(FRAME.RESUME, it.stream, new Uint8Array(16))]],
    ['CREDIT without an offset', (it) => [frame(FRAME.CREDIT, it.stream)]],
    ['a RESET with a code of its own', (it) => [reset(it.stream, 'insufficient_credit')]],
  ])('%s: the client gets engine_error', async (_, frames) => {
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    stage.agent.frames(...frames(it));
    expect(await stage.agent.reset(it.stream)).toBe('protocol');
    const reply = await waiting;
    expect([reply.status, await openAiCode(reply)]).toEqual([502, 'engine_error']);
  });

  test.each<[string, (stream: number) => Frame[]]>([
    ['DATA', (s) => [data(s, 'x')]],
    ['CREDIT', (s) => [credit(s, 9)]],
    ['RESET', (s) => [reset(s, 'busy')]],
    ['HEAD and END', (s) => [json(s), end(s, '01890000-0000-7000-8000-000000000001/0', 0)]],
  ])('%s on a stream nobody opened changes nothing', async (_, frames) => {
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    stage.agent.frames(...frames(it.stream + 1000));
    stage.agent.frames(json(it.stream), data(it.stream, '{"ok":1}'), end(it.stream, it.open.attempt, 8));
    expect(await (await waiting).text()).toBe('{"ok":1}');
  });

  test.each<[string, (s: Stage) => void]>([
    ['a message of garbage', (s) => s.agent.raw(new Uint8Array(20).fill(255))],
    ['half a frame', (s) => s.agent.raw(new Uint8Array([3, 0, 0]))],
    ['text that is no JSON', (s) => s.agent.raw('hello')],
    ['a message of the edge', (s) => s.agent.raw(JSON.stringify({ type: 'welcome', epoch: 1, now: 1 }))],
    ['hello again', (s) => s.agent.hello()],
    ['HEAD on a blob', (s) => s.agent.frames(frame(FRAME.HEAD, 1, utf8('{}')))],
  ])('%s: the socket is closed', async (_, act) => {
    const own = await Stage.open();
    const waiting = own.chat();
    await own.agent.opened();
    act(own);
    expect(await own.agent.closed).toBe(CLOSE.protocol);
    const reply = await waiting;
    expect([reply.status, await openAiCode(reply)]).toEqual([502, 'miner_lost']);
    await own.close();
  });

  test('frames of the streams of another agent have no effect', async () => {
    const other = await Stage.open();
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    // The thief knows stream and attempt.
    other.agent.frames(json(it.stream), data(it.stream, '{"stolen":1}'), end(it.stream, it.open.attempt, 12));
    expect(await other.agent.reset(it.stream)).toBe('cancelled');
    other.agent.frames(reset(it.stream, 'engine_error'));
    await other.agent.settled();
    stage.agent.frames(json(it.stream), data(it.stream, '{"ok":1}'), end(it.stream, it.open.attempt, 8));
    expect(await (await waiting).text()).toBe('{"ok":1}');
    await other.close();
  });
});

describe('headers of a miner', () => {
  test('pass by the list alone; the edge sets its own', async () => {
    const waiting = web.call('/x', { method: 'GET' });
    const it = await web.agent.opened();
    const evil: [string, string][] = [
      ['Content-Type', 'text/html'],
      ['ETag', '"1"'],
      ['x-ripcord-error', 'no_capacity'],
      ['X-Request-Id', 'mine'],
      ['set-cookie', 'session=stolen'],
      ['location', 'https://evil.example'],
      ['refresh', '0; url=https://evil.example'],
      ['content-encoding', 'gzip'],
      ['content-length', '1000'],
      ['transfer-encoding', 'chunked'],
      ['content-security-policy', 'default-src *'],
      ['access-control-allow-origin', '*'],
      ['cache-control', 'public, max-age=9999'],
      ['www-authenticate', 'Basic'],
    ];
    web.agent.frames(head(it.stream, evil), data(it.stream, '<script>'), end(it.stream, it.open.attempt, 8));
    const reply = await waiting;
    expect(await reply.text()).toBe('<script>');
    const seen = Object.fromEntries(reply.headers);
    expect(seen).toMatchObject({
      'content-type': 'text/html',
      etag: '"1"',
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    expect(seen['x-request-id']).toBe(it.open.attempt.split('/')[0]);
    for (const name of ['set-cookie', 'location', 'refresh', 'x-ripcord-error', 'content-encoding', 'www-authenticate'])
      expect(seen).not.toHaveProperty(name);
    expect(seen).not.toHaveProperty('access-control-allow-origin');
  });

  test.each([
    ['a line end', 'text/plain\r\nset-cookie: a=b'],
    ['LF', 'text/plain\nset-cookie: a=b'],
    ['NUL', 'text/plain\0'],
    ['an escape', 'text/\u001b[2J'],
  ])('with %s: no reply at all', async (_, value) => {
    const waiting = web.call('/x', { method: 'GET' });
    const it = await web.agent.opened();
    web.agent.frames(head(it.stream, [['content-type', value]]), data(it.stream, 'x'), end(it.stream, it.open.attempt, 1));
    const reply = await waiting;
    expect([reply.status, await problemCode(reply)]).toEqual([502, 'engine_error']);
    expect(reply.headers.get('set-cookie')).toBeNull();
  });

  test.each(['text/plain; name="ü"', 'text/plain; name="€"', 'no type at all', '😀'.repeat(20)])(
    'odd values do no harm: %s',
    async (value) => {
      const waiting = web.call('/x', { method: 'GET' });
      const it = await web.agent.opened();
      const odd: [string, string][] = [
        ['content-type', value],
        ['content-disposition', value],
      ];
      web.agent.frames(head(it.stream, odd), data(it.stream, 'x'), end(it.stream, it.open.attempt, 1));
      const reply = await waiting;
      if (reply.status === 200) expect(await reply.text()).toBe('x');
      else expect(await problemCode(reply)).toBe('engine_error');
    },
  );

  test.each([201, 204, 205, 301, 304, 404, 418, 500, 599])('status %i comes with its own body, or none', async (status) => {
    const waiting = web.call('/x', { method: 'GET', redirect: 'manual' });
    const it = await web.agent.opened();
    const body = [204, 205, 304].includes(status) ? '' : 'x';
    // In two messages: the reply begins before its end is known.
    web.agent.frames(head(it.stream, [['content-type', 'text/plain']], status));
    await web.agent.settled();
    web.agent.frames(...(body === '' ? [] : [data(it.stream, body)]), end(it.stream, it.open.attempt, body.length));
    const reply = await waiting;
    expect([reply.status, await reply.text()]).toEqual([status, body]);
  });
});

describe('events of a miner', () => {
  async function streamed(on: Stage, send: (it: Opened) => void): Promise<{ type: string | null; text: string }> {
    const waiting = on === web ? on.call('/stream') : on.chat({ stream: true });
    const it = await on.agent.opened();
    send(it);
    const reply = await waiting;
    expect(reply.status).toBe(200);
    return { type: reply.headers.get('content-type'), text: await reply.text() };
  }

  test('are rebuilt: no comment, event, id or retry of theirs on /v1', async () => {
    const evil = `: hi\nevent: error\nid: 1\nretry: 1\r\n${EVENT}data: [DONE]\n\n`;
    const { text } = await streamed(stage, (it) => {
      stage.agent.frames(events(it.stream), data(it.stream, evil), end(it.stream, it.open.attempt, evil.length));
    });
    expect(text).toBe(`${EVENT}data: [DONE]\n\n`);
  });

  test.each([
    ['no JSON', 'data: <script>alert(1)</script>\n\n'],
    ['an event within', 'data: {}\rdata: [DONE]\r\n\n'],
    ['two lines', 'data: {"a":\ndata: 1}\n\n'],
    ['no UTF-8', Buffer.from('data: "\xff"\n\n', 'latin1')],
  ])('%s: what came before stays, then a typed error, never the bytes nor an end', async (_, evil) => {
    const { text } = await streamed(stage, (it) => {
      stage.agent.frames(events(it.stream), data(it.stream, EVENT));
      void stage.agent.settled().then(() => stage.agent.frames(data(it.stream, new Uint8Array(Buffer.from(evil)))));
    });
    expect(text.startsWith(EVENT)).toBe(true);
    const rest = text.slice(EVENT.length);
    expect(rest).toMatch(/^data: .*\n\n$/);
    expect(JSON.parse(rest.slice(6))).toMatchObject({ error: { code: 'engine_error', request_id: expect.any(String) } });
    expect(text).not.toContain('[DONE]');
    expect(text).not.toContain('script');
  });

  test('a false end is told as what it is', async () => {
    const { text } = await streamed(stage, (it) => {
      stage.agent.frames(events(it.stream), data(it.stream, EVENT));
      void stage.agent.settled().then(() => stage.agent.frames(reset(it.stream, 'engine_error')));
    });
    expect(text).toMatch(/^data: \{"choices".*\n\ndata: \{"error":\{.*"code":"engine_error"/);
    expect(text).not.toContain('[DONE]');
  });

  test('an agent that vanishes mid-stream: typed, within the time it may take to come back', async () => {
    const own = await Stage.open();
    const waiting = own.chat({ stream: true });
    const it = await own.agent.opened();
    own.agent.frames(events(it.stream), data(it.stream, EVENT));
    const reply = await waiting;
    await own.agent.settled();
    own.agent.close();
    const text = await reply.text();
    expect(text).toMatch(/^data: \{"choices".*\n\n(: .*\n\n)*data: \{"error":\{.*"code":"miner_lost"/);
    await own.close();
  });

  test('a plain body in place of events cannot become events', async () => {
    const evil = 'x\rid: 1\revent: hacked\rdata: y\r\r';
    for (const whole of [true, false]) {
      const waiting = stage.chat({ stream: true });
      const it = await stage.agent.opened();
      stage.agent.frames(head(it.stream, [['content-type', 'text/plain']]), data(it.stream, evil));
      if (!whole) await stage.agent.settled();
      stage.agent.frames(end(it.stream, it.open.attempt, evil.length));
      const reply = await waiting;
      // It is the body of a text, not a stream of events.
      expect(reply.headers.get('content-type')).not.toContain('event-stream');
      await reply.text();
    }
  });
});

test('a plain body for a client that was promised events while it waited is one event', async () => {
  const own = await Stage.open({ concurrency: 1 });
  const first = own.chat();
  const busy = await own.agent.opened();
  const second = await own.chat({ stream: true }, { pinned: false });
  expect(second.status).toBe(200);
  own.agent.frames(json(busy.stream), data(busy.stream, '{}'), end(busy.stream, busy.open.attempt, 2));
  await (await first).text();
  const it = await own.agent.opened();
  const evil = '{"a":1}\rid: 1\revent: hacked\rdata: y\r\rretry: 1\n\ndata: z';
  own.agent.frames(head(it.stream, [['content-type', 'text/plain']]), data(it.stream, evil));
  await own.agent.settled();
  own.agent.frames(end(it.stream, it.open.attempt, evil.length));
  const text = await second.text();
  const lines = text.split(/\r\n|\r|\n/).filter((l) => l !== '' && !l.startsWith(':'));
  expect(lines.map((l) => l.slice(0, 6))).toEqual(lines.map(() => 'data: '));
  expect(lines.length).toBeLessThanOrEqual(2);
  await own.close();
});

test('tokens are what the text bears, whatever the receipt says', async () => {
  const waiting = stage.chat();
  const it = await stage.agent.opened();
  const body = JSON.stringify({ choices: [{ message: { content: 'abc' } }], usage: { prompt_tokens: 9e9, completion_tokens: 9e9 } });
  const lies = { tokensIn: 9e9, tokensOut: 9e9 };
  stage.agent.frames(json(it.stream), data(it.stream, body), end(it.stream, it.open.attempt, body.length, lies));
  const reply = await waiting;
  await reply.text();
  const call = reply.headers.get('x-request-id') ?? '';
  const story = await settled(call);
  const attempts = (story as { attempts: { tokens_in: number; tokens_out: number }[] }).attempts;
  expect(attempts[0]?.tokens_out).toBe(4);
  expect(attempts[0]?.tokens_in).toBeLessThan(200);
});

async function settled(call: string): Promise<unknown> {
  for (let i = 0; i < 200; i++) {
    const reply = await fetch(`${edge.api}/calls/${call}`, { headers: { authorization: `Bearer ${edge.key}` } });
    const story = (await reply.json()) as { attempts?: unknown[] };
    if ((story.attempts?.length ?? 0) > 0) return story;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the call was never settled');
}
