/** An edge of a few lines over real sockets: challenge, upgrade, market; the test scripts the rest. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { verify } from '@scure/sr25519';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import {
  FLAG_TRIM,
  FRAME,
  LOGIN_HEADER,
  VERSION_HEADER,
  decodeFrames,
  encodeFrames,
  encodeJson,
  encodeU64,
  frame,
  loginSchema,
  loginText,
  receiptSchema,
} from '../../../functions/protocol/index.ts';
import type { Frame, InstanceReport, Login, Up } from '../../../functions/protocol/index.ts';
import { decodeAddress } from '../../../miner-agent/identity/ss58.ts';

/** Polls until the condition gives something. */
export async function until<T>(what: string, condition: () => T | undefined | null | false, limitMs = 10_000): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const value = condition();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export class SocketEdge {
  origin = '';
  /** What the challenge reply claims to be; empty: the truth. */
  claimedOrigin = '';
  /** Status of the challenge, for refusals. */
  challengeStatus = 200;
  items: unknown[] = [];
  /** What it says it speaks. */
  versions: readonly number[] = [2, 1];
  /** Status of every upgrade; 0: it is let in. */
  refusesUpgrade = 0;
  /** How often the market was asked for. */
  looks = 0;
  logins: Login[] = [];
  sockets: WebSocket[] = [];
  closes: number[] = [];
  up: Up[] = [];
  frames: Frame[] = [];
  /** Answers `hello` with welcome by itself. */
  welcomes = true;
  /** Acknowledges a reply that is whole, so that the agent may forget it. */
  acknowledges = true;
  #version = 1;
  /** Openings of challenges, with the header that came along. */
  openings: { url: string; token: string; bytes: Buffer }[] = [];
  readonly #server = createServer((request, response) => {
    if (request.method === 'PUT') {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const { url = '', headers } = request;
        this.openings.push({ url, token: headers.authorization ?? '', bytes: Buffer.concat(parts) });
        response.writeHead(204).end();
      });
      return;
    }
    request.resume();
    response.setHeader('content-type', 'application/json');
    if (request.url === '/agents/challenge') {
      response.statusCode = this.challengeStatus;
      response.end(
        JSON.stringify({
          agent: 'agt_1',
          challenge: 'chal',
          origin: this.claimedOrigin === '' ? this.origin : this.claimedOrigin,
          now: Date.now(),
          versions: this.versions,
          detail: 'no \u001b[2Jsuch hotkey',
        }),
      );
    } else if (request.url?.startsWith('/market')) {
      this.looks++;
      response.end(JSON.stringify({ items: this.items, version: this.#version++, at: 0 }));
    } else response.writeHead(404).end();
  });
  readonly #sockets = new WebSocketServer({ noServer: true });

  async start(): Promise<this> {
    this.#server.on('upgrade', (request, socket, head) => {
      const refusal = this.refusesUpgrade !== 0 ? this.refusesUpgrade : request.headers[LOGIN_HEADER] === undefined ? 400 : 0;
      if (refusal === 0) return this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#sockets.emit('connection', ws, request));
      const body = JSON.stringify({ code: 'x', detail: `The header ${LOGIN_HEADER} is not to its taste. Update ripcord-miner.` });
      socket.end(`HTTP/1.1 ${refusal} No\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
    });
    this.#sockets.on('headers', (headers) => headers.push(`${VERSION_HEADER}: 1`));
    this.#sockets.on('connection', (socket, request) => {
      const login = loginSchema.parse(JSON.parse(Buffer.from(String(request.headers[LOGIN_HEADER]), 'base64url').toString()));
      const key = decodeAddress(login.hotkey) ?? new Uint8Array();
      if (!verify(Buffer.from(loginText(login)), Uint8Array.from(Buffer.from(login.signature, 'hex')), key)) return socket.close(4002);
      this.logins.push(login);
      this.sockets.push(socket);
      socket.on('error', () => {});
      socket.on('close', (code) => this.closes.push(code));
      socket.on('message', (data: Buffer, binary) => (binary ? this.#frames(decodeFrames(data)) : this.#text(socket, data.toString())));
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  get socket(): WebSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no agent is connected');
    return socket;
  }

  say(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  send(...frames: Frame[]): void {
    this.socket.send(encodeFrames(frames));
  }

  /** Opens a call with a body and waits for its end; the reply's parts. */
  async call(
    stream: number,
    n: number,
    fields: object,
    body = '',
  ): Promise<{ status: number; body: Buffer; end: Record<string, unknown> }> {
    this.open(stream, n, fields, body);
    const end = await until(`the end of stream ${stream}`, () => this.of(stream, FRAME.END)[0] ?? this.of(stream, FRAME.RESET)[0]);
    const head = this.of(stream, FRAME.HEAD)[0];
    return {
      status: head === undefined ? 0 : (parse(head) as { status: number }).status,
      body: this.body(stream),
      end: parse(end) as Record<string, unknown>,
    };
  }

  open(stream: number, n: number, fields: object, body = ''): void {
    const open = {
      attempt: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}/0`,
      instance: 'ins_1',
      method: 'POST',
      path: '/echo',
      headers: [],
      deadlineMs: 60_000,
      ...fields,
    };
    this.send(
      frame(FRAME.OPEN, stream, encodeJson(open)),
      ...(body === '' ? [] : [frame(FRAME.DATA, stream, Buffer.from(body))]),
      frame(FRAME.END, stream),
    );
  }

  of(stream: number, type: number): Frame[] {
    return this.frames.filter((f) => f.stream === stream && f.type === type);
  }

  body(stream: number): Buffer {
    return Buffer.concat(this.of(stream, FRAME.DATA).map((f) => f.payload));
  }

  reports(): InstanceReport[] {
    return this.up.flatMap((m) => (m.type === 'report' ? [m.report] : []));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #frames(frames: Frame[]): void {
    this.frames.push(...frames);
    if (!this.acknowledges) return;
    for (const f of frames) {
      if (f.type !== FRAME.END || f.stream % 2 === 1) continue;
      this.send(frame(FRAME.ACK, f.stream, encodeU64(receiptSchema.parse(parse(f)).bytes), FLAG_TRIM));
    }
  }

  #text(socket: WebSocket, text: string): void {
    if (text === 'ping') return socket.send('pong');
    const message = JSON.parse(text) as Up;
    this.up.push(message);
    if (message.type === 'hello' && this.welcomes)
      socket.send(JSON.stringify({ type: 'welcome', epoch: this.sockets.length, now: Date.now() }));
  }
}

export function parse(f: Frame): unknown {
  return JSON.parse(Buffer.from(f.payload).toString());
}
