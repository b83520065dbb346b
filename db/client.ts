/**
 * The way to Postgres: Neon over HTTP, one statement per request, no socket and no pool. With a HYPERDRIVE binding the
 * native driver goes through it instead (`functions/hyperdrive.ts`). No interactive transactions either way.
 */
import { neon, neonConfig } from '@neondatabase/serverless';
import { drizzle } from 'drizzle-orm/neon-http';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
import { drizzle as drizzleProxy } from 'drizzle-orm/pg-proxy';

/** The part of the edge's bindings that this needs. */
export interface DatabaseEnv {
  DATABASE_URL: string;
  /** Another endpoint than Neon's own: the local bridge. */
  DATABASE_FETCH_ENDPOINT?: string;
  HYPERDRIVE?: { connectionString: string };
}

export type Database = PgDatabase<PgQueryResultHKT>;

/** Milliseconds one statement may take. */
const STATEMENT_MS = 15_000;

let last: { url: string; endpoint: string | undefined; database: Database } | null = null;

/** The database of this environment; cheap to call for every statement. */
export function connect(env: DatabaseEnv): Database {
  if (env.HYPERDRIVE !== undefined) return viaHyperdrive(env.HYPERDRIVE.connectionString);
  if (last?.url === env.DATABASE_URL && last.endpoint === env.DATABASE_FETCH_ENDPOINT) return last.database;
  const database = viaHttp(env.DATABASE_URL, env.DATABASE_FETCH_ENDPOINT);
  last = { url: env.DATABASE_URL, endpoint: env.DATABASE_FETCH_ENDPOINT, database };
  return database;
}

function viaHttp(url: string, endpoint: string | undefined): Database {
  if (endpoint !== undefined) neonConfig.fetchEndpoint = endpoint;
  neonConfig.fetchFunction = fetchInTime;
  return drizzle(neon(url));
}

/** The whole reply within `STATEMENT_MS`. No timer is left behind: it would keep a Durable Object awake. */
async function fetchInTime(input: string, init: RequestInit): Promise<Response> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), STATEMENT_MS);
  try {
    const reply = await fetch(input, { ...init, signal: controller.signal });
    return new Response(await reply.arrayBuffer(), { status: reply.status, headers: reply.headers });
  } finally {
    clearTimeout(timer);
  }
}

/** A statement over a connection of the native driver. */
export type NativeQuery = (
  connectionString: string,
  text: string,
  values: unknown[],
  rowMode: 'array' | 'object',
  timeoutMs: number,
) => Promise<unknown[]>;

let native: NativeQuery | null = null;

/** For the entry that brings the native driver along, `functions/hyperdrive.ts`; every other bundle stays without it. */
export function useNativeDriver(query: NativeQuery): void {
  native = query;
}

function viaHyperdrive(connectionString: string): Database {
  return drizzleProxy(async (text, params, method) => {
    if (native === null) throw new Error('HYPERDRIVE is bound, but the entry has no native driver: deploy functions/hyperdrive.ts');
    return { rows: await native(connectionString, text, params, method === 'all' ? 'array' : 'object', STATEMENT_MS) };
  });
}
