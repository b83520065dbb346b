/** Which Postgres `books` speaks to: the one of `DATABASE_URL`, else that of `npm start`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/node-postgres';
import { Client } from 'pg';
import type { Database } from '../client.ts';
import { sqlState } from '../errors.ts';
import { refused, unreachable, usage } from './failure.ts';

const CONNECT_MS = 5_000;
/** `check_books` reads everything. */
const STATEMENT_MS = 600_000;

/** Runs the work on a connection of its own. Throws a `Failure` when there is no Postgres, or none with our tables. */
export async function withBooks<T>(data: string, work: (db: Database) => Promise<T>): Promise<T> {
  const url = databaseUrl(data);
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, statement_timeout: STATEMENT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw unreachable(`Postgres at ${hostOf(url)} does not let us in: ${reasonOf(error)}. ${HINT}`);
  }
  try {
    return await work(drizzle(client));
  } catch (error) {
    // undefined_table, undefined_function
    if (['42P01', '42883'].includes(sqlState(error) ?? '')) throw refused('This database has no books: run npm run db:migrate first.');
    if (sqlState(error) === null && error instanceof Error && error.name === 'DrizzleQueryError') {
      throw unreachable(`Postgres at ${hostOf(url)} went away: ${reasonOf(error.cause)}.`);
    }
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

const HINT = 'Is DATABASE_URL right, or npm start running?';

function databaseUrl(data: string): string {
  const given = process.env['DATABASE_URL'];
  if (given !== undefined && given !== '') {
    if (!/^postgres(ql)?:\/\//.test(given) || !URL.canParse(given)) throw usage('DATABASE_URL is no postgres:// address.');
    return given;
  }
  const file = join(data, 'state.json');
  if (!existsSync(file)) throw usage(`There is no DATABASE_URL and no ${file}: set it, run npm start, or name its folder with --data.`);
  const { postgresPassword, postgresPort } = read(file);
  if (typeof postgresPassword !== 'string' || typeof postgresPort !== 'number')
    throw usage(`${file} names no Postgres: run npm start once.`);
  return `postgresql://ripcord:${postgresPassword}@127.0.0.1:${postgresPort}/ripcord`;
}

function read(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw usage(`${file} cannot be read: ${reasonOf(error)}.`);
  }
}

/** Without the password. */
function hostOf(url: string): string {
  return new URL(url).host;
}

/** In one line; a refused connection to several addresses has no message of its own. */
function reasonOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return (first instanceof Error ? first.message : String(first)).split('\n')[0] ?? '';
}
