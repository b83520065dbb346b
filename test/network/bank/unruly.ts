/**
 * Stands between the edge and the bridge to Postgres, and does to the statements that move money what networks do: sends
 * one twice, holds one back until another has overtaken it, or loses the answer of one that was done.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Unruly {
  /** Give this to `startNetwork`. */
  between(bridge: string): Promise<string>;
  readonly done: { duplicated: number; delayed: number; lost: number };
  close(): Promise<void>;
}

const MONEY = /flush_calls|lease_move/;
/** Long enough for a later batch to overtake. */
const HELD_BACK_MS = 1_500;

/** `share` of the statements that move money, for each kind of trouble; `random` gives 0 to 1. */
export function unruly(share: { duplicated: number; delayed: number; lost: number }, random: () => number): Unruly {
  const done = { duplicated: 0, delayed: 0, lost: 0 };
  let server: Server | undefined;
  return {
    done,
    async between(bridge) {
      server = createServer((request, response) => {
        forward(request, bridge).then(
          ({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(body),
          () => response.writeHead(503, { 'content-type': 'application/json' }).end('{"message":"Postgres does not answer."}'),
        );
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}/sql`;
    },
    async close() {
      server?.closeAllConnections();
      server?.close();
    },
  };

  async function forward(request: IncomingMessage, bridge: string): Promise<{ status: number; body: string }> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const ask = (): Promise<{ status: number; body: string }> => send(request, bridge, Buffer.concat(parts));
    if (!MONEY.test(Buffer.concat(parts).subarray(0, 500).toString())) return ask();
    if (random() < share.delayed) {
      done.delayed += 1;
      await sleep(HELD_BACK_MS);
    }
    if (random() < share.duplicated) {
      done.duplicated += 1;
      return (await Promise.all([ask(), ask()]))[1];
    }
    const answer = await ask();
    if (random() >= share.lost) return answer;
    done.lost += 1;
    return { status: 503, body: '{"message":"The answer was lost."}' };
  }
}

async function send(request: IncomingMessage, bridge: string, body: Buffer): Promise<{ status: number; body: string }> {
  const headers = Object.entries(request.headers).filter(([name]) => name.startsWith('neon-') || name === 'content-type');
  const reply = await fetch(bridge, {
    method: 'POST',
    headers: headers.map(([name, value]): [string, string] => [name, String(value)]),
    body: new Uint8Array(body),
  });
  return { status: reply.status, body: await reply.text() };
}
