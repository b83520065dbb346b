/**
 * Speaks Neon's SQL-over-HTTP in front of a local Postgres, so the Workers use one driver everywhere. It lives inside the
 * supervisor: it keeps no state, so there is nothing of it to restart, and a process of its own would cost 50 MB.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseError, Pool, type PoolClient, type QueryArrayResult } from 'pg';
import * as z from 'zod/mini';
import { LOOPBACK } from './ports.ts';

/** Connections to Postgres at most; requests beyond wait for one. */
const POOL_SIZE = 16;
/** A request waits this long for a free connection. */
const WAIT_MS = 10_000;
const LONGEST_BODY_BYTES = 16 * 1024 * 1024;
const MOST_QUERIES = 1_000;

const queryShape = z.object({ query: z.string(), params: z._default(z.array(z.unknown()), []) });
const bodyShape = z.union([queryShape, z.object({ queries: z.array(queryShape).check(z.maxLength(MOST_QUERIES)) })]);
type Query = z.infer<typeof queryShape>;

const ISOLATION: Record<string, string> = {
  ReadUncommitted: 'read uncommitted',
  ReadCommitted: 'read committed',
  RepeatableRead: 'repeatable read',
  Serializable: 'serializable',
};

export interface Bridge {
  /** `http://127.0.0.1:PORT/sql` */
  endpoint: string;
  close(): Promise<void>;
}

/** Serves `POST /sql` for whoever shows the user and password of `url`, as Neon does. */
export async function startBridge(url: string, port = 0): Promise<Bridge> {
  const pool = new Pool({ connectionString: url, max: POOL_SIZE, connectionTimeoutMillis: WAIT_MS, idleTimeoutMillis: 60_000 });
  // An idle connection that breaks leaves the pool; the next query makes a new one.
  pool.on('error', () => undefined);
  const server = createServer((request, response) => {
    answer(pool, url, request).then(
      ({ status, body }) => send(response, status, body),
      (error: unknown) => send(response, ...refusalOf(error)),
    );
  });
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  const { port: taken } = server.address() as AddressInfo;
  return { endpoint: `http://${LOOPBACK}:${taken}/sql`, close: () => close(server, pool) };
}

async function answer(pool: Pool, url: string, request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  if (request.method !== 'POST' || request.url !== '/sql') return { status: 404, body: { message: 'Only POST /sql is served.' } };
  if (!showsPassword(request.headers['neon-connection-string'], url)) {
    return { status: 401, body: { message: 'The connection string is missing or wrong.' } };
  }
  const parsed = bodyShape.safeParse(JSON.parse(await readBody(request)));
  if (!parsed.success) return { status: 400, body: { message: 'The body is neither a query nor a batch.' } };
  const arrayMode = request.headers['neon-array-mode'] === 'true';
  if (!('queries' in parsed.data)) return { status: 200, body: await one(pool, parsed.data, arrayMode) };
  return { status: 200, body: { results: await batch(pool, parsed.data.queries, arrayMode, beginOf(request)) } };
}

/** Compares user and password only: the driver adds parameters of its own. */
function showsPassword(presented: string | string[] | undefined, expected: string): boolean {
  if (typeof presented !== 'string' || !URL.canParse(presented)) return false;
  return timingSafeEqual(credentialsOf(presented), credentialsOf(expected));
}

function credentialsOf(url: string): Buffer {
  const { username, password } = new URL(url);
  return createHash('sha256').update(`${username}:${password}`).digest();
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LONGEST_BODY_BYTES) throw new TooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function one(target: Pool | PoolClient, { query, params }: Query, arrayMode: boolean) {
  const config = {
    text: query,
    values: params,
    rowMode: 'array' as const,
    // One statement per request, as over the wire protocol with parameters.
    queryMode: 'extended' as const,
    // The driver at the other end parses; values go through as Postgres writes them.
    types: { getTypeParser: () => (text: string) => text },
  };
  const result: QueryArrayResult<unknown[]> = await target.query(config);
  const names = result.fields.map((field) => field.name);
  return {
    command: result.command,
    rowCount: result.rowCount,
    rowAsArray: arrayMode,
    fields: result.fields,
    rows: arrayMode ? result.rows : result.rows.map((row) => Object.fromEntries(row.map((value, i) => [names[i] ?? '', value]))),
  };
}

async function batch(pool: Pool, queries: Query[], arrayMode: boolean, begin: string) {
  const client = await pool.connect();
  try {
    await client.query(begin);
    const results = [];
    for (const query of queries) results.push(await one(client, query, arrayMode));
    await client.query('commit');
    client.release();
    return results;
  } catch (error) {
    // The connection may be gone with the transaction; only a clean rollback gives it back to the pool.
    await client.query('rollback').then(
      () => client.release(),
      () => client.release(true),
    );
    throw error;
  }
}

function beginOf({ headers }: IncomingMessage): string {
  const level = ISOLATION[String(headers['neon-batch-isolation-level'])];
  return [
    'begin',
    ...(level ? [`isolation level ${level}`] : []),
    ...(headers['neon-batch-read-only'] === 'true' ? ['read only'] : []),
    ...(headers['neon-batch-deferrable'] === 'true' ? ['deferrable'] : []),
  ].join(' ');
}

/** SQLSTATEs of a server that starts, stops or is full: nothing is wrong with the query. */
const NOT_NOW = /^(57P|08|53)/;

/** What Postgres refused is the caller's (400); what kept Postgres from answering is ours (503). */
function refusalOf(error: unknown): [number, unknown] {
  if (error instanceof DatabaseError && !NOT_NOW.test(error.code ?? '')) {
    // `message` of an error is not enumerable, the fields of Postgres are.
    return [400, { message: error.message, ...Object.fromEntries(Object.entries(error)) }];
  }
  if (error instanceof TooLarge) return [413, { message: 'The body is too large.' }];
  if (error instanceof SyntaxError) return [400, { message: 'The body is not JSON.' }];
  return [503, { message: 'Postgres does not answer.' }];
}

class TooLarge extends Error {}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function close(server: Server, pool: Pool): Promise<void> {
  server.close();
  server.closeAllConnections();
  await pool.end();
}
