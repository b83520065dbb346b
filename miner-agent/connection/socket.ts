/** One WebSocket to the edge, from login to close. Tells what happens; decides nothing. */
import { LIMITS, LOGIN_HEADER, PROTOCOL_VERSIONS, VERSION_HEADER } from '#protocol';
import type { IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { LoginRefused, refusedBy } from '../identity/login.ts';
import type { Outbound } from '../net/outbound.ts';

export interface Dial {
  /** The edge's origin. */
  api: string;
  /** The value of `LOGIN_HEADER`, fresh. */
  header: string;
  outbound: Outbound;
  signal: AbortSignal;
}

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
  /** Of the protocol, as the edge chose it. */
  readonly version: number;
  #full = false;
  /** Whether the owner is told; from `start` to `close`. */
  #telling = false;

  private constructor(ws: WebSocket, version: number, handlers: SocketHandlers) {
    this.#ws = ws;
    this.version = version;
    this.#handlers = handlers;
    ws.on('message', (data: Buffer, isBinary: boolean) => this.#received(data, isBinary));
    ws.on('close', (code) => this.#tell(() => handlers.closed(code)));
    ws.on('error', () => ws.terminate());
  }

  /** Dials with a fresh login. Throws `LoginRefused` if the edge says no, any other error if it is not there. */
  static async dial({ api, header, outbound, signal }: Dial, handlers: SocketHandlers): Promise<Socket> {
    const url = new URL(`${api.replace(/^http/, 'ws')}/agents/connect`);
    const tunnel = outbound.tunnelFor(url);
    const ws = new WebSocket(url, {
      headers: { [LOGIN_HEADER]: header },
      maxPayload: LIMITS.messageBytes,
      perMessageDeflate: false,
      followRedirects: false,
      handshakeTimeout: 10_000,
      ...(tunnel === undefined ? {} : { agent: tunnel }),
    });
    const abort = () => ws.terminate();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return new Socket(ws, await upgraded(ws), handlers);
    } finally {
      signal.removeEventListener('abort', abort);
    }
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

/** Resolves in the turn of `open` with the version of the protocol. */
function upgraded(ws: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    let version = '';
    ws.once('upgrade', (response) => {
      version = String(response.headers[VERSION_HEADER] ?? PROTOCOL_VERSIONS[0]);
    });
    ws.once('unexpected-response', (_request, response) => {
      void refusalOf(response).then((refusal) => {
        ws.terminate();
        reject(refusal);
      });
    });
    ws.on('error', reject);
    ws.once('close', () => reject(new Error('the connection closed')));
    ws.once('open', () => {
      const chosen = PROTOCOL_VERSIONS.find((v) => String(v) === version);
      if (chosen !== undefined) return resolve(chosen);
      ws.terminate();
      reject(new LoginRefused(`the edge speaks protocol ${version.slice(0, 16)}; update ripcord-miner`, true));
    });
  });
}

/** Characters of a refusal that are read, and milliseconds it may take. */
const REFUSAL = { chars: 4096, ms: 2_000 } as const;

async function refusalOf(response: IncomingMessage): Promise<LoginRefused> {
  const { statusCode: status = 0, headers } = response;
  const timer = setTimeout(() => response.destroy(), REFUSAL.ms);
  let text = '';
  try {
    for await (const part of response) {
      text += String(part);
      if (text.length > REFUSAL.chars) break;
    }
  } catch {
    // What came of it has to do.
  } finally {
    clearTimeout(timer);
  }
  return refusedBy({ status, headers, text }, 'the connection');
}
