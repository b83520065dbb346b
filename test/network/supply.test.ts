/** Instances come and go with the calls: from zero, to three miners, back to zero; and a start that is lost is another's. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../cli/client.ts';
import { deployFolder } from '../../cli/deploy.ts';
import { hotkeyIn } from '../../dev/hotkeys.ts';
import { bundleMiner, startMiner, type Miner } from '../harness/miner.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { writeEcho, type EchoWish } from '../harness/echo.ts';
import { until } from '../harness/until.ts';

interface Instance {
  instance_id: string;
  hotkey: string;
  state: string;
}

let network: TestNetwork;

beforeAll(async () => {
  network = await startNetwork({ agents: 3, chutes: [] });
});
afterAll(() => network?.close());

async function deploy(wish: EchoWish & { name: string }): Promise<string> {
  const folder = network.folder.folder('supply', wish.name);
  writeEcho(folder, { min: 0, idle_after: 2, ...wish });
  return (await deployFolder(new Client(network), folder)).name;
}

const call = (name: string, path: string) => network.request(`/call/${name}${path}`);

async function instances(name: string): Promise<Instance[]> {
  return ((await (await network.request(`/chutes/${name}`)).json()) as { instances: Instance[] }).instances;
}

const inState = async (name: string, state: string) => (await instances(name)).filter((i) => i.state === state);

function untilNone(name: string): Promise<unknown> {
  return until(`${name} has no instance`, async () => (await instances(name)).length === 0, { deadlineMs: 30_000 });
}

describe('a chute without instances', () => {
  let name: string;
  const answered: number[] = [];

  test('its first calls wait for a start and are answered in the order they came', async () => {
    name = await deploy({ name: 'cold', concurrency: 1, max: 1 });
    expect(await instances(name)).toEqual([]);
    const calls: Promise<Response>[] = [];
    for (let k = 0; k < 5; k++) {
      const before = await waitingOf(name);
      calls.push(
        call(name, `/echo?k=${k}`).then((reply) => {
          answered.push(k);
          return reply;
        }),
      );
      // The next one comes when this one has its place, or was served already.
      await until(`call ${k} is in`, async () => answered.length > 0 || (await waitingOf(name)) > before);
    }
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(answered).toEqual([0, 1, 2, 3, 4]);
    expect(await instances(name)).toHaveLength(1);
  });

  test('it is without again when nobody has called for a while, and the next call wakes it', async () => {
    await untilNone(name);
    expect((await call(name, '/echo')).status).toBe(200);
  });
});

async function waitingOf(name: string): Promise<number> {
  return ((await (await network.request(`/chutes/${name}`)).json()) as { waiting_calls: number }).waiting_calls;
}

test('load brings three instances, not all with one miner, and its end takes them away, with no failed call', async () => {
  const name = await deploy({ name: 'wide', concurrency: 1, max: 3 });
  const calls = Array.from({ length: 3 }, (_, k) => call(name, `/hold?tag=${k}&ms=60000`));
  const live = await until(
    'three serve',
    async () => {
      const found = await inState(name, 'live');
      return found.length === 3 ? found : null;
    },
    { deadlineMs: 30_000 },
  );
  // One that runs it already goes behind those who asked for it; who looks at the board last may not have asked yet.
  expect(new Set(live.map((i) => i.hotkey)).size).toBeGreaterThanOrEqual(2);
  for (const tag of ['0', '1', '2']) await release(name, tag);
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200]);
  await untilNone(name);
});

/** Ends the call with this tag, whichever program has it. */
async function release(name: string, tag: string): Promise<void> {
  await until(`${tag} is released`, async () => {
    const log = await (await network.request(`/chutes/${name}/logs`)).text();
    const origins = [...new Set(log.match(/http:\/\/127\.0\.0\.1:\d+/g))];
    const told = origins.map(
      async (origin) => ((await (await fetch(`${origin}/release?tag=${tag}`)).json()) as { released: boolean }).released,
    );
    return (await Promise.allSettled(told)).some((answer) => answer.status === 'fulfilled' && answer.value);
  });
}

test('a miner that dies while it starts an instance loses it to another, and the call that waits is answered', async () => {
  const name = await deploy({ name: 'slow', startMs: 3_000, max: 1 });
  const waiting = call(name, '/echo');
  const [first] = await until('somebody starts it', async () => {
    const found = await inState(name, 'starting');
    return found.length > 0 ? found : null;
  });
  const index = [0, 1, 2].find((i) => network.agent(i).hotkey === first?.hotkey) ?? 0;
  await network.agent(index).kill();
  expect((await waiting).status).toBe(200);
  const [now] = await inState(name, 'live');
  expect(now?.hotkey).not.toBe(first?.hotkey);
  await network.agent(index).restart();
});

test('one miner with two machines: both serve, under one hotkey', async () => {
  const bundle = await bundleMiner(network.folder.folder('bundle'));
  const home = network.folder.folder('two');
  const flags = ['--allow-account', network.account];
  const miners: Miner[] = [];
  try {
    const file = join(home, 'hotkey');
    const { ss58: hotkey } = hotkeyIn(file);
    for (const name of ['left', 'right'])
      miners.push(startMiner(bundle, join(home, name), network.api, [...flags, '--name', name, '--hotkey', file]));
    for (const miner of miners) await miner.says('link', (e) => e.state === 'up');
    const page = await until('both are connected', async () => {
      const told = (await (await network.request(`/miners/${hotkey}`)).json()) as { agents?: { connected: boolean }[] };
      return told.agents?.filter((a) => a.connected).length === 2 ? told : null;
    });
    expect(page.agents).toHaveLength(2);
  } finally {
    for (const miner of miners) await miner.clear();
  }
});
