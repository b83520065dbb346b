/** One statement over a connection of its own: Hyperdrive keeps the pool, and requests cannot share sockets. */
import { Client } from 'pg';

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
    // Everything as text, as drizzle's column types expect it.
    const types = { getTypeParser: () => (value: string) => value };
    const result = rowMode === 'array' ? await client.query({ text, values, rowMode, types }) : await client.query({ text, values, types });
    return result.rows;
  } finally {
    await client.end();
  }
}
