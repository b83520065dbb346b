/**
 * One agent per data folder, and a newer one takes over from an older: it asks it to drain and waits until it has left. Beside one that
 * leaves already it waits too; beside any other it may not run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod/mini';
import { isOlder } from './connection/troubles.ts';
import { askAgent } from './control/client.ts';
import { statusSchema } from './control/status.ts';
import { AGENT_VERSION } from './inventory.ts';
import { takeFolder } from './runtimes/leftovers.ts';

const LOOK_MS = 100;

export interface TakeOver {
  dataFolder: string;
  /** Told once when there is somebody to wait for. */
  waits: (detail: string) => void;
  /** Ends the waiting. */
  signal: AbortSignal;
}

/** Null: the folder is ours. Else why not, in one line. */
export async function takeOver({ dataFolder, waits, signal }: TakeOver): Promise<string | null> {
  const pid = takeFolder(dataFolder);
  if (pid === null) return null;
  const status = await askAgent(dataFolder, ['GET', '/status'], statusSchema).catch(() => null);
  const leaves = status !== null && (status.draining || (isOlder(status.version, AGENT_VERSION) && (await asked(dataFolder))));
  if (!leaves) return `another agent (pid ${pid}) uses ${dataFolder}; end it with ripcord-miner drain, or give this one its own --data`;
  waits(`the agent with pid ${pid} (${status.version}) leaves; this one starts when its calls have ended`);
  while (!signal.aborted) {
    if (takeFolder(dataFolder) === null) return null;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  }
  return `another agent (pid ${pid}) still uses ${dataFolder}`;
}

/** Whether it was asked to drain, and will. */
async function asked(dataFolder: string): Promise<boolean> {
  return askAgent(dataFolder, ['POST', '/drain'], z.unknown(), {}).then(
    () => true,
    () => false,
  );
}
