/** A real HTTP server that answers as the API does, with what a test put into it; and a process for a command to run in. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verify } from '@scure/sr25519';
import { run } from '../../../cli/program.ts';
import { decodeAddress } from '../../../miner-agent/identity/ss58.ts';
import { requestText, SIGNED_HEADERS } from '#protocol';

export interface Seen {
  method: string;
  target: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface Reply {
  status?: number;
  json?: unknown;
  body?: string | Buffer;
  headers?: Record<string, string>;
  /** Writes the rest of the reply itself. */
  stream?: (response: ServerResponse) => void | Promise<void>;
}

type Route = Reply | ((request: Seen) => Reply);

export const SECRET = 'rk_test_secret';

export class StandIn {
  origin = '';
  readonly seen: Seen[] = [];
  /** `METHOD /path` → what is answered; the query counts if the route has one. */
  readonly routes = new Map<string, Route>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  async listen(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    this.origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
  on(route: string, reply: Route): void {
    this.routes.set(route, reply);
  }
  asked(route: string): Seen[] {
    return this.seen.filter((s) => `${s.method} ${s.target}` === route);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const seen: Seen = { method: request.method ?? '', target: request.url ?? '', headers: request.headers, body: Buffer.concat(parts) };
    this.seen.push(seen);
    const reply = this.#authorized(seen) ? this.#find(seen) : problem(401, 'invalid_api_key');
    const body = reply.json === undefined ? reply.body : JSON.stringify(reply.json);
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers });
    if (reply.stream === undefined) response.end(body);
    else await reply.stream(response);
  }

  #find(seen: Seen): Reply {
    const route = this.routes.get(`${seen.method} ${seen.target}`) ?? this.routes.get(`${seen.method} ${seen.target.split('?')[0]}`);
    return typeof route === 'function' ? route(seen) : (route ?? problem(404, 'not_found'));
  }

  /** The key, or a true signature of this very request. */
  #authorized(seen: Seen): boolean {
    const [hotkey, timestamp, nonce, signature] = [
      SIGNED_HEADERS.hotkey,
      SIGNED_HEADERS.timestamp,
      SIGNED_HEADERS.nonce,
      SIGNED_HEADERS.signature,
    ].map((name) => String(seen.headers[name] ?? ''));
    if (!hotkey) return seen.headers.authorization === `Bearer ${SECRET}`;
    const bodySha256 = createHash('sha256').update(seen.body).digest('hex');
    const text = requestText({
      origin: this.origin,
      method: seen.method,
      target: seen.target,
      bodySha256,
      timestampMs: Number(timestamp),
      nonce: nonce ?? '',
    });
    const address = decodeAddress(hotkey);
    return address !== null && verify(new TextEncoder().encode(text), Buffer.from(signature ?? '', 'hex'), address);
  }
}

export function problem(status: number, code: string, more: Record<string, unknown> = {}): Reply {
  return {
    status,
    json: { type: `urn:ripcord:error:${code}`, title: code, status, code, detail: `It is ${code}.`, ...more },
    headers: { 'content-type': 'application/problem+json' },
  };
}

/** Output that keeps what was written. */
export class Kept {
  readonly chunks: Buffer[] = [];
  readonly isTTY: boolean;
  /** Called after each write. */
  onWrite: () => void = () => undefined;
  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }
  write(chunk: string | Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk as Uint8Array));
    this.onWrite();
    return true;
  }
  once(): this {
    return this;
  }
  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
  get text(): string {
    return this.bytes.toString('utf8');
  }
}

export interface Ran {
  code: number;
  out: string;
  bytes: Buffer;
  err: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
  tty?: boolean;
  input?: Buffer;
  stop?: AbortController;
  out?: Kept;
}

/** Runs one command line in this process. */
export async function ripcord(argv: string[], options: RunOptions = {}): Promise<Ran> {
  const out = options.out ?? new Kept(options.tty);
  const err = new Kept(options.tty);
  const signal = (options.stop ?? new AbortController()).signal;
  const input = options.input ?? Buffer.alloc(0);
  const code = await run(argv, {
    env: options.env ?? {},
    cwd: options.cwd ?? '/',
    out,
    err,
    in: (async function* () {
      yield input;
    })(),
    signal,
  });
  return { code, out: out.text, bytes: out.bytes, err: err.text };
}
