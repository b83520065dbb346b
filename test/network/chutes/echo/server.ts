/** Routes that show what reaches an engine, and that misbehave in every way a test asks for. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { knownBytes, knownEvent } from './known.ts';

const { PORT = '8000', HOST = '127.0.0.1', WORD = '', START_MS = '0' } = process.env;
const CHUNK = 64 * 1024;

/** Calls being answered, and what became of the others. */
const state = { pid: process.pid, port: Number(PORT), word: WORD, active: 0, served: 0, cancelled: 0, most: 0, order: [] as string[] };

/** Ends of calls that wait for them, by tag. */
const held = new Map<string, () => void>();

type Query = (name: string, otherwise: number) => number;
type Route = (request: IncomingMessage, response: ServerResponse, query: Query, left: AbortSignal) => Promise<void>;

const ROUTES: Record<string, Route> = {
  '/health': async (_request, response) => json(response, { ok: true, word: WORD }),
  /** What came. */
  '/echo': async (request, response, query) => {
    const { bytes, sha256 } = await digest(request);
    const { method, url, rawHeaders } = request;
    json(response, { method, url, headers: pairs(rawHeaders), bytes, sha256, word: WORD, pid: process.pid }, query('status', 200));
  },
  /** The body, as it comes. */
  '/mirror': async (request, response, _query, left) => {
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' });
    for await (const chunk of request) await write(response, chunk as Buffer, left);
    response.end();
  },
  /** `n` known bytes, `chunk` at a time with `ms` between, the first after `first` ms; `break`: the connection breaks after so many. */
  '/bytes': async (request, response, query, left) => {
    request.resume();
    const total = query('n', 1000);
    const limit = query('break', total);
    await sleep(query('first', 0), undefined, { signal: left });
    response.writeHead(200, { 'content-type': 'application/octet-stream', etag: '"known"' });
    for (let at = 0; at < limit;) {
      const to = Math.min(limit, at + query('chunk', CHUNK));
      await write(response, knownBytes(at, to), left);
      at = to;
      if (query('ms', 0) > 0) await sleep(query('ms', 0), undefined, { signal: left });
    }
    if (limit < total) response.destroy();
    else response.end();
  },
  /** `n` known events with `ms` between, each after `noise` characters that are for nobody; the first after `first` ms. */
  '/events': async (request, response, query, left) => {
    request.resume();
    await sleep(query('first', 0), undefined, { signal: left });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let k = 0; k < query('n', 10); k++) {
      const noise = query('noise', 0) > 0 ? `: ${'.'.repeat(query('noise', 0))}\n\n` : '';
      await write(response, Buffer.from(noise + knownEvent(k, query('pad', 40))), left);
      if (query('ms', 0) > 0) await sleep(query('ms', 0), undefined, { signal: left });
    }
    await write(response, Buffer.from('data: [DONE]\n\n'), left);
    response.end();
  },
  /** An answer after `ms` or a request of `/release` with the same tag, and not a byte before. */
  '/hold': async (request, response, query, left) => {
    request.resume();
    const released = new Promise<void>((resolve) => held.set(tagOf(request), resolve));
    await Promise.race([sleep(query('ms', 0), undefined, { signal: left }), released]);
    json(response, { word: WORD, pid: process.pid });
  },
  /** Ends the program. */
  '/exit': async () => process.exit(3),
};

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-engine': 'not for clients', 'set-cookie': 'engine=1' });
  response.end(status === 204 || status === 304 ? undefined : JSON.stringify(value));
}

function tagOf(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://engine').searchParams.get('tag') ?? '';
}

async function digest(request: IncomingMessage): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

async function write(response: ServerResponse, bytes: Uint8Array, left: AbortSignal): Promise<void> {
  if (response.write(bytes)) return;
  await new Promise<void>((resolve, reject) => {
    const onLeft = () => reject(new Error('the client left'));
    left.addEventListener('abort', onLeft, { once: true });
    response.once('drain', () => {
      left.removeEventListener('abort', onLeft);
      resolve();
    });
  });
}

function pairs(raw: string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? '']);
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://engine');
  // For the test itself, which asks the program past the network.
  if (url.pathname === '/state') return json(response, state);
  if (url.pathname === '/release') {
    held.get(tagOf(request))?.();
    return json(response, { released: held.delete(tagOf(request)) });
  }
  const route = ROUTES[url.pathname] ?? ROUTES[`/${url.pathname.split('/')[1]}`];
  if (route === undefined) return json(response, { error: `no route ${url.pathname}` }, 404);
  if (url.pathname === '/health') return route(request, response, () => 0, AbortSignal.any([]));
  const left = new AbortController();
  response.on('close', () => left.abort());
  state.active += 1;
  state.most = Math.max(state.most, state.active);
  state.order.push(tagOf(request));
  try {
    await route(request, response, (name, otherwise) => Number(url.searchParams.get(name) ?? otherwise), left.signal);
    state.served += 1;
  } catch {
    state.cancelled += 1;
    response.destroy();
  } finally {
    state.active -= 1;
  }
}

const server = createServer((request, response) => void serve(request, response));
await sleep(Number(START_MS));
server.listen(Number(PORT), HOST, () => console.log(`listening on http://${HOST}:${PORT}`));
process.on('SIGTERM', () => process.exit(0));
