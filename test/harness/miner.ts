/** A miner who has nothing but one file: `ripcord-miner up` as a program of its own, in an empty folder. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { hotkeyIn } from '../../dev/hotkeys.ts';
import { ROOT } from '../../dev/network.ts';
import type { AgentEvent } from '../../miner-agent/display.ts';
import { PidNotes } from '../../miner-agent/runtimes/leftovers.ts';
import { until } from './until.ts';

export interface Miner {
  hotkey: string;
  /** What it said so far. */
  events: AgentEvent[];
  stderr(): string;
  /** Resolves with the first event that fits, of those said and to come. */
  says<E extends AgentEvent['event']>(event: E, fits?: (e: Extract<AgentEvent, { event: E }>) => boolean): Promise<AgentEvent>;
  /** SIGKILL of the agent alone: its programs stay. */
  kill(): Promise<unknown>;
  /** Signal to end; the exit code. */
  stop(): Promise<number | null>;
  /** Ends the agent and whatever it left. */
  clear(): Promise<void>;
}

/** The agent packed into one file, as a miner gets it. */
export async function bundleMiner(folder: string): Promise<string> {
  const file = join(folder, 'ripcord-miner.mjs');
  await promisify(execFile)(process.execPath, [join(ROOT, 'miner-agent/bundle.ts'), file], { cwd: ROOT });
  return file;
}

/** Starts it in `folder`, which is empty or was this miner's before. */
export function startMiner(bundle: string, folder: string, api: string, flags: string[]): Miner {
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  const [hotkeyFile, data, program] = ['hotkey', 'data', 'ripcord-miner.mjs'].map((name) => join(folder, name)) as [string, string, string];
  if (readdirSync(folder).length === 0) copyFileSync(bundle, program);
  const { ss58: hotkey } = hotkeyIn(hotkeyFile);
  const args = [program, 'up', '--api', api, '--hotkey', hotkeyFile, '--data', data, '--json', ...flags];
  const child = spawn(process.execPath, args, {
    cwd: folder,
    // No PATH of the checkout: `node` in a command is this one.
    env: { HOME: folder, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  const heard = listen(child);
  const stop = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return exit;
  };
  return {
    hotkey,
    ...heard,
    says: (event, fits = () => true) =>
      until(`the miner says ${event}`, () => heard.events.find((e) => e.event === event && fits(e as never)), { deadlineMs: 30_000 }),
    kill: () => stop('SIGKILL'),
    stop: () => stop('SIGTERM'),
    async clear() {
      await stop('SIGKILL');
      if (existsSync(data)) new PidNotes(data).reap();
    },
  };
}

function listen(child: ChildProcess): Pick<Miner, 'events' | 'stderr'> {
  const events: AgentEvent[] = [];
  let rest = '';
  let stderr = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    const lines = (rest + bytes.toString()).split('\n');
    rest = lines.pop() ?? '';
    events.push(...lines.map((line) => JSON.parse(line) as AgentEvent));
  });
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  return { events, stderr: () => stderr };
}
