/**
 * Stands between a program and the services it asks over HTTP, and cuts one request of all: before it arrives, or after it
 * was carried out and before its answer is heard. A run that is cut at every place in turn has crashed at every step.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type CutWhere = 'before' | 'after';

export interface Cutter {
  /** An address that leads to `target`. */
  through(target: string): Promise<string>;
  /** Cuts the n-th request from now on, from 0, and every one after it until `mend`: the program is dead. */
  cut(n: number, where: CutWhere): void;
  mend(): void;
  /** Whether something was cut since the last `cut`. */
  readonly happened: boolean;
  close(): Promise<void>;
}

export function makeCutter(): Cutter {
  const servers: Server[] = [];
  let left = Infinity;
  let where: CutWhere = 'before';
  let happened = false;
  const pass = async (target: string, request: IncomingMessage, response: ServerResponse) => {
    const at = left--;
    if (at < 0 || (at === 0 && where === 'before')) {
      happened = true;
      return void request.socket.destroy();
    }
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !HOP.has(name))) as Record<string, string>;
    const reply = await fetch(target + (request.url === '/' ? '' : (request.url ?? '')), {
      method: 'POST',
      headers,
      body: Buffer.concat(parts),
    });
    const body = Buffer.from(await reply.arrayBuffer());
    if (at === 0) {
      happened = true;
      return void request.socket.destroy();
    }
    response.writeHead(reply.status, { 'content-type': reply.headers.get('content-type') ?? 'application/json' });
    return void response.end(body);
  };
  return {
    async through(target) {
      const server = createServer((request, response) => {
        pass(target, request, response).catch(() => request.socket.destroy());
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    cut(n, how) {
      left = n;
      where = how;
      happened = false;
    },
    mend() {
      left = Infinity;
    },
    get happened() {
      return happened;
    },
    async close() {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

const HOP = new Set(['connection', 'host', 'content-length', 'transfer-encoding', 'keep-alive']);
