/**
 * The load generator: runs in the bench's own process, apart from the engine and from every target, the same for all of
 * them. Keep-alive connections, one per call in flight; times are microseconds of the monotonic clock.
 */
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { addDigest, chatBody, type Ask } from './ask.ts';
import { micros } from './clock.ts';
import type { Target } from './targets/target.ts';

export interface CallResult {
  /** Microseconds from sending to the last byte, of calls that were answered 200. */
  latencies: number[];
  failed: number;
  /** The first failure, for people. */
  failure: string;
  seconds: number;
  sent: number;
  digest: number;
}

/** Stops after `seconds` or `calls`, whichever comes first; calls in flight are finished. */
export interface CallLoad {
  run: number;
  concurrency: number;
  seconds?: number;
  calls?: number;
}

export class Client {
  readonly #target: Target;
  readonly #pool: Agent;
  constructor(target: Target) {
    this.#target = target;
    this.#pool = new Agent({ keepAlive: true, maxSockets: 2048 });
  }

  /** Closes the kept connections. */
  close(): void {
    this.#pool.destroy();
  }

  post(body: string, path = '/v1/chat/completions'): ClientRequest {
    const out = request(`${this.#target.origin}${path}`, {
      method: 'POST',
      agent: this.#pool,
      headers: {
        ...this.#target.headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      },
    });
    out.end(body);
    return out;
  }

  /** One instant call; resolves to the answer's text, rejects with the status and the start of the answer. */
  call(body: string, path?: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.post(body, path)
        .on('error', reject)
        .on('response', (res: IncomingMessage) => {
          const chunks: Buffer[] = [];
          res.on('error', reject);
          res.on('data', (chunk: Buffer) => chunks.push(chunk));
          res.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            if (res.statusCode === 200) resolve(text);
            else reject(new Error(`${res.statusCode} ${text.slice(0, 200)}`));
          });
        });
    });
  }
}

/** Instant calls over `concurrency` closed loops. */
export async function calls(client: Client, load: CallLoad): Promise<CallResult> {
  const result: CallResult = {
    latencies: [],
    failed: 0,
    failure: '',
    seconds: 0,
    sent: 0,
    digest: 0,
  };
  const begin = micros();
  const end = begin + (load.seconds ?? Number.POSITIVE_INFINITY) * 1e6;
  const most = load.calls ?? Number.POSITIVE_INFINITY;
  const loop = async () => {
    while (result.sent < most && micros() < end) {
      const body = chatBody({ run: load.run, index: result.sent, rate: 0, tokens: 40 });
      result.sent += 1;
      result.digest = addDigest(result.digest, JSON.parse(body) as Record<string, unknown>);
      const at = micros();
      try {
        await client.call(body);
        result.latencies.push(micros() - at);
      } catch (error) {
        result.failed += 1;
        result.failure ||= String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: load.concurrency }, loop));
  result.seconds = (micros() - begin) / 1e6;
  return result;
}

export interface StreamResult {
  tokens: number;
  /** Pieces they came in. */
  chunks: number;
  /** Tokens out of order, repeated or missing, where they were noticed. */
  broken: number;
  /** `done`: the end marker came and every token before it. */
  end: 'done' | 'short' | 'failed' | 'cancelled';
  failure: string;
  sentAt: number;
  /** Microseconds from sending to the first token; NaN if none came. */
  firstMicros: number;
}

export interface OpenStream {
  done: Promise<StreamResult>;
  /** Breaks the connection off; returns when. */
  cancel(): number;
}

const MARK = '"content":"';

/** Opens one stream. `onToken` gets the microseconds from the engine's write to this process. */
export function openStream(client: Client, ask: Ask, onToken: (latency: number, now: number) => void): OpenStream {
  const result: StreamResult = {
    tokens: 0,
    chunks: 0,
    broken: 0,
    end: 'failed',
    failure: '',
    sentAt: micros(),
    firstMicros: Number.NaN,
  };
  const out = client.post(chatBody(ask));
  let rest = '';
  let ended = false;
  let cancelled = false;

  const take = (chunk: Buffer) => {
    const now = micros();
    result.chunks += 1;
    rest += chunk.toString('latin1');
    let at = 0;
    for (;;) {
      const next = rest.indexOf('\n', at);
      if (next < 0) break;
      const mark = rest.indexOf(MARK, at);
      if (mark >= 0 && mark < next) token(mark + MARK.length, now);
      else if (rest.startsWith('data: [DONE]', at)) ended = true;
      at = next + 1;
    }
    rest = rest.slice(at);
  };
  const token = (at: number, now: number) => {
    const space = rest.indexOf(' ', at);
    const sequence = Number(rest.slice(at, space));
    const stamp = Number(rest.slice(space + 1, rest.indexOf('"', space)));
    if (sequence !== result.tokens) result.broken += 1;
    if (result.tokens === 0) result.firstMicros = now - result.sentAt;
    result.tokens += 1;
    onToken(now - stamp, now);
  };

  const done = new Promise<StreamResult>((resolve) => {
    const finish = (end: StreamResult['end'], failure = '') => {
      result.end = cancelled ? 'cancelled' : end;
      result.failure = failure;
      resolve(result);
    };
    out.on('error', (error) => finish('failed', String(error)));
    out.on('response', (res: IncomingMessage) => {
      if (res.statusCode !== 200) {
        res.once('data', (chunk: Buffer) => finish('failed', `${res.statusCode} ${chunk.toString().slice(0, 200)}`));
        res.resume().once('end', () => finish('failed', String(res.statusCode)));
        return;
      }
      res.on('data', take);
      res.on('error', (error) => finish('failed', String(error)));
      res.on('close', () => finish(ended && result.tokens === ask.tokens ? 'done' : 'short', rest.slice(0, 200)));
    });
  });
  const cancel = () => {
    cancelled = true;
    const at = micros();
    out.destroy();
    return at;
  };
  return { done, cancel };
}
