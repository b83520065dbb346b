/** Requests that `fetch` does not make: another Host header, a reset connection, bytes as they arrive. */
import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

export interface RawAsk {
  method?: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
}

export interface RawReply {
  status: number;
  headers: Record<string, string>;
  /** Bytes so far; grows while the reply comes. */
  parts: { at: number; bytes: Buffer }[];
  /** Resolves when so many bytes have come; rejects when the reply ends before. */
  until(bytes: number): Promise<void>;
  /** `end`: as its framing says. `cut`: the connection broke. */
  over: Promise<'end' | 'cut'>;
  body(): Buffer;
  /** Leaves: `fin` closes the connection, `rst` resets it. */
  leave(how: 'fin' | 'rst'): void;
  /** Stops and goes on reading. */
  pause(): void;
  resume(): void;
}

/** One request on a connection of its own. Rejects when it broke before the head of the reply. */
export function rawRequest(url: string, ask: RawAsk = {}): { reply: Promise<RawReply>; socket: Promise<Socket>; leave: RawReply['leave'] } {
  const length = ask.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(ask.body)) };
  const sent = httpRequest(url, { method: ask.method ?? 'GET', agent: false, headers: { ...length, ...ask.headers } });
  const leave = (how: 'fin' | 'rst') => {
    if (how === 'rst') sent.socket?.resetAndDestroy();
    else sent.socket?.end();
    sent.destroy();
  };
  const socket = new Promise<Socket>((resolve) => sent.on('socket', resolve));
  const reply = new Promise<RawReply>((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (response) => resolve(replyOf(response, leave)));
  });
  reply.catch(() => undefined);
  sent.end(ask.body);
  return { reply, socket, leave };
}

function replyOf(response: IncomingMessage, leave: RawReply['leave']): RawReply {
  const parts: RawReply['parts'] = [];
  let total = 0;
  let isOver = false;
  let waiting: { bytes: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  response.on('data', (bytes: Buffer) => {
    parts.push({ at: performance.now(), bytes });
    total += bytes.length;
    waiting = waiting.filter((w) => total < w.bytes || w.resolve());
  });
  const over = new Promise<'end' | 'cut'>((resolve) => {
    response.on('close', () => {
      isOver = true;
      for (const w of waiting) w.reject(new Error(`the reply ended after ${total} bytes`));
      resolve(response.complete ? 'end' : 'cut');
    });
  });
  response.on('error', () => undefined);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers as Record<string, string>,
    parts,
    until: (bytes) =>
      new Promise((resolve, reject) => {
        if (total >= bytes) resolve();
        else if (isOver) reject(new Error(`the reply ended after ${total} bytes`));
        else waiting.push({ bytes, resolve, reject });
      }),
    over,
    body: () => Buffer.concat(parts.map((p) => p.bytes)),
    leave,
    pause: () => void response.pause(),
    resume: () => void response.resume(),
  };
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The longest pause between two pieces after this moment (`performance.now()`), in milliseconds. */
export function stallAfter(parts: RawReply['parts'], moment: number): number {
  let stall = 0;
  let last = moment;
  for (const { at } of parts) {
    if (at < moment) continue;
    stall = Math.max(stall, at - last);
    last = at;
  }
  return Math.round(stall);
}
