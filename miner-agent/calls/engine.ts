/** HTTP to the engines: one request per attempt, streamed both ways, never redirected. */
import http from 'node:http';
import https from 'node:https';
import type { OpenCall } from '#protocol';
import { pathAt, target, type Endpoint } from '../runtimes/endpoint.ts';
import { engineHeaders } from './headers.ts';
import type { EngineFailure } from '../connection/events.ts';

export type EngineEvent =
  | { type: 'head'; attempt: string; status: number; headers: [string, string][] }
  | { type: 'data'; attempt: string; bytes: Uint8Array }
  | { type: 'end'; attempt: string }
  | { type: 'broken'; attempt: string; code: EngineFailure; message: string }
  | { type: 'taken'; attempt: string; bytes: number };

interface Running {
  /** Null until it is known whether a body follows, where the method alone does not say how one is framed. */
  request: http.ClientRequest | null;
  open: OpenCall;
  response: http.IncomingMessage | null;
  paused: boolean;
}

/** Node frames a body of these itself; one of any other method would run into the next request of the connection. */
const FRAMED = new Set(['POST', 'PUT', 'PATCH']);

/** Shorter than the keep-alive of common servers (5 s), so that an idle connection is never used as it closes. */
const IDLE_MS = 3_000;

export class EngineCalls {
  readonly #endpointOf: (instance: string) => Endpoint | null;
  readonly #emit: (event: EngineEvent) => void;
  readonly #running = new Map<string, Running>();
  readonly #plain = new http.Agent({ keepAlive: true, timeout: IDLE_MS, maxFreeSockets: 64 });
  readonly #secure = new https.Agent({ keepAlive: true, timeout: IDLE_MS, maxFreeSockets: 64 });

  constructor(endpointOf: (instance: string) => Endpoint | null, emit: (event: EngineEvent) => void) {
    this.#endpointOf = endpointOf;
    this.#emit = emit;
  }

  call(open: OpenCall): void {
    const running: Running = { request: null, open, response: null, paused: false };
    this.#running.set(open.attempt, running);
    if (FRAMED.has(open.method)) this.#send(running, false);
  }

  write(attempt: string, bytes: Uint8Array): void {
    const taken = () => this.#emit({ type: 'taken', attempt, bytes: bytes.byteLength });
    const running = this.#running.get(attempt);
    const request = running && (running.request ?? this.#send(running, true));
    if (request == null || request.destroyed) taken();
    else request.write(bytes, taken);
  }

  finish(attempt: string): void {
    const running = this.#running.get(attempt);
    if (running !== undefined) (running.request ?? this.#send(running, false))?.end();
  }

  pause(attempt: string): void {
    const running = this.#running.get(attempt);
    if (running === undefined) return;
    running.paused = true;
    running.response?.pause();
  }

  continue(attempt: string): void {
    const running = this.#running.get(attempt);
    if (running === undefined) return;
    running.paused = false;
    running.response?.resume();
  }

  cancel(attempt: string): void {
    const running = this.#running.get(attempt);
    this.#running.delete(attempt);
    running?.request?.destroy();
  }

  close(): void {
    for (const attempt of this.#running.keys()) this.cancel(attempt);
    this.#plain.destroy();
    this.#secure.destroy();
  }

  /** `framed`: a body follows, and the method does not say so. Null when it cannot be asked; that is told. */
  #send(running: Running, framed: boolean): http.ClientRequest | null {
    const { attempt } = running.open;
    const refuse = (code: EngineFailure, message: string) => {
      this.#running.delete(attempt);
      this.#emit({ type: 'broken', attempt, code, message });
      return null;
    };
    const endpoint = this.#endpointOf(running.open.instance);
    if (endpoint === null) return refuse('engine_unreachable', 'the instance has no program');
    let request: http.ClientRequest;
    try {
      request = this.#request(endpoint, running.open, framed);
    } catch {
      return refuse('protocol', 'the request is not one HTTP allows');
    }
    running.request = request;
    request.setNoDelay(true);
    request.on('response', (response) => this.#reply(attempt, running, request, response));
    request.on('error', (error) => this.#broke(attempt, running, error));
    return request;
  }

  #request(endpoint: Endpoint, open: OpenCall, framed: boolean): http.ClientRequest {
    const secure = endpoint.url.protocol === 'https:';
    const headers = engineHeaders(open.headers, endpoint.url.host);
    if (framed && !headers.some((text, at) => at % 2 === 0 && text.toLowerCase() === 'content-length'))
      headers.push('transfer-encoding', 'chunked');
    return (secure ? https : http).request({
      agent: secure ? this.#secure : this.#plain,
      ...target(endpoint),
      method: open.method,
      path: pathAt(endpoint, open.path),
      headers,
    });
  }

  #reply(attempt: string, running: Running, request: http.ClientRequest, response: http.IncomingMessage): void {
    if (this.#running.get(attempt) !== running) return;
    running.response = response;
    response.on('data', (bytes: Buffer) => {
      if (this.#running.get(attempt) === running) this.#emit({ type: 'data', attempt, bytes });
    });
    response.on('end', () => this.#ended(attempt, running, request));
    response.on('error', (error) => this.#broke(attempt, running, error));
    this.#emit({ type: 'head', attempt, status: response.statusCode ?? 0, headers: pairs(response.rawHeaders) });
    if (running.paused) response.pause();
  }

  #ended(attempt: string, running: Running, request: http.ClientRequest): void {
    if (!this.#over(attempt, running)) return;
    // An engine may answer before it has read the request; the connection is of no more use then.
    if (!request.writableFinished) request.destroy();
    this.#emit({ type: 'end', attempt });
  }

  #broke(attempt: string, running: Running, error: Error): void {
    if (!this.#over(attempt, running)) return;
    running.request?.destroy();
    const code = running.response === null && !error.message.startsWith('Parse Error') ? 'engine_unreachable' : 'engine_error';
    const name = 'code' in error ? String(error.code) : error.name;
    this.#emit({ type: 'broken', attempt, code, message: `${running.response === null ? 'no reply' : 'the reply broke'} (${name})` });
  }

  #over(attempt: string, running: Running): boolean {
    if (this.#running.get(attempt) !== running) return false;
    this.#running.delete(attempt);
    return true;
  }
}

function pairs(raw: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) out.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return out;
}
