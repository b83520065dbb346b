import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { Outbound } from '../../../miner-agent/net/outbound.ts';
import { Uploads } from '../../../miner-agent/prover/upload.ts';

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

async function edge(answer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void): Promise<Uploads> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => answer(request, response, Buffer.concat(parts)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const outbound = new Outbound();
  closing.push(
    () => server.closeAllConnections(),
    () => server.close(),
    () => outbound.close(),
  );
  return new Uploads(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`, outbound, 1);
}

const { signal } = new AbortController();
const opening = (id = 'chl_1') => ({ id, token: 'tok', bytes: Uint8Array.of(1, 2, 3), withinMs: 5_000 });

test('the bytes go to the challenge with its token', async () => {
  const heard: unknown[] = [];
  const uploads = await edge(({ method, url, headers }, response, body) => {
    heard.push([method, url, headers.authorization, headers['content-length'], headers['content-type'], [...body]]);
    response.writeHead(204).end();
  });
  expect(await uploads.send(opening(), signal)).toBeNull();
  expect(heard).toEqual([['PUT', '/challenges/chl_1', 'Bearer tok', '3', 'application/octet-stream', [1, 2, 3]]]);
});

test.each([
  [[503, 200], null, 2],
  [[429, 500, 204], null, 3],
  [[403], 'the edge answered 403', 1],
  [[503, 404], 'the edge answered 404', 2],
  [[500, 500, 500, 500, 200], 'the edge answered 500', 4],
])('answers %j end as %s after %i tries', async (statuses, end, tries) => {
  let tried = 0;
  const uploads = await edge((_, response) => response.writeHead(statuses[tried++] ?? 500).end());
  expect(await uploads.send(opening(), signal)).toBe(end);
  expect(tried).toBe(tries);
});

test('an edge that is gone is tried again until the time is over, and named without the token', async () => {
  const uploads = new Uploads('http://127.0.0.1:1', new Outbound(), 1);
  expect(await uploads.send({ ...opening(), withinMs: 100 }, signal)).toMatch(/^(ECONNREFUSED|given up)$/);
});

test('four are on their way at once, the others wait', async () => {
  const waiting: ServerResponse[] = [];
  let most = 0;
  const uploads = await edge((_, response) => {
    waiting.push(response);
    most = Math.max(most, waiting.length);
    if (waiting.length === 4) for (const one of waiting.splice(0)) one.writeHead(204).end();
  });
  const all = Array.from({ length: 8 }, (_, k) => uploads.send(opening(`chl_${k}`), signal));
  expect(await Promise.all(all)).toEqual(Array(8).fill(null));
  expect(most).toBe(4);
});

test('one that is given up lets the next one go', async () => {
  const held = Promise.withResolvers<void>();
  let asked = 0;
  const uploads = await edge((_, response) => {
    if (++asked <= 4) return asked === 4 ? held.resolve() : undefined;
    response.writeHead(204).end();
  });
  const ending = new AbortController();
  const stuck = Array.from({ length: 4 }, () => uploads.send(opening(), ending.signal));
  await held.promise;
  const next = uploads.send(opening('chl_next'), signal);
  ending.abort();
  expect(await next).toBeNull();
  expect(await Promise.all(stuck)).toEqual(Array(4).fill('given up'));
});
