/** What this machine says: files, disk, GPUs, the container engine, engines of the operator's own. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { diskFreeMb } from '../inventory/disk.ts';
import { loadHotkey, type Hotkey } from '../identity/hotkey.ts';
import { Engine } from '../runtimes/container/engine.ts';
import { engineSockets } from '../runtimes/container/probe.ts';
import { holderOf } from '../runtimes/leftovers.ts';
import { healthOf } from '../runtimes/health.ts';
import type { Config } from '../config.ts';
import type { Facts, Found } from './facts.ts';

export function readHotkey(file: string): { found: Facts['hotkey']; hotkey: Hotkey | null } {
  try {
    const hotkey = loadHotkey(file);
    return { found: { is: { ss58: hotkey.ss58, file, mode: statSync(file).mode & 0o777 } }, hotkey };
  } catch (error) {
    return { found: { problem: error instanceof Error ? error.message : 'unreadable' }, hotkey: null };
  }
}

/** A folder that is not there yet counts as writable where it can be made. */
export function readData(folder: string): Facts['data'] {
  let at = folder;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  try {
    accessSync(at, constants.W_OK | constants.X_OK);
    return { is: { folder, pid: at === folder ? holderOf(folder) : null } };
  } catch (error) {
    return { problem: `${folder} cannot be written (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'})` };
  }
}

/** The first engine that answers; if none does, the first that should. */
export async function readEngine(configured: string | null): Promise<Facts['engine']> {
  const silent: { socket: string; problem: string }[] = [];
  for (const socket of engineSockets(configured)) {
    if (!existsSync(socket)) {
      if (configured !== null) silent.push({ socket, problem: 'there is no such socket' });
      continue;
    }
    const found = await engineAt(socket);
    if ('is' in found) return { socket, ...found.is };
    silent.push({ socket, problem: found.problem });
  }
  return silent[0] ?? null;
}

/** Milliseconds an engine has to answer. */
const ENGINE_MS = 4_000;

async function engineAt(socket: string): Promise<Found<{ facts: string; rootFreeMb: number | null }>> {
  try {
    const engine = new Engine(socket);
    const late = new Promise<never>((_, reject) =>
      setTimeout(() => reject(new Error(`no answer within ${ENGINE_MS / 1000} s`)), ENGINE_MS).unref(),
    );
    const [version, info] = await Promise.race([Promise.all([engine.version(), engine.info()]), late]);
    const rootless = info.rootless ? ', rootless' : '';
    return {
      is: { facts: `${version.version} at ${socket}${rootless}`, rootFreeMb: existsSync(info.root) ? diskFreeMb(info.root) : null },
    };
  } catch (error) {
    return { problem: error instanceof Error ? (error.message.split('\n')[0] ?? '').slice(0, 160) : 'unknown' };
  }
}

const HEALTH_MS = 5_000;

/** `/health` is what most have; an engine without it is well as long as it answers. */
export function readEngines(engines: Config['engines']): Promise<Facts['engines']> {
  return Promise.all(
    engines.map(async ({ chute, url }) => {
      const said = await healthOf({ url, socketPath: null }, '/health', AbortSignal.timeout(HEALTH_MS));
      const status = Number(said);
      const well = status >= 200 && status < 500;
      return { chute, problem: well ? null : `${url.origin} gave ${said} for /health` };
    }),
  );
}
