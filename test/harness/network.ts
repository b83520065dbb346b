/** The whole network for a test: the parts of `npm start`, in a temporary folder, with handles to break them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentPart } from '../../dev/agent.ts';
import { DEMO_CHUTES, raiseDemo, type Demo, type DemoChute } from '../../dev/demo.ts';
import { openFolder, type DataFolder } from '../../dev/folder.ts';
import { raiseNetwork, ROOT, type Network } from '../../dev/network.ts';
import { tailOf, type Part } from '../../dev/supervise.ts';
import { workerdVersion } from '../../dev/workerd.ts';
import type { Beacon } from '../../dev/beacon/beacon.ts';
import type { ChainPart } from '../../dev/chain/start.ts';
import type { Character } from '../cheats/provers.ts';
import { TEST_BEACON } from './beacon.ts';

export { DEMO_CHUTES, type DemoChute };

export interface NetworkWish {
  /** How many miners; default 1. */
  agents?: number;
  /** Characters of the first miners, in order; those after them are honest. */
  characters?: readonly (Character | 'honest')[];
  /** What to deploy and wait for; default the chat chute alone. */
  chutes?: DemoChute[];
  /** Length of a scoring epoch; default 60. */
  epochSeconds?: number;
  /** Whether the stand-in chain runs, and how weights come to it; default none. */
  chain?: boolean | { commitReveal: boolean };
  /** Whether the judge runs; default false. */
  judge?: boolean;
  /** Whether the edge has its fault routes; default true. */
  faults?: boolean;
  /** Agents the edge holds at most. */
  maxAgents?: number;
  /** More bindings of the edge, and others instead. */
  vars?: Record<string, string>;
  /** Something between the edge and the bridge to Postgres: gets the bridge's address, gives its own. */
  between?: (bridge: string) => Promise<string>;
  /** Print what the parts say; default false. */
  loud?: boolean;
}

/** A program of the network that a test may break. */
export interface Breakable {
  readonly pid: number | undefined;
  /** SIGKILL; it stays down until `restart`. */
  kill(): Promise<void>;
  /** SIGKILL; the supervisor starts it again, as in production. */
  crash(): void;
  /** SIGSTOP and SIGCONT: a machine that hangs. */
  freeze(): void;
  thaw(): void;
  /** A polite stop; it stays down until `restart`. */
  stop(): Promise<void>;
  /** Stops it if it runs, and starts it. Resolves when it accepts connections (an agent: when its process runs). */
  restart(): Promise<void>;
  /** The end of its log. */
  log(lines?: number): string;
}

export interface TestNetwork extends Pick<Demo, 'api' | 'key' | 'account' | 'chutes'> {
  internalToken: string;
  databaseUrl: string;
  folder: DataFolder;
  /** Makes pulses, those that are not out yet too. */
  beacon: Beacon;
  /** Null: it was not wished for. */
  chain: ChainPart | null;
  edge: Breakable;
  postgres: Breakable;
  /** The i-th miner's agent, from 0. */
  agent(index: number): Breakable & { hotkey: string; agent: string };
  /** One cron tick of the edge. */
  cron(): Promise<Response>;
  /** Ticks of edge and judge once a slot from now on, as `npm start` has them. */
  tick(): void;
  /** A request with the demo key; a body that is no string is sent as JSON. */
  request(
    path: string,
    init?: { method?: string; body?: unknown; headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response>;
  /** Stops everything and removes the folder. Safe to call twice. */
  close(): Promise<void>;
}

export async function startNetwork(wish: NetworkWish = {}): Promise<TestNetwork> {
  const path = await mkdtemp(join(tmpdir(), 'ripcord-'));
  const folder = openFolder(path, { fresh: false, workerd: workerdVersion(ROOT) });
  const say = wish.loud ? (line: string) => console.error(line) : () => undefined;
  let network: Network | undefined;
  let agents: AgentPart[] = [];
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= closeAll());
  const closeAll = async () => {
    // Nobody waits for a polite good-bye here.
    await Promise.all(agents.map(({ part }) => part.stop('hard')));
    await network?.stop();
    folder.release();
    await rm(path, { recursive: true, force: true });
  };
  try {
    network = await raiseNetwork({
      folder,
      port: 0,
      epochSeconds: wish.epochSeconds ?? 60,
      beacon: TEST_BEACON,
      faults: wish.faults ?? true,
      durable: false,
      say,
      ...(wish.chain ? { chain: wish.chain === true ? { commitReveal: false } : wish.chain } : {}),
      ...(wish.vars === undefined ? {} : { vars: wish.vars }),
      ...(wish.between === undefined ? {} : { between: wish.between }),
      ...(wish.maxAgents === undefined ? {} : { maxAgents: wish.maxAgents }),
    });
    const chutes = wish.chutes ?? DEMO_CHUTES.slice(0, 1);
    const demo = await raiseDemo({
      network,
      folder,
      chutes,
      agents: wish.agents ?? 1,
      program: programOf(wish),
      judge: wish.judge ?? false,
      say,
    });
    agents = demo.agents;
    return { ...demo.facts, ...handles(network, folder, demo.facts.key), agent: (index) => agentAt(agents, index, folder), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A miner of another character runs the miner's command with another prover. */
function programOf({ characters = [] }: NetworkWish) {
  return (index: number): string[] | undefined => {
    const character = characters[index] ?? 'honest';
    return character === 'honest' ? undefined : [join(ROOT, 'test/cheats/agent.ts'), character];
  };
}

function handles(network: Network, folder: DataFolder, key: string) {
  const { api, internalToken, databaseUrl, beacon, chain } = network;
  return {
    internalToken,
    databaseUrl,
    beacon,
    chain,
    folder,
    edge: breakable(network.edge, folder.file('log', 'edge.log')),
    postgres: breakable(network.postgres, folder.file('log', 'postgres.log')),
    cron: () => fetch(`${api}/internal/cron`, { method: 'POST', headers: { authorization: `Bearer ${internalToken}` } }),
    tick: () => network.tick(),
    request: (path: string, { method, body, headers, signal }: Parameters<TestNetwork['request']>[1] & object = {}) =>
      fetch(`${api}${path}`, {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      }),
  };
}

function agentAt(agents: AgentPart[], index: number, folder: DataFolder) {
  const found = agents[index];
  if (!found) throw new Error(`There is no agent ${index}; the network has ${agents.length}.`);
  const { hotkey, agent, part } = found;
  return Object.assign(breakable(part, folder.file('log', `agent-${index}.log`)), { hotkey, agent });
}

function breakable(part: Part, logFile: string): Breakable {
  return {
    get pid() {
      return part.pid;
    },
    kill: () => part.stop('hard'),
    crash: () => part.signal('SIGKILL'),
    freeze: () => part.signal('SIGSTOP'),
    thaw: () => part.signal('SIGCONT'),
    stop: () => part.stop(),
    async restart() {
      await part.stop();
      await part.start();
    },
    log: (lines = 30) => tailOf(logFile, lines),
  };
}
