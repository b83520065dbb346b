/** A chute that runs with two miners is deployed anew and rolled back under load: one instance after the other, streams included. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeEcho } from '../harness/echo.ts';
import { rawRequest, type RawReply } from '../harness/http.ts';
import { startLoad, type Load } from '../harness/load.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { userOf, type User } from '../harness/ripcord.ts';
import { until } from '../harness/until.ts';
import { knownEvents } from './chutes/echo/known.ts';

interface Chute {
  version: string;
  instances: { version: string; state: string }[];
}

/** Events of one stream, 10 ms apart: longer than a deploy takes here. */
const EVENTS = 400;

let network: TestNetwork;
let demo: User;
let load: Load;
let v1: Chute;
let v2: Chute;

beforeAll(async () => {
  network = await startNetwork({ chutes: [], agents: 2 });
  demo = userOf(network, network.folder.folder('home'), network.key);
  v1 = await deploy('v1');
  await twoServe(v1.version);
  load = startLoad(network, '/call/demo/rolling/hold?ms=10', 6);
});
afterAll(async () => {
  await load?.stop();
  await network?.close();
});

function deploy(word: string): Promise<Chute> {
  const folder = network.folder.folder('rolling', word);
  writeEcho(folder, { name: 'rolling', word, min: 2, max: 2, concurrency: 8 });
  return demo.json<Chute>('deploy', folder);
}

/** Resolves when two instances of this version are all there is. */
function twoServe(version: string): Promise<unknown> {
  return until(
    `two instances of ${version.slice(0, 8)} serve, nothing else`,
    async () => {
      const { instances } = (await (await network.request('/chutes/demo/rolling')).json()) as Chute;
      const states = instances.map((i) => `${i.state} ${i.version}`);
      if (states.length !== 2 || states.some((state) => state !== `live ${version}`)) throw new Error(states.join());
      return true;
    },
    { deadlineMs: 30_000 },
  );
}

/** The last answers are all of this version. */
function settled(word: string): Promise<unknown> {
  return until(`all answers are ${word}`, () => {
    const last = load.answers.slice(-60);
    return last.length === 60 && last.every(({ text }) => text.includes(`"word":"${word}"`));
  });
}

function openStreams(): Promise<RawReply[]> {
  const headers = { authorization: `Bearer ${network.key}` };
  const path = `${network.api}/call/demo/rolling/events?n=${EVENTS}&ms=10`;
  return Promise.all(Array.from({ length: 4 }, () => rawRequest(path, { headers }).reply));
}

async function expectWhole(streams: RawReply[]): Promise<void> {
  expect(await Promise.all(streams.map((stream) => stream.over))).toEqual(streams.map(() => 'end'));
  for (const stream of streams) expect(stream.body().toString()).toBe(knownEvents(EVENTS));
}

test('a deploy moves calls over, ends no stream and fails no call', async () => {
  await settled('v1');
  const streams = await openStreams();
  const started = performance.now();
  v2 = await deploy('v2');
  await settled('v2');
  console.log(`  all answers were of the new version ${Math.round(performance.now() - started)} ms after the deploy began`);
  await expectWhole(streams);
  await twoServe(v2.version);
  expect(load.failed).toEqual([]);
});

test('a rollback is the same move backwards', async () => {
  const streams = await openStreams();
  const started = performance.now();
  await demo.json('chutes', 'rollback', 'rolling', v1.version.slice(0, 8));
  await settled('v1');
  console.log(`  all answers were of the old version ${Math.round(performance.now() - started)} ms after the rollback`);
  await expectWhole(streams);
  await twoServe(v1.version);
  await load.stop();
  expect(load.failed).toEqual([]);
  console.log(`  ${load.answers.length} calls, none failed, the slowest took ${load.slowestMs} ms`);
});

test('a deleted chute refuses calls and ends its programs', async () => {
  await demo.json('chutes', 'delete', 'rolling');
  await until('calls are refused', async () => (await network.request('/call/demo/rolling/hold')).status === 404);
});
