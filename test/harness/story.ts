/** What the network tells of a call afterwards: its story, and its rows in Postgres. */
import { Client } from 'pg';
import type { CallStory } from '../../functions/account/story.ts';
import type { TestNetwork } from './network.ts';
import { until } from './until.ts';

export async function storyOf(network: TestNetwork, call: string): Promise<CallStory> {
  const reply = await network.request(`/calls/${call}`);
  if (!reply.ok) throw new Error(`GET /calls/${call}: HTTP ${reply.status}`);
  return (await reply.json()) as CallStory;
}

/** The story once every attempt is known. */
export function closedStory(network: TestNetwork, call: string, deadlineMs = 15_000): Promise<CallStory> {
  return until(
    `call ${call} is over`,
    async () => {
      const story = await storyOf(network, call);
      if (story.state === 'running') throw new Error(JSON.stringify(story));
      return story;
    },
    { deadlineMs },
  );
}

export interface UsageRow {
  call_id: string;
  attempt: number;
  outcome: string;
  code: string;
  bytes: string;
  tokens_in: string | null;
  tokens_out: string | null;
}

/** Rows of these calls, by call and attempt. */
export async function usageOf(network: TestNetwork, calls: readonly string[]): Promise<UsageRow[]> {
  const client = new Client({ connectionString: network.databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const text = 'select * from usage where call_id = any($1::uuid[]) order by call_id, attempt';
    return (await client.query<UsageRow>(text, [calls])).rows;
  } finally {
    await client.end();
  }
}

/** Waits until each of these calls has a row. More rows than that are the caller's to refuse. */
export function recordedUsage(network: TestNetwork, calls: readonly string[], deadlineMs = 15_000): Promise<UsageRow[]> {
  return until(
    `${calls.length} calls are on record`,
    async () => {
      const rows = await usageOf(network, calls);
      const known = new Set(rows.map((row) => row.call_id));
      if (known.size < calls.length) throw new Error(`${known.size} of ${calls.length}`);
      return rows;
    },
    { deadlineMs },
  );
}

/** Tears an object down as a deploy would, or cuts an agent's socket. */
export async function fault(
  network: TestNetwork,
  object: 'account' | 'chute' | 'miner' | 'market',
  id: string,
  how: 'abort' | 'cut' = 'abort',
): Promise<void> {
  const reply = await fetch(`${network.api}/internal/fault`, {
    method: 'POST',
    headers: { authorization: `Bearer ${network.internalToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ object, id, how }),
  });
  if (!reply.ok) throw new Error(`fault ${object} ${how}: HTTP ${reply.status}`);
}
