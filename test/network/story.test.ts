/** A call is told the same by the Account that made it and, once that has forgotten it, from the record. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as db from '../../db/index.ts';
import { startBridge, type Bridge } from '../../dev/bridge.ts';
import { recordStory } from '../../functions/api/call-record.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;
let bridge: Bridge;
let d: db.Database;

beforeAll(async () => {
  network = await startNetwork();
  bridge = await startBridge(network.databaseUrl);
  d = db.connect({ DATABASE_URL: network.databaseUrl, DATABASE_FETCH_ENDPOINT: bridge.endpoint });
});
afterAll(async () => {
  await network?.close();
  await bridge?.close();
});

/** The id of a call that is over. */
async function called(body: object, leave = false): Promise<string> {
  const leaving = new AbortController();
  const reply = await network.request('/v1/chat/completions', {
    body: { model: network.chutes[0]?.name, messages: [{ role: 'user', content: 'Say something.' }], ...body },
    signal: leaving.signal,
  });
  expect(reply.status).toBe(200);
  if (leave) leaving.abort();
  await reply.text().catch(() => undefined);
  return reply.headers.get('x-request-id') ?? '';
}

async function storyOf(call: string): Promise<Record<string, unknown>> {
  return (await (await network.request(`/calls/${call}`)).json()) as Record<string, unknown>;
}

describe.each([
  ['a whole reply', {}, false],
  ['a stream', { stream: true }, false],
  ['a client that left', { stream: true, max_tokens: 500 }, true],
])('%s', (_, body, leave) => {
  test('is the same story from both', async () => {
    const call = await called(body, leave);
    const recorded = await until('it is on record', () => db.findRecordedCall(d, network.account, call));
    expect(recordStory(recorded)).toEqual({ ...(await storyOf(call)), deadline_at: null, allowance: null });
    expect(recorded.tries).toHaveLength(1);
  });
});

test('what they cost and were is in usage and metrics within seconds', async () => {
  const call = await called({});
  const told = await until('its cost is known', async () => {
    const story = await storyOf(call);
    return story['closed_at'] === null ? null : story;
  });
  expect(told).toMatchObject({ state: 'completed', attempts: [{ outcome: 'completed', status: 200 }] });
  const { items } = await until('usage has all four', async () => {
    const report = (await (await network.request('/accounts/me/usage?by=chute')).json()) as { items: Record<string, unknown>[] };
    return report.items[0]?.['calls'] === 4 ? report : null;
  });
  expect(items).toMatchObject([{ name: network.chutes[0]?.name, calls: 4, errors: 0 }]);
  const metrics = (await (await network.request(`/chutes/${network.chutes[0]?.name}/metrics?by=region`)).json()) as object;
  expect(metrics).toMatchObject({ items: [{ calls: 4, failed: 0, cancelled: 1, cost_nanousd: items[0]?.['cost_nanousd'] }] });
});
