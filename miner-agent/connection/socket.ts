/** One WebSocket to the edge, from login to close. Tells what happens; decides nothing. */
import { LIMITS, LOGIN_HEADER, PROTOCOL_VERSIONS, VERSION_HEADER } from '#protocol';
import WebSocket from 'ws';
import { LoginRefused } from '../identity/login.ts';

export interface SocketHandlers {
  closed(code: number): void;
  text(text: string): void;
  message(bytes: Uint8Array): void;
  writable(yes: boolean): void;
}

/** Bytes the socket may hold unsent; above the mark, DATA waits where it is bounded per stream. */
const HIGH_BYTES = 8 * LIMITS.messageBytes;
const LOW_BYTES = 2 * LIMITS.messageBytes;

export class Socket {
  readonly #ws: WebSocket;
  readonly #handlers: SocketHandlers;
  #full = false;
  /** Whether the owner is told; from `start` to `close`. */
  #telling = false;

  private constructor(ws: WebSocket, handlers: SocketHandlers) {
    this.#ws = ws;
    this.#handlers = handlers;
    ws.on('message', (data: Buffer, isBinary: boolean) => this.#received(data, isBinary));
    ws.on('close', (code) => this.#tell(() => handlers.closed(code)));
    ws.on('error', () => ws.terminate());
  }

  /** Dials with a fresh login. Throws `LoginRefused` if the edge says no, any other error if it is not there. */
  static async dial(api: string, loginHeader: string, handlers: SocketHandlers, signal: AbortSignal): Promise<Socket> {
    const url = `${api.replace(/^http/, 'ws')}/agents/connect`;
    const ws = new WebSocket(url, {
      headers: { [LOGIN_HEADER]: loginHeader },
      maxPayload: LIMITS.messageBytes,
      perMessageDeflate: false,
      followRedirects: false,
      handshakeTimeout: 10_000,
    });
    const socket = new Socket(ws, handlers);
    const abort = () => ws.terminate();
    signal.addEventListener('abort', abort, { once: true });
    try {
      await upgraded(ws);
    } finally {
      signal.removeEventListener('abort', abort);
    }
    return socket;
  }

  /** From now on the owner is told; false if the socket is gone already. */
  start(): boolean {
    this.#telling = this.#ws.readyState === WebSocket.OPEN;
    return this.#telling;
  }

  send(message: string | Uint8Array): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    this.#ws.send(message, () => this.#sent());
    if (this.#full || this.#ws.bufferedAmount < HIGH_BYTES) return;
    this.#full = true;
    this.#tell(() => this.#handlers.writable(false));
  }

  /** Closes, and says nothing more. A peer that does not answer the close is cut. */
  close(code: number, reason: string): void {
    this.#telling = false;
    this.#ws.close(code, reason.slice(0, 120));
    setTimeout(() => this.#ws.terminate(), 2_000).unref();
  }

  #sent(): void {
    if (!this.#full || this.#ws.bufferedAmount > LOW_BYTES) return;
    this.#full = false;
    this.#tell(() => this.#handlers.writable(true));
  }

  #received(data: Buffer, isBinary: boolean): void {
    this.#tell(() => (isBinary ? this.#handlers.message(data) : this.#handlers.text(data.toString('utf8'))));
  }

  #tell(what: () => void): void {
    if (this.#telling) what();
  }
}

/** Resolves in the turn of `open`, with the protocol version checked. */
function upgraded(ws: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    let version = '';
    ws.once('upgrade', (response) => {
      version = String(response.headers[VERSION_HEADER] ?? PROTOCOL_VERSIONS[0]);
    });
    ws.once('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0;
      const retryAfter = Number(response.headers['retry-after'] ?? Number.NaN);
      response.resume();
      ws.terminate();
      reject(
        new LoginRefused(
          `the edge refused the connection: status ${status}`,
          status === 426,
          Number.isFinite(retryAfter) ? retryAfter * 1000 : null,
        ),
      );
    });
    ws.once('error', reject);
    ws.once('close', () => reject(new Error('the connection closed')));
    ws.once('open', () => {
      if (PROTOCOL_VERSIONS.some((v) => String(v) === version)) return resolve();
      ws.terminate();
      reject(new LoginRefused(`the edge speaks protocol ${version.slice(0, 16)}; update ripcord-miner`, true));
    });
  });
}
