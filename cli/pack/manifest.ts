/** A folder on disk as its manifest, and single leaves out of it again. For code, every file that is there; for weights too. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_LEAVES, LEAF_BYTES, leafHash, leafOf, leavesOf, ManifestBuilder, pathOf } from '#protocol/challenge/possession.ts';
import type { OpenedLeaf } from '#protocol/challenge/possession.ts';
import type { Manifest } from '#protocol';

/** Files of one folder, and folders in folders; more is a folder that was not meant. */
const BOUNDS = { files: 20_000, depth: 32 } as const;
type Bounds = Record<keyof typeof BOUNDS, number>;
/** Bytes that one read brings. */
const READ_BYTES = 1024 * 1024;

export interface ListedFile {
  /** With slashes, relative to the folder. */
  path: string;
  bytes: number;
}

/** What a prover keeps of a folder: which file each leaf is of, and one hash per `BLOCK_LEAVES` leaves. */
export interface FolderTree extends Manifest {
  files: readonly (ListedFile & { first: number })[];
  blocks: readonly Uint8Array[];
}

/** The folder cannot be read, or is not one that has a manifest; the message says why. */
export class NoManifest extends Error {
  override readonly name = 'NoManifest';
}

export const fastSha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

/** The files of a folder in the order of a manifest. A link counts as what it leads to. Throws `NoManifest`. */
export async function listFiles(folder: string, bounds: Bounds = BOUNDS): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  await list(folder, '', 0, files, bounds);
  return files.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

async function list(folder: string, inside: string, depth: number, files: ListedFile[], bounds: Bounds): Promise<void> {
  if (depth > bounds.depth) throw new NoManifest(`folders in more than ${bounds.depth} folders`);
  for (const name of await readdir(join(folder, inside)).catch(unreadable)) {
    const path = inside === '' ? name : `${inside}/${name}`;
    const found = await stat(join(folder, path)).catch(unreadable);
    if (found.isDirectory()) await list(folder, path, depth + 1, files, bounds);
    else if (found.isFile()) files.push({ path, bytes: found.size });
    else throw new NoManifest(`${path} is neither a file nor a folder`);
    if (files.length > bounds.files) throw new NoManifest(`more than ${bounds.files} files`);
  }
}

/** Reads every file. Throws `NoManifest`, or the reason of the signal. `read` hears of bytes. */
export async function treeOf(folder: string, signal?: AbortSignal, read: (bytes: number) => void = () => {}): Promise<FolderTree> {
  const listed = await listFiles(folder);
  const builder = new ManifestBuilder(fastSha256);
  for (const file of listed) {
    builder.begin(file.path);
    let bytes = 0;
    const stream = createReadStream(join(folder, file.path), { highWaterMark: READ_BYTES });
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        signal?.throwIfAborted();
        bytes += chunk.length;
        builder.write(chunk);
        read(chunk.length);
      }
    } catch (error) {
      signal?.throwIfAborted();
      unreadable(error);
    }
    if (bytes !== file.bytes) throw new NoManifest(`${file.path} changed while it was read`);
    builder.end();
  }
  const manifest = builder.done();
  if (manifest === null) throw new NoManifest('there is no file in it');
  let first = 0;
  const files = listed.map((file) => {
    const entry = { ...file, first };
    first += leavesOf(file.bytes);
    return entry;
  });
  return { ...manifest, files };
}

/**
 * Leaves (their numbers rising) with their ways to the root, out of the folder as it is now. Every block is read once. Throws
 * `NoManifest`.
 */
export async function openLeaves(folder: string, tree: FolderTree, indexes: readonly number[]): Promise<OpenedLeaf[]> {
  const opened: OpenedLeaf[] = [];
  let block: Block | null = null;
  for (const index of indexes) {
    const number = Math.floor(index / BLOCK_LEAVES);
    if (block?.number !== number) block = await readBlock(folder, tree, number);
    const at = index - number * BLOCK_LEAVES;
    const leaf = block.leaves[at];
    if (leaf === undefined) throw new NoManifest(`there is no leaf ${index}`);
    opened.push({ leaf, path: [...pathOf(block.hashes, at, fastSha256), ...block.above] });
  }
  return opened;
}

interface Block {
  number: number;
  leaves: readonly Uint8Array[];
  hashes: readonly Uint8Array[];
  /** The way from the block's own root up. */
  above: readonly Uint8Array[];
}

async function readBlock(folder: string, tree: FolderTree, number: number): Promise<Block> {
  const from = number * BLOCK_LEAVES;
  const leaves = await readLeaves(folder, tree, from, Math.min(from + BLOCK_LEAVES, tree.leaves));
  return { number, leaves, hashes: leaves.map((leaf) => leafHash(leaf, fastSha256)), above: pathOf(tree.blocks, number, fastSha256) };
}

async function readLeaves(folder: string, { files }: FolderTree, from: number, to: number): Promise<Uint8Array[]> {
  const leaves: Uint8Array[] = [];
  for (const file of files.slice(fileOf(files, from))) {
    if (file.first >= to) break;
    const begin = Math.max(0, from - file.first);
    const end = Math.min(leavesOf(file.bytes), to - file.first);
    const bytes = await readPart(join(folder, file.path), begin * LEAF_BYTES, Math.min(file.bytes, end * LEAF_BYTES));
    for (let piece = begin; piece < end; piece++) {
      const at = (piece - begin) * LEAF_BYTES;
      leaves.push(leafOf(file.path, piece, bytes.subarray(at, at + LEAF_BYTES)));
    }
  }
  return leaves;
}

/** The place of the file that holds a leaf. */
function fileOf(files: FolderTree['files'], leaf: number): number {
  let low = 0;
  let high = files.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((files[middle]?.first ?? 0) <= leaf) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A pipe in the place of a file would keep who opens it waiting for ever. */
const AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Fewer bytes where the file has become shorter. */
async function readPart(file: string, from: number, to: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, to - from));
  if (bytes.length === 0) return bytes;
  const handle = await open(file, AT_ONCE).catch(unreadable);
  try {
    if (!(await handle.stat()).isFile()) throw new NoManifest('it is no file any more');
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, from + at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes.subarray(0, at);
  } finally {
    await handle.close();
  }
}

function unreadable(error: unknown): never {
  if (error instanceof NoManifest) throw error;
  throw new NoManifest(error instanceof Error && 'code' in error ? `it cannot be read (${String(error.code)})` : 'it cannot be read');
}
