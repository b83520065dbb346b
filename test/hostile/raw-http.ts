/** Requests that no HTTP client would send: bytes to the edge, and what it answers before it closes. */
import { connect, type Socket } from 'node:net';
import { edge } from './stage.ts';

export interface RawReply {
  /** 0: the edge closed without an answer. */
  status: number;
  text: string;
}

/** Sends the pieces one after the other and waits until the edge closes. `Connection: close` is the caller's to say. */
export function rawHttp(pieces: Iterable<string | Uint8Array>, withinMs = 30_000): Promise<RawReply> {
  const { hostname, port } = new URL(edge.api);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    const parts: Buffer[] = [];
    const over = (): void => {
      clearTimeout(timer);
      socket.destroy();
      const text = Buffer.concat(parts).toString('latin1');
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text });
    };
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer within ${withinMs} ms: ${Buffer.concat(parts).toString('latin1').slice(0, 300)}`));
    }, withinMs);
    socket.on('data', (part) => parts.push(part));
    // It may refuse and reset while we still send.
    socket.on('error', over);
    socket.on('close', over);
    socket.on('end', over);
    socket.on('connect', () => void sendAll(socket, pieces));
  });
}

async function sendAll(socket: Socket, pieces: Iterable<string | Uint8Array>): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed || !socket.writable) return;
    if (!socket.write(piece)) await drained(socket);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

/** A client that sends these pieces and then says nothing until it is cut. */
export async function stalled(pieces: Iterable<string | Uint8Array>): Promise<{ cut(): void }> {
  const { hostname, port } = new URL(edge.api);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await sendAll(socket, pieces);
  return { cut: () => socket.resetAndDestroy() };
}

/** A request's head, as given and unchecked. */
export function headText(line: string, headers: [string, string][]): string {
  const host = new URL(edge.api).host;
  return `${line}\r\n${[['host', host], ['connection', 'close'], ...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** A chunked body of this many zero bytes. */
export function* chunked(bytes: number, size = 256 * 1024): Generator<Uint8Array> {
  const chunk = Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), Buffer.alloc(size, 0x20), Buffer.from('\r\n')]);
  for (let at = 0; at < bytes; at += size) yield chunk;
  yield Buffer.from('0\r\n\r\n');
}
