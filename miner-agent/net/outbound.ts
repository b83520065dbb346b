/** The one way out: every HTTP request of the agent and of `ripcord-miner`, and the agent for its WebSocket, directly or through a proxy. */
import http from 'node:http';
import https from 'node:https';
import { createGunzip } from 'node:zlib';
import { NO_PROXIES, proxyFor, type HttpProxy, type ProxySettings } from './proxy.ts';
import { KEPT_MS, Tunnel } from './tunnel.ts';

export interface Ask {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  headers?: Record<string, string>;
  body?: string | Uint8Array | null;
  /** Milliseconds from the first step to the last byte of the answer. */
  timeoutMs: number;
  /** Of the answer's body, unpacked. */
  maxBytes: number;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  /** 200 to 299. */
  ok: boolean;
  headers: http.IncomingHttpHeaders;
  text: string;
}

/** No answer worth the name: `timeout`, `too_much` or `aborted`. Errors of the system come as they are, of a proxy as `ProxyError`. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  readonly code: 'timeout' | 'too_much' | 'aborted';
  constructor(code: NoAnswer['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export class Outbound {
  readonly #settings: ProxySettings;
  readonly #plain = new http.Agent({ keepAlive: true, timeout: KEPT_MS, maxFreeSockets: 4 });
  readonly #secure = new https.Agent({ keepAlive: true, timeout: KEPT_MS, maxFreeSockets: 4 });
  readonly #tunnels = new Map<HttpProxy, Tunnel>();

  constructor(settings: ProxySettings = NO_PROXIES) {
    this.#settings = settings;
  }

  proxyFor(url: URL): HttpProxy | null {
    return proxyFor(url, this.#settings);
  }

  /** For a WebSocket; undefined: it dials directly. */
  tunnelFor(url: URL): http.Agent | undefined {
    const proxy = this.proxyFor(url);
    if (proxy === null) return undefined;
    const tunnel = this.#tunnels.get(proxy) ?? new Tunnel(proxy);
    this.#tunnels.set(proxy, tunnel);
    return tunnel;
  }

  /** A redirect is an answer and not followed. Throws `NoAnswer`, `ProxyError` or the system's error. */
  async ask(url: URL, ask: Ask): Promise<Answer> {
    try {
      return await this.#once(url, ask);
    } catch (error) {
      // A kept connection that the other side closed as it was used: nothing was read of the request.
      if (error instanceof Stale && (ask.method ?? 'GET') === 'GET') return this.#once(url, ask);
      throw error instanceof Stale ? error.cause : error;
    }
  }

  #once(url: URL, ask: Ask): Promise<Answer> {
    const secure = url.protocol === 'https:';
    const agent = this.tunnelFor(url) ?? (secure ? this.#secure : this.#plain);
    const { method = 'GET', headers = {}, body = null } = ask;
    return new Promise((resolve, reject) => {
      const request = (secure ? https : http).request(url, { method, headers: { 'accept-encoding': 'gzip', ...headers }, agent });
      const timer = setTimeout(() => stop(new NoAnswer('timeout', `no answer within ${ask.timeoutMs / 1000} s`)), ask.timeoutMs);
      const aborted = () => stop(new NoAnswer('aborted', 'given up'));
      const done = () => {
        clearTimeout(timer);
        ask.signal?.removeEventListener('abort', aborted);
      };
      const stop = (error: Error) => {
        done();
        reject(error);
        request.destroy();
      };
      ask.signal?.addEventListener('abort', aborted, { once: true });
      if (ask.signal?.aborted === true) aborted();
      request.on('error', (error) => {
        const stale = request.reusedSocket && 'code' in error && error.code === 'ECONNRESET';
        stop(stale ? new Stale(error) : error);
      });
      request.on('response', (response) => {
        const parts: Buffer[] = [];
        let bytes = 0;
        const body = response.headers['content-encoding'] === 'gzip' ? response.pipe(createGunzip()) : response;
        body.on('data', (part: Buffer) => {
          bytes += part.byteLength;
          if (bytes > ask.maxBytes) return stop(new NoAnswer('too_much', `an answer of more than ${ask.maxBytes} bytes`));
          parts.push(part);
        });
        response.on('error', stop);
        body.on('error', stop);
        body.on('end', () => {
          done();
          const status = response.statusCode ?? 0;
          resolve({ status, ok: status >= 200 && status < 300, headers: response.headers, text: Buffer.concat(parts).toString('utf8') });
        });
      });
      request.end(body ?? undefined);
    });
  }

  /** Ends kept connections. */
  close(): void {
    for (const agent of [this.#plain, this.#secure, ...this.#tunnels.values()]) agent.destroy();
  }
}

class Stale extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** A failed request in a few words, safe to show: a code or the first line of the message. */
export function failureOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return 'unknown';
  if (cause.name === 'ProxyError' || cause.name === 'NoAnswer') return cause.message;
  return 'code' in cause ? String(cause.code) : (cause.message.split('\n')[0] ?? '').slice(0, 120);
}
