/** Room where instances keep files. */
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** MiB free for this user in the folder's file system, or where the folder would be made; null if the system does not say. */
export function diskFreeMb(folder: string): number | null {
  let at = folder;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  try {
    const { bavail, bsize } = statfsSync(at);
    return Math.floor((bavail * bsize) / 2 ** 20);
  } catch {
    return null;
  }
}
