/** A miner's agent beside the edge: the program a miner runs, with a hotkey and a folder of its own. */
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { challengeReplySchema } from '#protocol';
import { PidNotes } from '../miner-agent/runtimes/leftovers.ts';
import { StartFailure } from './failure.ts';
import type { DataFolder } from './folder.ts';
import { hotkeyIn } from './hotkeys.ts';
import { ROOT, type Network } from './network.ts';
import type { Part } from './supervise.ts';

export interface AgentAsk {
  network: Network;
  folder: DataFolder;
  /** From 0; each agent is a miner of its own. */
  index: number;
  /** Commands of this account's chutes may run here, without a container. */
  allowAccount: string;
  /** What runs instead of the miner's command, script and first arguments; for tests. */
  program?: readonly string[];
}

export interface AgentPart {
  hotkey: string;
  agent: string;
  part: Part;
}

const MINER = [join(ROOT, 'miner-agent/bin.ts')];
/** Calls that run when everything is stopped may go on this long. */
const DRAIN_SECONDS = 1;
/** Room for what a visitor deploys, and for the new version of it beside the old one. */
const MAX_INSTANCES = 32;
/** Time to end calls and programs before it is killed. */
const GRACE_MS = 5_000;

export async function startAgent({ network, folder, index, allowAccount, program = MINER }: AgentAsk): Promise<AgentPart> {
  const home = folder.folder('agents', String(index));
  const keyFile = join(home, 'hotkey');
  const { ss58: hotkey } = hotkeyIn(keyFile);
  await network.chain?.register(hotkey);
  const name = 'local';
  const agent = await agentId(network.api, hotkey, name);
  const flags = {
    api: network.api,
    hotkey: keyFile,
    name,
    data: home,
    region: 'local',
    'allow-account': allowAccount,
    drain: String(DRAIN_SECONDS),
    'max-instances': String(MAX_INSTANCES),
  };
  const part = await network.add({
    name: `agent ${index}`,
    log: `agent-${index}`,
    command: process.execPath,
    // A miner who has a config of their own does not mean this agent.
    args: [...program, 'up', '--no-config', ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])],
    // Chutes that say `node` get this one.
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` },
    cwd: home,
    stopSignal: 'SIGTERM',
    // Its programs run in groups of their own; a killed agent cannot end them.
    after: () => void new PidNotes(home).reap(),
    graceMs: GRACE_MS,
    // It connects by itself, again and again; whether it serves is asked by a call.
    ready: () => sleep(0),
  });
  return { hotkey, agent, part };
}

/** The edge derives an agent's id from hotkey and name; asking for a challenge tells it. */
async function agentId(api: string, hotkey: string, name: string): Promise<string> {
  const reply = await fetch(`${api}/agents/challenge`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hotkey, name }),
  });
  const parsed = challengeReplySchema.safeParse(await reply.json().catch(() => null));
  if (!parsed.success) throw new StartFailure(`The edge does not know agents (HTTP ${reply.status}).`);
  return parsed.data.agent;
}
