/**
 * What the worker asks of its service: the pull protocol of the `runpod` package, by the addresses it reads from its
 * environment (see `workerEnv`). Every address holds a token, since others on this machine can reach a port of it.
 * After runpod 1.12.0, serverless/modules/{rp_job,rp_http,rp_ping}.py.
 */
import { timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import { BODY_BYTES, bodyOf, parsed, sendJson } from '../http.ts';
import type { Jobs, TakenJob } from './jobs.ts';

/** Milliseconds an empty poll is held; the package gives up after 90 s. */
const POLL_MS = 50_000;
/** Polls held at once; a worker has two. */
const MAX_POLLS = 64;
/** Bytes of bodies held for one worker at a time: it may post to every address at once. */
const HELD_BYTES = 4 * BODY_BYTES;
/** Longer than a poll, so that no connection closes under the worker's next request. */
const KEEP_ALIVE_MS = 120_000;

/** Variables that point a worker at `http://127.0.0.1:port`. */
export function workerEnv(port: number, token: string, pod: string): Record<string, string> {
  const base = `http://127.0.0.1:${port}/${token}`;
  return {
    RUNPOD_POD_ID: pod,
    RUNPOD_AI_API_KEY: token,
    // The package appends `&…` to each.
    RUNPOD_WEBHOOK_GET_JOB: `${base}/job-take/$ID?pod=1`,
    RUNPOD_WEBHOOK_POST_OUTPUT: `${base}/job-done/$ID?pod=1`,
    RUNPOD_WEBHOOK_POST_STREAM: `${base}/job-stream/$ID?pod=1`,
    RUNPOD_WEBHOOK_PING: `${base}/ping`,
    RUNPOD_PING_INTERVAL: '10000',
    // They try the open internet, which an instance has not; memory and disk are the agent's care.
    RUNPOD_SKIP_AUTO_SYSTEM_CHECKS: 'true',
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
  };
}

export function workerSide(jobs: Jobs, token: string, log: (text: string) => void, heldBytes = HELD_BYTES): http.Server {
  let polls = 0;
  let held = 0;

  /** Answers as soon as `look` finds something, or with 204 after `POLL_MS`. */
  function poll(response: http.ServerResponse, look: () => boolean): void {
    if (polls >= MAX_POLLS) return void response.writeHead(429).end();
    let forget = () => {};
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      polls -= 1;
      clearTimeout(timer);
      forget();
    };
    const again = () => {
      if (over) return;
      if (look()) return end();
      if (jobs.closed) {
        end();
        response.writeHead(204).end();
        return;
      }
      forget = jobs.wait(again);
    };
    polls += 1;
    const timer = setTimeout(() => {
      end();
      response.writeHead(204).end();
    }, POLL_MS);
    response.on('close', end);
    again();
  }

  function take(response: http.ServerResponse, most: number, batch: boolean, runsSome: boolean): void {
    poll(response, () => {
      const taken = jobs.take(most, runsSome);
      const first = taken[0];
      if (first === undefined) return false;
      give(response, taken, batch ? taken : first);
      return true;
    });
  }

  /** A worker that went away meanwhile has not got them. */
  function give(response: http.ServerResponse, taken: readonly TakenJob[], body: unknown): void {
    response.on('close', () => {
      if (!response.writableFinished) jobs.giveBack(taken);
    });
    sendJson(response, 200, body);
  }

  async function post(request: http.IncomingMessage, response: http.ServerResponse, use: (body: unknown) => Promise<void> | void) {
    let own = 0;
    const room = (bytes: number) => {
      own += bytes;
      held += bytes;
      return held <= heldBytes;
    };
    try {
      const text = await bodyOf(request, BODY_BYTES, room);
      if (text === null) return void response.writeHead(413, { connection: 'close' }).end();
      await use(parsed(text));
      sendJson(response, 200, { status: 'ok' });
    } finally {
      held -= own;
    }
  }

  async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://worker');
    const [, given = '', what = '', id = ''] = url.pathname.split('/');
    if (!isEqual(given, token)) return void response.writeHead(401).end();
    const asks = `${request.method} ${what}`;
    const ask = url.searchParams;
    switch (asks) {
      case 'GET job-take':
        return take(response, 1, false, ask.get('job_in_progress') !== '0');
      case 'GET job-take-batch':
        return take(response, Math.min(256, Math.max(1, Number(ask.get('batch_size')) || 1)), true, ask.get('job_in_progress') !== '0');
      case 'GET job-stop':
        return poll(response, () => {
          const ids = jobs.takeStops();
          if (ids.length > 0) sendJson(response, 200, { jobsToStop: ids });
          return ids.length > 0;
        });
      case 'GET ping':
        if (ask.get('status') === 'unhealthy')
          log(`the worker is unhealthy: ${ask.get('check') ?? ''}: ${ask.get('reason') ?? ''}`.slice(0, 400));
        jobs.alive((ask.get('job_id') ?? '').split(',').filter((job) => job !== ''));
        return sendJson(response, 200, { status: 'ok' });
      case 'POST job-done':
      case 'POST job-stream':
        return post(request, response, (body) => (what === 'job-done' ? jobs.done(decoded(id), body) : jobs.output(decoded(id), body)));
      default:
        return void response.writeHead(404).end();
    }
  }

  const server = http.createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return '';
  }
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}
