/** Programs made for other services, as chutes: called through the edge, over the agent and its adapter. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../cli/client.ts';
import { deployFolder } from '../../cli/deploy.ts';
import { ROOT } from '../../dev/network.ts';
import { rawRequest } from '../harness/http.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;
let client: Client;
beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  client = new Client({ api: network.api, key: network.key });
  await Promise.all([deploy('cog', 'cog-double.mjs'), deploy('runpod', 'worker-double.mjs')]);
});
afterAll(() => network?.close());

/** A chute with nothing but a program and its adapter. */
async function deploy(adapter: string, program: string): Promise<void> {
  const folder = network.folder.folder('adapters', adapter);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(ROOT, 'test/unit/adapters', program), join(folder, program));
  writeFileSync(join(folder, 'chute.toml'), `name = "${adapter}"\ncommand = ["node", "${program}"]\nadapter = "${adapter}"\nmin = 1\n`);
  await deployFolder(client, folder);
}

function call(path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST'): Promise<Response> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return network.request(`/call/demo/${path}`, { method, ...sent });
}

test('a cog model answers predictions, and nobody shuts it down', async () => {
  const reply = await call('cog/predictions', { input: { text: 'a' } });
  expect({ status: reply.status, body: await reply.json() }).toMatchObject({
    status: 200,
    body: { status: 'succeeded', output: { text: 'a' } },
  });
  const own = await call('cog/predictions/mine', { input: {} }, 'PUT');
  expect(await own.json()).toMatchObject({ id: 'mine' });
  expect((await call('cog/health-check')).status).toBe(200);
  const shutdown = await call('cog/shutdown', {});
  expect({ status: shutdown.status, body: await shutdown.json() }).toMatchObject({ status: 404, body: { code: 'cord_not_found' } });
});

test('a worker of RunPod does jobs, streams their parts, and stops one whose caller leaves', async () => {
  const reply = await call('runpod/runsync', { input: { a: 1 } });
  expect(await reply.json()).toMatchObject({ status: 'COMPLETED', output: { echo: { a: 1 } } });
  const stream = await call('runpod/stream', { input: { parts: ['one', 'two'] } });
  expect(await stream.text()).toMatch(
    /^event: output\ndata: {"output":"one"}\n\nevent: output\ndata: {"output":"two"}\n\nevent: completed\n/,
  );
  const body = JSON.stringify({ input: { parts: ['one'], hang: 'long' } });
  const headers = { authorization: `Bearer ${network.key}`, 'content-type': 'application/json' };
  const hung = await rawRequest(`${network.api}/call/demo/runpod/stream`, { method: 'POST', headers, body }).reply;
  await hung.until(10);
  await until('the job to run', () => logs('runpod', 'hang long'));
  hung.leave('rst');
  await until('the stop', () => logs('runpod', 'stop long'), { deadlineMs: 40_000 });
  expect(await (await call('runpod/runsync', { input: { b: 2 } })).json()).toMatchObject({ status: 'COMPLETED' });
});

async function logs(chute: string, text: string): Promise<boolean> {
  return (await (await network.request(`/chutes/demo/${chute}/logs`)).text()).includes(text);
}
