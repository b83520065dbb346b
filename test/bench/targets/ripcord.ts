/**
 * The real path with everything on: Postgres, the edge, an account with a key, a chute whose engine is the stub, and one
 * agent that reaches it by its `url` runtime. The same network `npm start` raises, in a folder of its own.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../../cli/client.ts';
import { openFolder, type DataFolder } from '../../../dev/folder.ts';
import { hotkeyIn } from '../../../dev/hotkeys.ts';
import { raiseNetwork, ROOT, type Network } from '../../../dev/network.ts';
import { workerdVersion } from '../../../dev/workerd.ts';
import { chatBody, MODEL } from '../ask.ts';
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
  close(): Promise<void>;
}

async function raise(): Promise<Raised> {
  const path = mkdtempSync(join(tmpdir(), 'ripcord-bench-'));
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

/** Calls one instance takes, and instances: 512 streams and some must fit. */
const SLOTS = 256;
const INSTANCES = 3;

export async function startRipcord(engine: string): Promise<Target> {
  const { network, folder, close } = await raise();
  try {
    const owner = new Client({ api: network.api, hotkey: hotkeyIn(folder.file('demo-hotkey')) });
    const [handle, name] = MODEL.split('/');
    const { account_id: account } = await owner.signUp(handle ?? '');
    const { secret_key: key } = await owner.createKey({ name: 'bench', scopes: ['invoke', 'read', 'write', 'keys'] });
    const config = chuteConfigSchema.parse({
      name,
      public: true,
      template: 'openai',
      command: ['unused'],
      concurrency: SLOTS,
      min: INSTANCES,
      max: INSTANCES,
    });
    await new Client({ api: network.api, key }).deploy(config, null);
    const agent = await startAgent(network, folder, engine, account);
    const headers = { authorization: `Bearer ${key}` };
    await untilLive(network.api, headers);
    return {
      name: 'ripcord',
      origin: network.api,
      headers,
      processes: [
        { role: 'edge', pid: network.edge.pid ?? 0 },
        { role: 'agent', pid: agent },
      ],
      concurrency: SLOTS * INSTANCES,
      version: workerdVersion(ROOT),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startAgent(network: Network, folder: DataFolder, engine: string, account: string): Promise<number> {
  const home = folder.folder('agents', 'bench');
  const keyFile = join(home, 'hotkey');
  hotkeyIn(keyFile);
  const config = join(home, 'miner.toml');
  writeFileSync(config, `[chutes."${MODEL}"]\nurl = "${engine}"\ninstances = ${INSTANCES}\n`);
  const flags = { edge: network.api, hotkey: keyFile, name: 'bench', data: home, 'allow-account': account, config };
  const part = await network.add({
    name: 'agent',
    log: 'agent',
    command: process.execPath,
    args: [
      join(ROOT, 'miner-agent/main.ts'),
      'up',
      ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
    ],
    env: process.env,
    cwd: home,
    stopSignal: 'SIGTERM',
    graceMs: 3_000,
    ready: () => sleep(0),
  });
  return part.pid ?? 0;
}

/** Until every instance serves, or at least one has for a while. */
async function untilLive(api: string, headers: Record<string, string>): Promise<void> {
  const deadline = performance.now() + 60_000;
  const body = chatBody({ run: 0, index: 0, rate: 0, tokens: 1 });
  for (let last = ''; ; await sleep(100)) {
    const reply = await fetch(`${api}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    });
    last = `${reply.status} ${(await reply.text()).slice(0, 300)}`;
    if (reply.ok) return;
    if (performance.now() > deadline) throw new Error(`no answer through the network: ${last}`);
  }
}

/** A fresh network without agents, whose edge can be killed. */
export async function startRipcordEdge(): Promise<IdleEdge> {
  const { network, close } = await raise();
  return {
    mode: 'ripcord',
    origin: network.api,
    pid: () => network.edge.pid ?? 0,
    restart: async () => {
      const before = network.edge.pid;
      network.edge.kill();
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
