/** Model caches: one folder per account, never shared between two. The one unused the longest goes when there are too many bytes. */
import { chmod, lstat, mkdir, opendir, readdir, utimes } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Entries looked at in one folder; a program that makes more is over any limit. */
const ENTRIES = 200_000;

export class ModelCache {
  readonly #folder: string;
  readonly #bytes: number;
  constructor(folder: string, bytes: number) {
    this.#folder = folder;
    this.#bytes = bytes;
  }

  /** The folder of an account. Its programs run as nobody, so it is open; nobody else gets through its parent. */
  async of(account: string): Promise<string> {
    const folder = join(this.#folder, createHash('sha256').update(account).digest('hex').slice(0, 32));
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await chmod(this.#folder, 0o700);
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o777);
    await utimes(folder, new Date(), new Date());
    return folder;
  }

  /** Empties folders that nobody uses, by `empty`, until the rest is inside the limit; returns how many. */
  async trim(inUse: ReadonlySet<string>, empty: (folder: string) => Promise<void>): Promise<number> {
    const folders = [];
    for (const name of await readdir(this.#folder).catch(() => [])) {
      const folder = join(this.#folder, name);
      folders.push({ folder, bytes: await sizeOf(folder), at: (await lstat(folder)).mtimeMs });
    }
    folders.sort((a, b) => a.at - b.at);
    let total = folders.reduce((sum, f) => sum + f.bytes, 0);
    let removed = 0;
    for (const { folder, bytes } of folders) {
      if (total <= this.#bytes) break;
      if (inUse.has(folder)) continue;
      await empty(folder);
      total -= bytes;
      removed++;
    }
    return removed;
  }
}

/** Bytes on disk of a folder that a stranger's program writes to: links are not followed, entries are bounded. */
export async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  let entries = 0;
  const open = [folder];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const dir = await opendir(next).catch(() => null);
    if (dir === null) continue;
    for await (const entry of dir) {
      if (++entries > ENTRIES) return Infinity;
      const path = join(next, entry.name);
      if (entry.isDirectory()) open.push(path);
      else bytes += ((await lstat(path).catch(() => null))?.blocks ?? 0) * 512;
    }
  }
  return bytes;
}
