/** One statement over a connection of its own: Hyperdrive keeps the pool, and requests cannot share sockets. */
import { Client, types, type CustomTypesConfig } from 'pg';

/** date, timestamp, timestamptz, interval: as text, since drizzle's columns turn them into dates themselves. */
const AS_TEXT = new Set([1082, 1114, 1184, 1186]);

const textTimes: CustomTypesConfig = {
  getTypeParser: (oid, format) => (AS_TEXT.has(oid) ? (value: string) => value : types.getTypeParser(oid, format ?? 'text')),
};

export async function query(
  connectionString: string,
  text: string,
  values: unknown[],
  rowMode: 'array' | 'object',
  timeoutMs: number,
): Promise<unknown[]> {
  const client = new Client({ connectionString, query_timeout: timeoutMs, connectionTimeoutMillis: timeoutMs });
  await client.connect();
  try {
    const ask = { text, values, types: textTimes };
    const result = rowMode === 'array' ? await client.query({ ...ask, rowMode }) : await client.query(ask);
    return result.rows;
  } finally {
    await client.end();
  }
}
