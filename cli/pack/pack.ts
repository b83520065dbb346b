/**
 * A folder as one gzipped tar whose bytes depend on names, contents and the executable bit alone: the same folder gives the
 * same hash on any machine with the same zlib, so what did not change is not sent again.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Header, Pax } from 'tar';
import { LIMITS, type CodeRef, type Manifest } from '#protocol';
import { ManifestBuilder } from '#protocol/challenge/possession.ts';
import { usage, type Failure } from '../failure.ts';
import { fastSha256 } from './manifest.ts';
import { walkFolder, type Entry } from './walk.ts';

export interface Packed extends CodeRef {
  /** Of the files as they were packed. */
  manifest: Manifest;
  /** The gzipped tar. */
  data: Buffer<ArrayBuffer>;
  /** How many files are in it. */
  files: number;
}

/** The time of every entry: 1985-10-26, as npm packs; zero makes some programs complain. */
const MTIME = new Date(499_162_500_000);
const BLOCK = 512;

/** Packs a folder. Throws a `Failure` (wrong use) for what cannot or must not be packed, or above `LIMITS.codeBytes`. */
export async function packFolder(dir: string): Promise<Packed> {
  const entries = await walkFolder(dir);
  const files = entries.filter((entry) => entry.kind === 'file');
  if (files.length === 0)
    throw usage('code_empty', `${dir} has no file to pack.`, {
      hint: 'Look at .ripcordignore (or .gitignore): it may leave out everything.',
    });
  const builder = new ManifestBuilder(fastSha256);
  const data = await gzip(entries, builder, () => tooLarge(dir, files));
  const sha256 = createHash('sha256').update(data).digest('hex');
  const made = builder.done();
  if (made === null) throw new Error('files were packed and none was read');
  return { data, bytes: data.length, sha256, files: files.length, manifest: { root: made.root, leaves: made.leaves } };
}

async function gzip(entries: readonly Entry[], builder: ManifestBuilder, onTooLarge: () => Failure): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  await pipeline(tarBlocks(entries, builder), createGzip({ level: 9 }), async (zipped: AsyncIterable<Buffer>) => {
    for await (const chunk of zipped) {
      size += chunk.length;
      if (size > LIMITS.codeBytes) throw onTooLarge();
      chunks.push(chunk);
    }
  });
  const data = Buffer.concat(chunks);
  // The gzip header names the system that packed; "unknown" is the same everywhere.
  data[9] = 255;
  return data;
}

async function* tarBlocks(entries: readonly Entry[], builder: ManifestBuilder): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    yield* header(entry);
    if (entry.kind === 'file') yield* content(entry, builder);
  }
  yield Buffer.alloc(2 * BLOCK);
}

function* header(entry: Entry): Generator<Buffer> {
  const fields = {
    path: entry.kind === 'folder' ? `${entry.path}/` : entry.path,
    mode: entry.kind === 'file' && !entry.executable ? 0o644 : 0o755,
    size: entry.kind === 'file' ? entry.bytes : 0,
    type: entry.kind === 'file' ? ('File' as const) : entry.kind === 'folder' ? ('Directory' as const) : ('SymbolicLink' as const),
    mtime: MTIME,
    ...(entry.kind === 'link' ? { linkpath: entry.target } : {}),
  };
  const block = new Header(fields);
  // A name that the old header cannot hold goes into an extended header before it.
  if (block.encode()) {
    const long = { path: fields.path, ...(entry.kind === 'link' ? { linkpath: entry.target } : {}) };
    yield new Pax(long).encode();
  }
  if (block.block !== undefined) yield block.block;
}

async function* content(entry: Extract<Entry, { kind: 'file' }>, builder: ManifestBuilder): AsyncGenerator<Buffer> {
  let sent = 0;
  builder.begin(entry.path);
  for await (const chunk of createReadStream(entry.file) as AsyncIterable<Buffer>) {
    sent += chunk.length;
    builder.write(chunk);
    yield chunk;
  }
  builder.end();
  if (sent !== entry.bytes) throw usage('code_changed', `${entry.path} changed while it was packed.`, { hint: 'Run the command again.' });
  if (sent % BLOCK > 0) yield Buffer.alloc(BLOCK - (sent % BLOCK));
}

function tooLarge(dir: string, files: readonly Extract<Entry, { kind: 'file' }>[]): Failure {
  const biggest = files.toSorted((a, b) => b.bytes - a.bytes).slice(0, 5);
  const list = biggest.map((file) => `  ${size(file.bytes).padStart(9)}  ${file.path}`).join('\n');
  return usage('code_too_large', `${dir} packs to more than ${size(LIMITS.codeBytes)}. The biggest files:\n${list}`, {
    hint: 'Name what is not needed in .ripcordignore. Fetch weights when the program starts, or put them in an image.',
    extra: { limit_bytes: LIMITS.codeBytes, biggest: biggest.map(({ path, bytes }) => ({ path, bytes })) },
  });
}

/** Bytes for people: `12.3 MiB`. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const unit = bytes < 1024 ** 2 ? 1 : bytes < 1024 ** 3 ? 2 : 3;
  return `${(bytes / 1024 ** unit).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB'][unit]}`;
}
