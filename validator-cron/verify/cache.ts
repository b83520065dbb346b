/** Files known by their SHA-256, kept in a folder: a verification that was broken off goes on where it stopped. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export class Cache {
  readonly #folder: string;
  #parts = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where a file lies, or will. */
  pathOf(sha256: string): string {
    return join(this.#folder, sha256.slice(0, 2), sha256);
  }

  /** Null where it is not there; one that does not have its hash any more is thrown away. */
  async get(sha256: string): Promise<Uint8Array | null> {
    const bytes = await readFile(this.pathOf(sha256)).catch(() => null);
    if (bytes === null) return null;
    if (hashOf(bytes) === sha256) return bytes;
    await rm(this.pathOf(sha256), { force: true });
    return null;
  }

  /** Whole or not at all. */
  async put(sha256: string, bytes: Uint8Array): Promise<void> {
    const path = this.pathOf(sha256);
    await mkdir(join(this.#folder, sha256.slice(0, 2)), { recursive: true });
    // The same bytes may come twice at once: small folders are opened alike.
    const part = `${path}.${process.pid}.${this.#parts++}`;
    await writeFile(part, bytes);
    await rename(part, path);
  }
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
