/** A judge beside a whole network: it tests the miner by the public API, and everybody can read what it saw. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judgeSeed } from '../../dev/network.ts';
import type { AuditAgent, Observation } from '../../functions/protocol/audit.ts';
import { readConfig } from '../../validator-cron/config.ts';
import { makeBench, type Bench } from '../../validator-cron/bench.ts';
import { showStatus, statusOf } from '../../validator-cron/commands/status.ts';
import { tick } from '../../validator-cron/tick.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;
let judge: Bench;

beforeAll(async () => {
  network = await startNetwork();
  judge = judgeWith(judgeSeed(network.folder.state.edgeSecret));
  // What the edge remembers of a chute may be some seconds older than an instance that has just come up.
  await until('the instance can be named in a call', async () => {
    const { items } = await read<AuditAgent>('/audit/agents');
    const instance = items[0]?.instances[0]?.instance ?? '';
    const body = { model: 'demo/chat', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 1 };
    return (await network.request('/v1/chat/completions', { method: 'POST', body, headers: { 'x-ripcord-instance': instance } })).ok;
  });
});
afterAll(() => network?.close());

function judgeWith(seed: string): Bench {
  const env = { API_ORIGIN: network.api, JUDGE_SEED: seed, API_KEY: network.key, EPOCH_SECONDS: '60', NETWORK: 'development' };
  const beacon = { chain: network.beacon.chain, pulse: async (round: number) => network.beacon.pulse(round) };
  return { ...makeBench(readConfig(env), null, new AbortController().signal), beacon };
}

async function read<T>(path: string): Promise<{ items: T[] }> {
  return (await (await network.request(path)).json()) as { items: T[] };
}

test('the miner is pinged and called, and everybody can read what came of it', async () => {
  const { hotkey, agent } = network.agent(0);
  const report = await tick(judge, Date.now());
  expect(report).toMatchObject({ calls: { agents: 1, observations: 2, ok: 2 }, failures: [] });
  const { items: seen } = await read<Observation>(`/audit/observations?epoch=${report.epoch}&miner=${hotkey}`);
  const byType = seen.toSorted((a, b) => (a.type < b.type ? -1 : 1));
  expect(byType.map((o) => [o.type, o.reason, o.agent])).toEqual([
    ['canary', 'answered', agent],
    ['rtt', 'answered', agent],
  ]);
});

test('the same tick again leaves what is there', async () => {
  const at = Date.now();
  const { epoch } = await tick(judge, at);
  const before = await read(`/audit/observations?epoch=${epoch}`);
  await tick(judge, at);
  expect(await read(`/audit/observations?epoch=${epoch}`)).toEqual(before);
});

test('status tells what is due, and what this judge has made of it', async () => {
  const status = await statusOf(judge, Date.now());
  expect(status).toMatchObject({ judge: judge.config.hotkey.ss58, chain: null, epoch: { committed: false, block: null } });
  expect(status.coverage.slots).toBe(20);
  expect(showStatus(status, (_, text) => text)).toContain('coverage   last 20 slots: ');
});

test('a judge that the edge does not know moves nothing', async () => {
  const { calls, challenges, failures } = await tick(judgeWith('77'.repeat(32)), Date.now());
  expect([calls, challenges?.states ?? {}]).toEqual([null, {}]);
  expect(failures.map(({ reason }) => reason).join()).toContain('403');
});

test('the miner has its page, and a place in the list', async () => {
  const { hotkey, agent } = network.agent(0);
  const { items } = await read('/miners');
  expect(items).toMatchObject([{ hotkey, agents: 1, connected: 1, devices: expect.any(Number), instances: 1, last_score: null }]);
  const page = await (await network.request(`/miners/${hotkey}`)).json();
  expect(page).toMatchObject({ hotkey, agents: [{ agent, connected: true, running: 1, instances: [{ name: 'demo/chat' }] }] });
});

test('an agent that has gone is found absent', async () => {
  await network.agent(0).kill();
  await until('the edge knows that the agent has gone', async () => {
    const { agents } = (await (await network.request(`/miners/${network.agent(0).hotkey}`)).json()) as { agents: { connected: boolean }[] };
    return agents[0]?.connected === false;
  });
  const at = Date.now() + 60_000;
  const { epoch } = await tick(judge, at);
  const { items } = await read<Observation>(`/audit/observations?epoch=${epoch}`);
  expect(items.filter((o) => o.type === 'rtt').map((o) => o.reason)).toContain('silent');
});
