/** A ledger of its own for a test: a real Postgres, the edge's way to it, and another one with SQL in hand. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Pool, type QueryResultRow } from 'pg';
import * as db from '../../../db/index.ts';
import { migrate } from '../../../db/migrate.ts';
import { startBridge } from '../../../dev/bridge.ts';
import { makeLeash } from '../../../dev/leash.ts';
import { startPostgres, type Postgres } from '../../../dev/postgres.ts';

export interface Refusal {
  /** SQLSTATE */
  state: string | null;
  words: string;
}

export interface Books {
  postgres: Postgres;
  /** The edge's bindings for it. */
  way: db.DatabaseEnv;
  /** Through the bridge, as the edge. */
  d: db.Database;
  /** A statement of its own. */
  sql<T extends QueryResultRow = Record<string, unknown>>(text: string, values?: unknown[]): Promise<T[]>;
  /** Statements in one transaction; null: it was committed, otherwise what Postgres says. */
  attempt(...statements: string[]): Promise<Refusal | null>;
  close(): Promise<void>;
}

/** `durable`: what was answered survives a SIGKILL of Postgres. */
export async function openBooks({ durable = false } = {}): Promise<Books> {
  const folder = await mkdtemp(join(tmpdir(), 'ripcord-books-'));
  const leash = makeLeash();
  const postgres = await startPostgres(
    { folder: join(folder, 'pg'), logFile: join(folder, 'pg.log'), password: 'test', port: undefined, durable },
    leash,
    () => undefined,
  );
  await migrate(postgres.url);
  const bridge = await startBridge(postgres.url);
  const pool = new Pool({ connectionString: postgres.url, max: 8 });
  pool.on('error', () => undefined);
  const way = { DATABASE_URL: postgres.url, DATABASE_FETCH_ENDPOINT: bridge.endpoint };
  return {
    postgres,
    way,
    d: db.connect(way),
    sql: async <T extends QueryResultRow>(text: string, values: unknown[] = []) => (await pool.query<T>(text, values)).rows,
    attempt: (...statements) => attempt(postgres.url, statements),
    async close() {
      await pool.end();
      await bridge.close();
      await postgres.part.stop();
      await leash.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function attempt(url: string, statements: string[]): Promise<Refusal | null> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of ['begin', ...statements, 'commit']) await client.query(statement);
    return null;
  } catch (error) {
    return { state: db.sqlState(error), words: String(error) };
  } finally {
    await client.end();
  }
}

/** The invariants that are broken. */
export async function brokenOf(d: db.Database): Promise<db.BookCheck[]> {
  return (await db.checkBooks(d)).filter(({ broken }) => broken > 0);
}
