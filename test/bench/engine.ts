/**
 * The stub engine: a process of its own that every target reaches in the end. Answers at once, or with tokens at the
 * rate asked for, and keeps what reached it: number of calls, tokens asked and sent, a digest of the bodies, and when
 * each stream was broken off.
 *
 *   POST /v1/chat/completions   instant JSON, or SSE of about 180 bytes per token
 *   POST /v1/embeddings         `dimensions` floats per input
 *   GET  /health                200
 *   GET  /bench/run?run=N       what reached it in run N (and forgets it)
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { addDigest, MODEL, readAsk } from './ask.ts';
import { micros } from './clock.ts';

/** What reached the engine in one run. Times are microseconds of the monotonic clock. */
export interface RunRecord {
  calls: number;
  digest: number;
  tokensAsked: number;
  tokensSent: number;
  /** Tokens per second asked for, over all streams. */
  rateAsked: number;
  bodyBytes: number;
  /** Index of a call → when its client was seen to be gone. */
  cancelled: Record<number, number>;
  /** The last body, to compare what a path does to it. */
  lastBody: string;
}

interface Stream {
  res: ServerResponse;
  record: RunRecord;
  interval: number;
  next: number;
  sent: number;
  tokens: number;
}

const MAX_RUNS = 10_000;
const runs = new Map<number, RunRecord>();
const streams = new Set<Stream>();
let ticker: NodeJS.Timeout | null = null;

function recordOf(run: number): RunRecord {
  let record = runs.get(run);
  if (record === undefined) {
    if (runs.size >= MAX_RUNS) runs.clear();
    record = {
      calls: 0,
      digest: 0,
      tokensAsked: 0,
      tokensSent: 0,
      rateAsked: 0,
      bodyBytes: 0,
      cancelled: {},
      lastBody: '',
    };
    runs.set(run, record);
  }
  return record;
}

const EVENT_HEAD = `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"model":"${MODEL}","choices":[{"index":0,"delta":{"content":"`;
const EVENT_TAIL = '"}}]}\n\n';

/** `sequence stamp`; the stamp is when the engine wrote it. */
function event(sequence: number): string {
  return `${EVENT_HEAD}${sequence} ${Math.round(micros())}${EVENT_TAIL}`;
}

/** One clock for all streams: every millisecond each stream writes the tokens that are due. */
function tick(): void {
  const now = micros();
  for (const stream of streams) {
    while (stream.next <= now && stream.sent < stream.tokens) {
      stream.res.write(event(stream.sent++), 'latin1');
      stream.record.tokensSent += 1;
      stream.next += stream.interval;
    }
    if (stream.sent >= stream.tokens) finish(stream);
  }
  if (streams.size === 0 && ticker !== null) {
    clearInterval(ticker);
    ticker = null;
  }
}

function finish(stream: Stream): void {
  streams.delete(stream);
  const usage = `"usage":{"prompt_tokens":52,"completion_tokens":${stream.tokens},"total_tokens":${stream.tokens + 52}}`;
  stream.res.end(
    `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"model":"${MODEL}","choices":[],${usage}}\n\ndata: [DONE]\n\n`,
  );
}

function stream(res: ServerResponse, ask: { index: number; rate: number; tokens: number }, record: RunRecord): void {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  const it: Stream = {
    res,
    record,
    interval: 1e6 / ask.rate,
    next: micros(),
    sent: 0,
    tokens: ask.tokens,
  };
  streams.add(it);
  res.on('close', () => {
    if (!streams.delete(it)) return;
    record.cancelled[ask.index] = micros();
  });
  ticker ??= setInterval(tick, 1);
  tick();
}

function json(res: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  res.end(text);
}

function chat(res: ServerResponse, raw: string): void {
  const body = JSON.parse(raw) as Record<string, unknown>;
  const ask = readAsk(body);
  if (ask === null) return json(res, 400, { error: { message: 'not a body of the bench' } });
  const record = recordOf(ask.run);
  record.calls += 1;
  record.digest = addDigest(record.digest, body);
  record.bodyBytes += raw.length;
  record.tokensAsked += ask.tokens;
  record.rateAsked += ask.rate;
  record.lastBody = raw;
  if (ask.rate > 0) return stream(res, ask, record);
  return json(res, 200, {
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_760_000_000,
    model: MODEL,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: 'one two three four five six seven eight nine ten '.repeat(4),
        },
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 52, completion_tokens: 40, total_tokens: 92 },
  });
}

/** The reply is made once per size, so that what is measured is the way back. */
const vectors = new Map<string, string>();

function embeddings(res: ServerResponse, raw: string): void {
  const body = JSON.parse(raw) as { input?: unknown; dimensions?: number };
  const inputs = Math.min(Array.isArray(body.input) ? body.input.length : 1, 256);
  const dimensions = Math.min(body.dimensions ?? 384, 4096);
  const size = `${inputs}x${dimensions}`;
  let text = vectors.get(size);
  if (text === undefined) {
    const embedding = Array.from({ length: dimensions }, (_, i) => Math.sin(i + 1));
    const data = Array.from({ length: inputs }, (_, index) => ({ object: 'embedding', index, embedding }));
    text = JSON.stringify({
      object: 'list',
      data,
      model: MODEL,
      usage: { prompt_tokens: inputs, total_tokens: inputs },
    });
    if (vectors.size < 16) vectors.set(size, text);
  }
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
  res.end(text);
}

function report(res: ServerResponse, url: URL): void {
  const run = Number(url.searchParams.get('run'));
  json(res, 200, recordOf(run));
  runs.delete(run);
}

function route(req: IncomingMessage, res: ServerResponse): void {
  const url = new URL(req.url ?? '/', 'http://engine');
  if (req.method === 'GET') {
    if (url.pathname === '/bench/run') return report(res, url);
    return json(res, url.pathname === '/health' ? 200 : 404, { status: 'ok' });
  }
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const raw = Buffer.concat(chunks).toString();
    if (url.pathname.endsWith('/embeddings')) return embeddings(res, raw);
    return chat(res, raw);
  });
}

const server = createServer({ keepAliveTimeout: 120_000 }, route);
server.listen(0, '127.0.0.1', 1024, () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`);
});
process.stdin.resume().on('close', () => process.exit(0));
