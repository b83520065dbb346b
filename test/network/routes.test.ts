/** Any route of any chute: by id, by name, by host; any method and body; streamed both ways; nothing more than that goes through. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deployEcho, type Echo } from '../harness/echo.ts';
import { rawRequest, sha256 } from '../harness/http.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { closedStory } from '../harness/story.ts';
import { knownBytes, knownEvents } from './chutes/echo/known.ts';

const MB = 1_000_000;

interface Seen {
  method: string;
  url: string;
  headers: [string, string][];
  bytes: number;
  sha256: string;
}

let network: TestNetwork;
let echo: Echo;
let ways: Record<'id' | 'name' | 'host', { url: string; headers: Record<string, string> }>;

beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  echo = await deployEcho(network);
  const authorization = `Bearer ${network.key}`;
  ways = {
    id: { url: `${network.api}/call/${echo.id}`, headers: { authorization } },
    name: { url: `${network.api}/call/${echo.name}`, headers: { authorization } },
    host: { url: network.api, headers: { authorization, host: `${echo.slug}.localhost:${new URL(network.api).port}` } },
  };
});
afterAll(() => network?.close());

async function ask(way: keyof typeof ways, path: string, init: { method?: string; body?: Uint8Array | string; headers?: object } = {}) {
  const { url, headers } = ways[way];
  const reply = await rawRequest(url + path, { ...init, headers: { ...headers, ...init.headers } }).reply;
  expect(await reply.over).toBe('end');
  return reply;
}

const seenIn = (reply: { body(): Buffer }) => JSON.parse(reply.body().toString()) as Seen;

describe.each(['id', 'name', 'host'] as const)('by %s', (way) => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('%s with its query, body and content type', async (method) => {
    const body = method === 'GET' ? undefined : randomBytes(5000);
    const reply = await ask(way, '/echo/deep/path%20x?a=1&b=%C3%A4&tag', {
      method,
      headers: { 'content-type': 'application/x-thing', 'x-own': 'yes' },
      ...(body ? { body } : {}),
    });
    expect(reply.status).toBe(200);
    const seen = seenIn(reply);
    expect(seen).toMatchObject({
      method,
      url: '/echo/deep/path%20x?a=1&b=%C3%A4&tag',
      bytes: body?.length ?? 0,
      sha256: sha256(body ?? ''),
    });
    expect(Object.fromEntries(seen.headers)).toMatchObject({ 'content-type': 'application/x-thing', 'x-own': 'yes' });
  });

  test('HEAD has the head alone', async () => {
    const reply = await ask(way, '/bytes?n=1234', { method: 'HEAD' });
    expect(reply).toMatchObject({ status: 200, headers: { 'content-type': 'application/octet-stream', etag: '"known"' } });
    expect(reply.body()).toHaveLength(0);
  });

  test('the root, and a route that the program does not have', async () => {
    const reply = await ask(way, '/nothing');
    expect(reply.status).toBe(404);
    expect(JSON.parse(reply.body().toString())).toEqual({ error: 'no route /nothing' });
    expect((await ask(way, '/')).body().toString()).toContain('no route /');
  });
});

test.each([200, 201, 204, 304, 400, 418, 500, 503])('status %i of the engine', async (status) => {
  const reply = await ask('name', `/echo?status=${status}`);
  expect(reply.status).toBe(status);
  expect(reply.headers['x-ripcord-error']).toBeUndefined();
});

test("an OPTIONS request of a browser is the program's to answer", async () => {
  expect(seenIn(await ask('name', '/echo', { method: 'OPTIONS' }))).toMatchObject({ method: 'OPTIONS' });
});

describe('bodies', () => {
  test.each([0, 1, 63 * 1024, 64 * 1024 + 1, 300 * 1024, 1_048_577, 9 * MB])('%i bytes there and back, byte for byte', async (size) => {
    const body = randomBytes(size);
    const reply = await ask('id', '/mirror', { method: 'POST', body, headers: { 'content-type': 'image/png' } });
    expect(reply.headers['content-type']).toBe('image/png');
    expect(reply.body()).toHaveLength(size);
    expect(sha256(reply.body())).toBe(sha256(body));
  });

  test('every byte value', async () => {
    const body = Uint8Array.from({ length: 1024 }, (_, i) => i & 255);
    expect((await ask('host', '/mirror', { method: 'PUT', body })).body()).toEqual(Buffer.from(body));
  });

  test('20 MB streamed up without a length', async () => {
    const hash = createHash('sha256');
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = knownBytes(sent, Math.min(sent + 100_000, 20 * MB));
        hash.update(part);
        sent += part.length;
        controller.enqueue(part);
        if (sent >= 20 * MB) controller.close();
      },
    });
    const started = performance.now();
    const reply = await fetch(`${ways.name.url}/echo`, { method: 'POST', headers: ways.name.headers, body, duplex: 'half' } as RequestInit);
    const seen = (await reply.json()) as Seen;
    console.log(`  20 MB up in ${Math.round(performance.now() - started)} ms`);
    expect(seen).toMatchObject({ bytes: 20 * MB, sha256: hash.digest('hex') });
  });

  test('20 MB streamed down, to a client that reads slowly at first', async () => {
    const started = performance.now();
    const reply = await rawRequest(`${ways.name.url}/bytes?n=${20 * MB}`, { headers: ways.name.headers }).reply;
    await reply.until(1);
    reply.pause();
    const [engine] = await echo.engines();
    expect(engine?.active).toBe(1);
    reply.resume();
    expect(await reply.over).toBe('end');
    console.log(`  20 MB down in ${Math.round(performance.now() - started)} ms`);
    expect(reply.body()).toHaveLength(20 * MB);
    expect(sha256(reply.body())).toBe(sha256(knownBytes(0, 20 * MB)));
    const story = await closedStory(network, reply.headers['x-request-id'] ?? '');
    expect(story.attempts).toMatchObject([{ outcome: 'completed', bytes: 20 * MB }]);
  });

  test('both ways at once: what went up comes down before the upload has ended', async () => {
    let push: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (push = controller) });
    push?.enqueue(knownBytes(0, 1000));
    const reply = await fetch(`${ways.name.url}/mirror`, {
      method: 'POST',
      headers: ways.name.headers,
      body,
      duplex: 'half',
    } as RequestInit);
    const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
    let got = 0;
    while (got < 1000) got += (await reader.read()).value?.length ?? Infinity;
    expect(got).toBe(1000);
    push?.enqueue(knownBytes(1000, 3000));
    push?.close();
    for (let part = await reader.read(); !part.done; part = await reader.read()) got += part.value.length;
    expect(got).toBe(3000);
  });

  test('server-sent events of any program', async () => {
    const reply = await ask('name', '/events?n=20&ms=2');
    expect(reply.headers['content-type']).toMatch(/^text\/event-stream/);
    expect(reply.body().toString()).toBe(knownEvents(20));
  });

  test('events among much that is for nobody', async () => {
    const reply = await ask('name', '/events?n=60&noise=60000');
    expect(reply.body().toString()).toBe(knownEvents(60));
  });

  test('events nearly as large as may be', async () => {
    const reply = await ask('name', '/events?n=12&pad=250000');
    expect(sha256(reply.body())).toBe(sha256(knownEvents(12, 250_000)));
  });

  test('above the limit: 413, and the reason arrives', async () => {
    const body = new Uint8Array(101 * 1024 * 1024);
    const reply = await fetch(`${ways.name.url}/echo`, { method: 'POST', headers: ways.name.headers, body });
    expect(reply.status).toBe(413);
    expect(await reply.json()).toMatchObject({ code: 'body_too_large' });
  });

  test('a body refused for its key: the reason arrives', async () => {
    const reply = await fetch(`${ways.name.url}/echo`, {
      method: 'POST',
      headers: { authorization: 'Bearer nonsense' },
      body: new Uint8Array(20 * MB),
    });
    expect(reply.status).toBe(401);
  });
});

describe('what does not go through', () => {
  test('routes that a chute with declared cords does not declare', async () => {
    const strict = await deployEcho(network, { name: 'strict', cords: [{ method: 'POST', path: '/echo' }] });
    expect((await network.request(strict.at('/echo?tag=yes'), { body: 'x' })).status).toBe(200);
    expect((await network.request(strict.at('/echo?tag=no'))).status).toBe(404);
    expect((await network.request(strict.at('/hold?tag=no'), { body: 'x' })).status).toBe(404);
    const order = (await strict.engines()).flatMap((engine) => engine.order);
    expect([order.includes('yes'), order.includes('no')]).toEqual([true, false]);
  });

  test.each(['GET', 'DELETE', 'OPTIONS'])('a body of %s is a body to the engine, never a second request', async (method) => {
    const body = 'GET /events?tag=smuggled HTTP/1.1\r\nhost: x\r\n\r\n';
    expect(seenIn(await ask('name', '/echo', { method, body }))).toMatchObject({ method, bytes: body.length, sha256: sha256(body) });
    expect(seenIn(await ask('name', '/echo?next'))).toMatchObject({ url: '/echo?next', bytes: 0 });
    expect((await echo.engines()).flatMap((engine) => engine.order)).not.toContain('smuggled');
  });

  test("the caller's key, cookies and addresses do not reach the engine", async () => {
    const reply = await ask('name', '/echo', {
      headers: {
        cookie: 'session=1',
        'proxy-authorization': 'Basic x',
        'x-forwarded-for': '10.1.1.1',
        'x-real-ip': '10.1.1.1',
        'x-api-key': 'secret',
        'x-auth-token': 'secret',
        referer: 'http://a.example/secret',
        origin: 'http://a.example',
        forwarded: 'for=10.1.1.1',
        te: 'trailers',
      },
    });
    const names = seenIn(reply).headers.map(([name]) => name.toLowerCase());
    expect(names.filter((name) => /auth|cookie|forward|real|api|ripcord|referer|origin|^cf-|^te$/.test(name))).toEqual([]);
    expect(JSON.stringify(seenIn(reply))).not.toContain(network.key);
  });

  test('an engine cannot set cookies or headers of its own on the service', async () => {
    const { headers } = await ask('name', '/echo');
    expect(headers['set-cookie']).toBeUndefined();
    expect(headers['x-engine']).toBeUndefined();
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'content-security-policy': 'sandbox' });
  });

  test('a private chute is not there for others, nor without a key', async () => {
    for (const { url, headers } of Object.values(ways)) {
      const { authorization: _, ...without } = headers as Record<string, string>;
      const reply = await rawRequest(`${url}/echo`, { headers: without }).reply;
      await reply.over;
      expect(reply.status).toBe(401);
      expect(JSON.parse(reply.body().toString())).toMatchObject({ code: 'invalid_api_key', request_id: reply.headers['x-request-id'] });
    }
  });

  test('chutes and hosts that are not there: 404 as a problem document', async () => {
    for (const [url, host] of [
      [`${network.api}/call/demo/nothing/echo`, undefined],
      [`${network.api}/call/cht_00000000000000000000000000/echo`, undefined],
      [`${network.api}/echo`, 'demo-nothing.localhost'],
      [`${network.api}/echo`, 'nothing.localhost'],
    ] as const) {
      const reply = await rawRequest(url, { headers: { ...ways.id.headers, ...(host ? { host } : {}) } }).reply;
      await reply.over;
      expect(reply.status).toBe(404);
      expect(reply.headers['content-type']).toBe('application/problem+json');
      expect(JSON.parse(reply.body().toString())).toMatchObject({ code: 'chute_not_found', status: 404 });
    }
  });
});

describe('a reply that breaks', () => {
  test('before its first byte, with nobody else to ask: 502', async () => {
    const reply = await ask('name', '/bytes?n=1000&break=0');
    expect(reply.status).toBe(502);
    expect(JSON.parse(reply.body().toString())).toMatchObject({ code: 'engine_unreachable' });
  });

  test('in the middle: the connection is cut, and the story says why', async () => {
    const reply = await rawRequest(`${ways.name.url}/bytes?n=${MB}&break=300000`, { headers: ways.name.headers }).reply;
    expect(reply.status).toBe(200);
    expect(await reply.over).toBe('cut');
    expect(sha256(reply.body())).toBe(sha256(knownBytes(0, reply.body().length)));
    const story = await closedStory(network, reply.headers['x-request-id'] ?? '');
    expect(story).toMatchObject({ state: 'failed', code: 'engine_error' });
    expect(story.attempts).toHaveLength(1);
  });
});
