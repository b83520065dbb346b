/** Removes a folder that a stranger's program wrote to: it may have taken the right to change folders from itself (Go's module cache does). */
import { chmodSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Whether nothing of it is left. Never throws. Only for what no program writes to any more. */
export function removeFolder(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    // Some folder of it is not to be changed, or something lies on it.
  }
  try {
    open(folder);
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

/** Links are not followed. */
function open(folder: string): void {
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (!lstatSync(next).isDirectory()) continue;
    chmodSync(next, 0o700);
    for (const entry of readdirSync(next, { withFileTypes: true })) if (entry.isDirectory()) waiting.push(join(next, entry.name));
  }
}
