/** A tunnel through an HTTP proxy by CONNECT, as an agent of `node:http`. What the proxy says is never taken for the edge's word. */
import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { HttpsProxyAgent } from 'https-proxy-agent';
import type { HttpProxy } from './proxy.ts';

/** The proxy is not there, or made no tunnel. The message has the cause and what to do, and no credentials. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  /** What the proxy answered to CONNECT; 0: nothing. */
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** Milliseconds a proxy has to make a tunnel. */
const CONNECT_MS = 10_000;
/** Shorter than what servers keep an idle connection for, so that one is not used as it closes. */
export const KEPT_MS = 3_000;

export class Tunnel extends HttpsProxyAgent<string> {
  readonly #shown: string;
  readonly #connectMs: number;

  constructor(proxy: HttpProxy, connectMs = CONNECT_MS) {
    super(proxy.secret(), { keepAlive: true, maxFreeSockets: 4, timeout: KEPT_MS });
    this.#shown = proxy.toString();
    this.#connectMs = connectMs;
  }

  override async connect(request: ClientRequest, options: Parameters<HttpsProxyAgent<string>['connect']>[1]): Promise<Socket> {
    const aborter = new AbortController();
    const timer = setTimeout(() => aborter.abort(), this.#connectMs);
    let status = 0;
    request.once('proxyConnect', (reply: { statusCode: number }) => (status = reply.statusCode));
    // Read at once by the call below: each tunnel has a signal of its own.
    this.connectOpts = { ...this.connectOpts, signal: aborter.signal };
    try {
      const socket = await super.connect(request, options);
      if (status === 200) return socket;
      socket.destroy();
      throw new ProxyError(refusal(this.#shown, status), status);
    } catch (error) {
      aborter.abort();
      throw error instanceof ProxyError ? error : new ProxyError(absence(this.#shown, error, this.#connectMs), 0);
    } finally {
      clearTimeout(timer);
    }
  }
}

function refusal(proxy: string, status: number): string {
  if (status === 407)
    return `the proxy ${proxy} wants another user name and password (407): write it as proxy = "http://USER:PASSWORD@HOST:PORT" into the config file, or into HTTPS_PROXY`;
  if (status === 403 || status === 405)
    return `the proxy ${proxy} makes no tunnels to the edge (${status}): have CONNECT to it allowed, or go around with NO_PROXY`;
  return `the proxy ${proxy} made no tunnel (${status}): it may not reach the edge`;
}

function absence(proxy: string, error: unknown, withinMs: number): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ABORT_ERR') return `the proxy ${proxy} did not answer within ${withinMs / 1000} s`;
  return `the proxy ${proxy} does not answer (${code === '' ? 'it closed the connection' : code}): is its address right?`;
}
