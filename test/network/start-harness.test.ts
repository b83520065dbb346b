import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { processesOf } from '../harness/start-command.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork();
});
afterAll(() => network.close());

const chat = () =>
  network.request('/v1/chat/completions', { body: { model: 'demo/chat', max_tokens: 2, messages: [{ role: 'user', content: 'Hi' }] } });
const answered = () => until('an answered call', async () => (await chat()).ok, { deadlineMs: 30_000 });

test('the edge that was killed stays down until it is restarted, on the same address', async () => {
  await network.edge.kill();
  await expect(chat()).rejects.toThrow();
  await network.edge.restart();
  await answered();
});

test('an agent that was killed serves again once it is restarted, with the same name', async () => {
  const { pid, agent } = network.agent(0);
  await network.agent(0).kill();
  expect(network.agent(0).pid).toBeUndefined();
  await network.agent(0).restart();
  await answered();
  expect(network.agent(0).pid).not.toBe(pid);
  expect(network.agent(0).agent).toBe(agent);
});

test('Postgres that crashed comes back by itself', async () => {
  const { pid } = network.postgres;
  network.postgres.crash();
  await until('another process', () => network.postgres.pid !== undefined && network.postgres.pid !== pid);
  await until('the record answers', async () => (await network.request('/chutes')).ok);
});

test('the cron route takes the internal token', async () => {
  const reply = await network.cron();
  expect([reply.status, await reply.json()]).toMatchObject([200, { ok: true }]);
});

test('closing leaves no process and no folder', async () => {
  const { path } = network.folder;
  await network.close();
  expect(processesOf(path)).toEqual([]);
  expect(existsSync(path)).toBe(false);
});
