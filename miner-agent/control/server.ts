/**
 * What a running agent answers to `ripcord-miner` on the same machine: HTTP and JSON over a Unix socket that only its
 * user can open. Bodies, connections and followers are bounded, and no peer can make it wait.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as z from 'zod/mini';
import { ConfigError } from '../config/file.ts';
import type { KeptLine, LogRings } from './log-rings.ts';
import { takeSocketPath } from './place.ts';
import type { Status } from './status.ts';
import type { KeptWishes } from './wishes.ts';

/** What the agent lets its operator do. */
export interface ControlPort {
  readonly logs: LogRings;
  status(): Status;
  /** Ends the agent; what runs may end within so many milliseconds, null: as configured. Returns the instances that end. */
  drain(withinMs: number | null): { instances: number; within_ms: number };
  /** Kept in the data folder. */
  maintenance(on: boolean): KeptWishes;
  /** Reads the data folder's wishes again. Throws `ConfigError`. */
  reloadWishes(): KeptWishes;
  /** Every offer of the board and what it is to this machine. */
  offers(): unknown[];
}

export const BOUNDS = {
  /** Bytes of a request's body. */
  bodyBytes: 4_096,
  connections: 64,
  /** Readers of `GET /logs?follow=1` at a time. */
  followers: 16,
  /** Bytes that a follower may be behind; then it is let go. */
  behindBytes: 1024 * 1024,
  /** Milliseconds a request may take to arrive. */
  requestMs: 2_000,
} as const;

class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const drainSchema = z.strictObject({ within_seconds: z.optional(z.number().check(z.gte(0), z.lte(3600))) });
const maintenanceSchema = z.strictObject({ on: z.boolean() });

export class ControlServer {
  readonly #port: ControlPort;
  readonly #server: Server;
  readonly #path: string;
  #followers = 0;

  constructor(dataFolder: string, port: ControlPort) {
    this.#port = port;
    this.#path = takeSocketPath(dataFolder);
    this.#server = createServer({ requestTimeout: BOUNDS.requestMs, headersTimeout: BOUNDS.requestMs, connectionsCheckingInterval: 500 });
    this.#server.maxConnections = BOUNDS.connections;
    this.#server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** Resolves when commands can reach it. Throws the system's error. */
  async listen(): Promise<void> {
    // Nobody else may open it, not even between its making and a chmod.
    const mask = process.umask(0o177);
    try {
      const listening = new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen(this.#path, resolve);
      });
      process.umask(mask);
      await listening;
      chmodSync(this.#path, 0o600);
    } finally {
      process.umask(mask);
    }
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    rmSync(this.#path, { force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => response.destroy());
    try {
      const url = new URL(request.url ?? '/', 'http://agent');
      if (request.method === 'GET' && url.pathname === '/logs') return this.#logs(url, response);
      reply(response, 200, await this.#route(`${request.method} ${url.pathname}`, request));
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      if (error instanceof Refused) return reply(response, error.status, problem(error.code, error.message));
      if (error instanceof ConfigError) return reply(response, 409, problem('bad_wishes', error.message));
      return reply(response, 500, problem('internal', error instanceof Error ? error.message : 'unknown error'));
    }
  }

  async #route(route: string, request: IncomingMessage): Promise<unknown> {
    switch (route) {
      case 'GET /status':
        return this.#port.status();
      case 'GET /offers':
        return { items: this.#port.offers() };
      case 'POST /drain': {
        const { within_seconds: within } = await bodyOf(request, drainSchema);
        return this.#port.drain(within === undefined ? null : within * 1000);
      }
      case 'POST /maintenance':
        return this.#port.maintenance((await bodyOf(request, maintenanceSchema)).on);
      case 'POST /wishes/reload':
        return this.#port.reloadWishes();
      default:
        throw new Refused(404, 'not_found', `the agent has no ${route}`);
    }
  }

  /** What is kept, as NDJSON; with `follow=1` what comes too. */
  #logs(url: URL, response: ServerResponse): void {
    const { logs } = this.#port;
    const of = url.searchParams.get('instance');
    const follow = url.searchParams.get('follow') === '1';
    if (!follow && !logs.has(of)) throw new Refused(404, 'not_found', 'no such instance ran here lately');
    if (follow && this.#followers >= BOUNDS.followers) throw new Refused(429, 'too_many', 'too many others follow the logs');
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (const line of logs.lines(of)) response.write(ndjson(line));
    if (!follow) return void response.end();
    response.flushHeaders();
    this.#followers++;
    // What is kept may be more than a reader can take at once; only what comes after it puts one behind.
    const most = response.writableLength + BOUNDS.behindBytes;
    const stop = logs.follow(of, (line) => {
      response.write(ndjson(line));
      if (response.writableLength > most) response.destroy();
    });
    response.once('close', () => {
      this.#followers--;
      stop();
    });
  }
}

async function bodyOf<T extends z.ZodMiniType>(request: IncomingMessage, schema: T): Promise<z.output<T>> {
  let text = '';
  for await (const part of request.setEncoding('utf8') as AsyncIterable<string>) {
    text += part;
    if (text.length > BOUNDS.bodyBytes) throw new Refused(413, 'too_large', 'the body is too large');
  }
  const parsed = z.safeParse(schema, jsonOf(text === '' ? '{}' : text));
  if (!parsed.success) throw new Refused(400, 'invalid_body', 'the body is not what this wants');
  return parsed.data;
}

function reply(response: ServerResponse, status: number, value: unknown): void {
  // What is left of a refused body is not read.
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(`${JSON.stringify(value)}\n`);
}

function problem(code: string, message: string) {
  return { error: { code, message } };
}

function ndjson(line: KeptLine): string {
  return `${JSON.stringify(line)}\n`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
