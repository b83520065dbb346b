/**
 * The real path with everything on: Postgres, the edge, an account with a key and credit, a priced chute whose engine is the stub, and one
 * agent that reaches it by its `url` runtime. The same network `npm start` raises, in a folder of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chuteConfigSchema, type ChuteConfig } from '#protocol';
import { Client } from '../../../cli/client.ts';
import { DEMO_NANOUSD, giveCredit } from '../../../dev/credit.ts';
import { openFolder, type DataFolder } from '../../../dev/folder.ts';
import { hotkeyIn } from '../../../dev/hotkeys.ts';
import { raiseNetwork, ROOT, type Network } from '../../../dev/network.ts';
import { workerdVersion } from '../../../dev/workerd.ts';
import { chatBody, MODEL, WIDE_MODEL } from '../ask.ts';
import type { IdleEdge } from '../idle/idle.ts';
import type { Target } from './target.ts';

export interface AttachOptions {
  origin: string;
  key: string;
  /** `edge=123,agent=456` */
  pids: string;
}

/** A network that runs already. */
export function attachRipcord(options: AttachOptions): Target {
  const processes = options.pids
    .split(',')
    .filter((pair) => pair !== '')
    .map((pair) => pair.split('='))
    .map(([role, pid]) => ({ role: role ?? '', pid: Number(pid) }));
  return {
    name: 'ripcord',
    origin: options.origin,
    headers: { authorization: `Bearer ${options.key}` },
    processes,
    concurrency: Number.POSITIVE_INFINITY,
    version: 'attached',
    close: async () => {},
  };
}

interface Raised {
  network: Network;
  folder: DataFolder;
  close: () => Promise<void>;
}

async function raise(data: string): Promise<Raised> {
  const path = mkdtempSync(join(data, 'ripcord-bench-'));
  const folder = openFolder(path, { fresh: false, workerd: workerdVersion(ROOT) });
  const ask = { folder, port: 0, epochSeconds: 3600, say: () => {} };
  const network = await raiseNetwork(ask).catch((error: unknown) => {
    folder.release();
    rmSync(path, { recursive: true, force: true });
    throw error;
  });
  const close = async () => {
    await network.stop();
    folder.release();
    rmSync(path, { recursive: true, force: true });
  };
  return { network, folder, close };
}

/** Calls one instance takes. */
const SLOTS = 256;
/** Every call is paid, from a lease; nano-USD. */
const PRICE = { input_per_million: 1_000_000, output_per_million: 1_000_000, per_request: 10 };
/** Agents of the wide chute; the first one also serves the other, alone. */
const AGENTS = 3;

/** `data`: the folder that the network's own folder is made in. */
export async function startRipcord(engine: string, data: string): Promise<Target & { network: Network }> {
  const { network, folder, close } = await raise(data);
  try {
    const owner = new Client({ api: network.api, hotkey: hotkeyIn(folder.file('demo-hotkey')) });
    const { account_id: account } = await owner.signUp(handleOf(MODEL));
    await giveCredit(network.databaseUrl, account, DEMO_NANOUSD, 'bench');
    const { secret_key: key } = await owner.createKey({ name: 'bench', scopes: ['invoke', 'read', 'write', 'keys'] });
    const deployer = new Client({ api: network.api, key });
    await deployer.deploy(configOf(MODEL, 1), null);
    await deployer.deploy(configOf(WIDE_MODEL, AGENTS), null);
    const agents: number[] = [];
    for (let i = 0; i < AGENTS; i++)
      agents.push(await startAgent(network, folder, i, i === 0 ? [MODEL, WIDE_MODEL] : [WIDE_MODEL], engine));
    await untilLive(deployer, MODEL, 1);
    await untilLive(deployer, WIDE_MODEL, AGENTS);
    return {
      name: 'ripcord',
      origin: network.api,
      headers: { authorization: `Bearer ${key}` },
      processes: [{ role: 'edge', pid: network.edge.pid ?? 0 }, ...agents.map((pid) => ({ role: 'agent', pid }))],
      concurrency: SLOTS * AGENTS,
      version: `workerd ${workerdVersion(ROOT)}`,
      network,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function handleOf(model: string): string {
  return model.slice(0, model.indexOf('/'));
}

function configOf(model: string, instances: number): ChuteConfig {
  const name = model.slice(model.indexOf('/') + 1);
  const scale = { concurrency: SLOTS, min: instances, max: instances };
  return chuteConfigSchema.parse({ name, template: 'openai', command: ['unused'], price: PRICE, ...scale });
}

async function startAgent(network: Network, folder: DataFolder, index: number, models: string[], engine: string): Promise<number> {
  const home = folder.folder('agents', String(index));
  const keyFile = join(home, 'hotkey');
  hotkeyIn(keyFile);
  const flags = { api: network.api, hotkey: keyFile, name: 'bench', data: home };
  const part = await network.add({
    name: `agent ${index}`,
    log: `agent-${index}`,
    command: process.execPath,
    args: [
      join(ROOT, 'miner-agent/bin.ts'),
      'up',
      ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
      ...models.flatMap((model) => ['--url', `${model}=${engine}`]),
    ],
    env: process.env,
    cwd: home,
    stopSignal: 'SIGTERM',
    graceMs: 3_000,
    ready: () => sleep(0),
  });
  return part.pid ?? 0;
}

/** Until this many instances of the chute are live and it answers. */
async function untilLive(client: Client, model: string, instances: number): Promise<void> {
  const deadline = performance.now() + 60_000;
  const body = chatBody({ run: 0, index: 0, rate: 0, tokens: 1, model });
  for (; ; await sleep(100)) {
    const chute = await client.chute(model);
    const live = chute.instances.filter((i) => i.state === 'live').length;
    const reply = await client.request('POST', '/v1/chat/completions', { body, headers: { 'content-type': 'application/json' } });
    const text = await reply.text();
    if (reply.ok && live >= instances) return;
    if (performance.now() > deadline) throw new Error(`${model}: ${live} of ${instances} instances, ${reply.status} ${text.slice(0, 300)}`);
  }
}

/** A fresh network without agents, whose edge can be killed. */
export async function startRipcordEdge(data: string): Promise<IdleEdge> {
  const { network, close } = await raise(data);
  return {
    mode: 'ripcord',
    origin: network.api,
    pid: () => network.edge.pid ?? 0,
    restart: async () => {
      const before = network.edge.pid;
      network.edge.signal('SIGKILL');
      // The supervisor starts it again; until then there is no process, or still the old one.
      const deadline = performance.now() + 30_000;
      while (network.edge.pid === undefined || network.edge.pid === before) {
        if (performance.now() > deadline) throw new Error('the edge was not started again');
        await sleep(10);
      }
    },
    close,
  };
}
