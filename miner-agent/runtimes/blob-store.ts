/** Packed code folders on disk, named by their SHA-256; what does not have its hash never gets its name. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { StartFailed } from './runtime.ts';

/** Packed folders kept for the next start of the same version. */
const KEPT = 32;

export class BlobStore {
  readonly #folder: string;
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The file of a blob that is here and whole, or null. */
  async find(sha256: string): Promise<string | null> {
    const file = this.#fileOf(sha256);
    try {
      const hash = createHash('sha256');
      await pipeline(createReadStream(file), hash);
      if (hash.digest('hex') !== sha256) return null;
      await utimes(file, new Date(), new Date());
      return file;
    } catch {
      return null;
    }
  }

  /** Starts taking in a blob; `owner` keeps two takes of one blob apart. */
  async take(sha256: string, owner: string): Promise<BlobWriter> {
    await mkdir(this.#folder, { recursive: true });
    await this.#prune();
    const part = `${this.#fileOf(sha256)}.${owner.replace(/[^A-Za-z0-9_-]/g, '')}.part`;
    return new BlobWriter(await open(part, 'w', 0o600), part, this.#fileOf(sha256), sha256);
  }

  #fileOf(sha256: string): string {
    return join(this.#folder, `${sha256}.tgz`);
  }

  async #prune(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith('.tgz'));
    if (names.length < KEPT) return;
    const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(this.#folder, name))).mtimeMs })));
    aged.sort((a, b) => a.at - b.at);
    for (const { name } of aged.slice(0, names.length - KEPT + 1)) await rm(join(this.#folder, name), { force: true });
  }
}

export class BlobWriter {
  readonly #handle: FileHandle;
  readonly #part: string;
  readonly #file: string;
  readonly #sha256: string;
  readonly #hash: Hash = createHash('sha256');
  constructor(handle: FileHandle, part: string, file: string, sha256: string) {
    this.#handle = handle;
    this.#part = part;
    this.#file = file;
    this.#sha256 = sha256;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.#handle.write(bytes);
  }

  /** The finished file. Throws `StartFailed` if the bytes are not those of the hash. */
  async done(): Promise<string> {
    await this.#handle.close();
    if (this.#hash.digest('hex') !== this.#sha256) {
      await rm(this.#part, { force: true });
      throw new StartFailed('the code that came does not have its SHA-256');
    }
    await rename(this.#part, this.#file);
    return this.#file;
  }

  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#part, { force: true });
  }
}
