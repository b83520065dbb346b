/**
 * What callers ask of a RunPod worker: `POST /runsync` as RunPod's own, `POST /stream` the same as server-sent events,
 * `GET /health`. A caller that leaves stops its job.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { BODY_BYTES, bodyOf, isObject, parsed, sendJson } from '../http.ts';
import type { JobResult, Jobs } from './jobs.ts';

/** Milliseconds without a byte to a caller that waits: well below what the edge takes for a lost reply. */
const QUIET_MS = 5_000;

const HINTS: Record<string, string> = {
  '/run': 'Jobs that outlive their call are not kept here. Send it to /runsync, or to /stream to see its output as it comes.',
};

export function callerSide(jobs: Jobs, pod: string, health: string): http.Server {
  async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (request.method === 'GET' && (path === health || path === '/health'))
      return sendJson(response, jobs.asked ? 200 : 503, healthOf(jobs));
    if (request.method !== 'POST' || (path !== '/runsync' && path !== '/stream'))
      return sendJson(response, 404, { error: HINTS[path] ?? 'There are POST /runsync, POST /stream and GET /health.' });
    const text = await bodyOf(request);
    if (text === null) return sendJson(response.setHeader('connection', 'close'), 413, { error: `A job is at most ${BODY_BYTES} bytes.` });
    const body = parsed(text);
    if (!isObject(body) || body['input'] === undefined)
      return sendJson(response, 400, { error: 'The body is a JSON object with "input".' });
    const events = path === '/stream' || (request.headers.accept ?? '').includes('text/event-stream');
    run(body['input'], events ? new EventReply(response) : new JsonReply(response), response);
  }

  function run(input: unknown, reply: Reply, response: http.ServerResponse): void {
    const id = `job_${randomUUID()}`;
    const since = Date.now();
    const quiet = setInterval(() => reply.wait(), QUIET_MS);
    response.on('close', () => {
      clearInterval(quiet);
      jobs.cancel(id);
    });
    const added = jobs.add(id, input, {
      output: (chunk) => reply.output(chunk),
      done: (result) => reply.done({ id, ...result, executionTime: Date.now() - since, workerId: pod }),
    });
    if (!added) sendJson(response.setHeader('retry-after', '5'), 429, { error: 'Too many jobs wait for this worker.' });
  }

  return http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
}

type Done = JobResult & { id: string; executionTime: number; workerId: string };

interface Reply {
  output(chunk: unknown): Promise<void> | void;
  done(result: Done): void;
  /** Shows that it goes on. */
  wait(): void;
}

/** One JSON object at the end; spaces before it while it takes long. */
class JsonReply implements Reply {
  readonly #response: http.ServerResponse;
  readonly #chunks: unknown[] = [];
  #bytes = 0;
  constructor(response: http.ServerResponse) {
    this.#response = response;
  }

  output(chunk: unknown): void {
    this.#bytes += JSON.stringify(chunk ?? null).length;
    if (this.#bytes > BODY_BYTES) this.#response.destroy(new Error('too much output'));
    else this.#chunks.push(chunk);
  }

  done(result: Done): void {
    // A generator whose parts were sent one by one returns an empty list at the end.
    const streamed = result.status === 'COMPLETED' && this.#chunks.length > 0 && Array.isArray(result.output) && result.output.length === 0;
    const told = streamed ? { ...result, output: this.#chunks } : result;
    if (!this.#response.headersSent) sendJson(this.#response, 200, told);
    else this.#response.end(JSON.stringify(told));
  }

  wait(): void {
    if (!this.#response.headersSent) this.#response.writeHead(200, { 'content-type': 'application/json' });
    this.#response.write(' ');
  }
}

/** `output` for each part, then `completed` or `failed` with the job. */
class EventReply implements Reply {
  readonly #response: http.ServerResponse;
  constructor(response: http.ServerResponse) {
    this.#response = response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
  }

  /** Holds the worker back while the caller reads slowly. */
  async output(chunk: unknown): Promise<void> {
    if (this.#response.write(event('output', { output: chunk ?? null })) || this.#response.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#response.once('drain', resolve);
      this.#response.once('close', resolve);
    });
  }

  done(result: Done): void {
    this.#response.end(event(result.status === 'COMPLETED' ? 'completed' : 'failed', result));
  }

  wait(): void {
    this.#response.write(': waiting\n\n');
  }
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function healthOf(jobs: Jobs) {
  const running = jobs.running > 0 ? 1 : 0;
  const up = jobs.asked ? 1 : 0;
  return {
    workers: { initializing: 1 - up, idle: up - running, running },
    jobs: { inQueue: jobs.queued, inProgress: jobs.running, ...jobs.counts },
  };
}
