/** A judge beside a whole network: it tests the miner by the public API, and everybody can read what it saw. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judgeSeed } from '../../dev/network.ts';
import type { AuditAgent, Observation } from '../../functions/protocol/audit.ts';
import { readConfig } from '../../validator-cron/config.ts';
import { makeBench, type Bench } from '../../validator-cron/bench.ts';
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
  const { chain, urls } = network.beacon;
  const env = { API_ORIGIN: network.api, JUDGE_SEED: seed, API_KEY: network.key, EPOCH_SECONDS: '3600', NETWORK: 'development' };
  const config = readConfig({ ...env, BEACON_URLS: urls, BEACON_CHAIN: JSON.stringify(chain) });
  return makeBench(config, null, new AbortController().signal);
}

async function read<T>(path: string): Promise<{ items: T[] }> {
  return (await (await network.request(path)).json()) as { items: T[] };
}

test('the miner is pinged, called and scored, and anyone can score it again from what is published', async () => {
  const { hotkey, agent } = network.agent(0);

  const report = await tick(judge, Date.now());
  expect(report).toMatchObject({ agents: 1, observations: 2, ok: 2 });

  const { items: seen } = await read<Observation>(`/audit/observations?epoch=${report.epoch}&miner=${hotkey}`);
  const byType = seen.toSorted((a, b) => (a.type < b.type ? -1 : 1));
  expect(byType.map((o) => [o.type, o.reason, o.agent])).toEqual([
    ['canary', 'answered', agent],
    ['rtt', 'answered', agent],
  ]);
  const { items: scores } = await read<Score>('/audit/scores');
  expect(scores).toMatchObject([{ hotkey, judge: judge.hotkey.ss58, parts: { canaries_ok: 1, pings_ok: 1 } }]);
  expect(scores[0]).toMatchObject(score(seen, { start: report.epoch, seconds: 3600, round: report.round })[0] ?? {});
});

test('the same tick again leaves what is there', async () => {
  const at = Date.now();
  const { epoch } = await tick(judge, at);
  const before = await read(`/audit/observations?epoch=${epoch}`);
  await tick(judge, at);
  expect(await read(`/audit/observations?epoch=${epoch}`)).toEqual(before);
});

test('a judge that the edge does not know moves nothing', async () => {
  await expect(tick(judgeWith('77'.repeat(32)), Date.now())).rejects.toThrow('403');
});

test('the miner has its page, and a place in the list', async () => {
  const { hotkey, agent } = network.agent(0);
  const { items } = await read('/miners');
  expect(items).toMatchObject([
    { hotkey, agents: 1, connected: 1, devices: expect.any(Number), instances: 1, last_score: expect.any(Number) },
  ]);
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
