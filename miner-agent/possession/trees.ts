/** Manifests of folders on this disk. Reading a large model takes minutes, so what did not change since is not read again. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listFiles, treeOf, type FolderTree } from '../../cli/pack/manifest.ts';

/** Folders remembered; 32 bytes a MiB each. */
const KEPT = 16;

export class Trees {
  readonly #kept = new Map<string, { state: string; tree: FolderTree }>();

  /** Throws `NoManifest`, or the reason of the signal. `progress` hears per cents, by tens. */
  async of(folder: string, signal: AbortSignal, progress: (share: number) => void): Promise<FolderTree> {
    const { state, total } = await stateOf(folder);
    const known = this.#kept.get(folder);
    if (known?.state === state) return this.#keep(folder, known);
    let read = 0;
    let told = 0;
    const tree = await treeOf(folder, signal, (bytes) => {
      read += bytes;
      const share = Math.floor((10 * read) / Math.max(1, total)) * 10;
      if (share > told) progress((told = share));
    });
    return this.#keep(folder, { state, tree });
  }

  /** As the one that was wanted last; the one unused the longest goes. */
  #keep(folder: string, known: { state: string; tree: FolderTree }): FolderTree {
    this.#kept.delete(folder);
    this.#kept.set(folder, known);
    for (const oldest of this.#kept.keys()) if (this.#kept.size > KEPT) this.#kept.delete(oldest);
    return known.tree;
  }
}

/** Names, sizes and times of all files. */
async function stateOf(folder: string): Promise<{ state: string; total: number }> {
  const files = await listFiles(folder);
  const parts: string[] = [];
  let total = 0;
  for (const { path, bytes } of files) {
    const found = await stat(join(folder, path)).catch(() => null);
    parts.push(`${path}\0${bytes}\0${found?.mtimeMs ?? 0}\0${found?.ino ?? 0}`);
    total += bytes;
  }
  return { state: parts.join('\n'), total };
}
