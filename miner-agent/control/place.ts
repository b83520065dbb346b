/**
 * Where a running agent listens: `agent.sock` in its data folder. A Unix socket's path has room for about a hundred bytes;
 * where that is too little it lies in the folder for temporary files, and `agent.sock.at` tells where.
 */
import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Bytes: 108 on Linux and 104 elsewhere, the zero at the end included. */
const PATH_BYTES = 103;

/** For the agent, which has the data folder for itself: whatever lies at the place was left by one that crashed. */
export function takeSocketPath(dataFolder: string, temporary = tmpdir()): string {
  const inside = join(dataFolder, 'agent.sock');
  const note = join(dataFolder, 'agent.sock.at');
  rmSync(inside, { force: true });
  rmSync(note, { force: true });
  if (Buffer.byteLength(inside) <= PATH_BYTES) return inside;
  const hash = createHash('sha256').update(dataFolder).digest('hex').slice(0, 16);
  const outside = join(temporary, `ripcord-${hash}.sock`);
  rmSync(outside, { force: true });
  writeFileSync(note, outside, { mode: 0o600 });
  return outside;
}

/** For commands; null: no agent ever listened there, or what lies there is another user's. */
export function findSocketPath(dataFolder: string): string | null {
  for (const path of [join(dataFolder, 'agent.sock'), notedIn(dataFolder)]) {
    if (path === null) continue;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSocket() === true && (process.getuid === undefined || found.uid === process.getuid())) return path;
  }
  return null;
}

function notedIn(dataFolder: string): string | null {
  try {
    return readFileSync(join(dataFolder, 'agent.sock.at'), 'utf8').slice(0, 256);
  } catch {
    return null;
  }
}
