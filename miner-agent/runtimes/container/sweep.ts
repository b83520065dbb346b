/** Empties a cache. Its files are nobody's, so an agent without root cannot remove them; a container of ours that is nobody can. */
import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Containers } from './containers.ts';
import { nodeMounts } from './relay.ts';
import { CACHE, NOBODY, relayContainer } from './settings.ts';

const SWEEP_MS = 120_000;

const PROGRAM = `const fs = require('node:fs');
for (const name of fs.readdirSync("${CACHE}/")) fs.rmSync("${CACHE}/" + name, { recursive: true, force: true });`;

/** Never throws: what stays is tried again when space is short the next time. */
export async function empty(host: Containers, folder: string): Promise<void> {
  const left = await removeDirectly(folder);
  if (left) await sweep(host, folder).catch(() => {});
}

async function removeDirectly(folder: string): Promise<boolean> {
  try {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
    return false;
  } catch {
    return true;
  }
}

/** By a container of ours; the folder itself stays. Throws what the engine says. */
export async function sweep(host: Containers, folder: string): Promise<void> {
  const id = `sweep_${randomBytes(8).toString('hex')}`;
  const name = `ripcord-${id}`;
  try {
    await host.engine.create(
      name,
      relayContainer({
        image: await host.relayImage(),
        user: `${NOBODY}:${NOBODY}`,
        command: [process.execPath, '-e', PROGRAM],
        mounts: [...nodeMounts(), { Type: 'bind', Source: folder, Target: CACHE, ReadOnly: false }],
        own: host.own,
        labels: host.labels(id, 'chute'),
      }),
    );
    await host.engine.start(name);
    await host.engine.wait(name, SWEEP_MS, AbortSignal.timeout(SWEEP_MS));
  } finally {
    await host.removeSurely(name, () => {});
  }
}
