/** Unpacks a stranger's code folder: files and folders only, inside the target only, bounded in number and size. */
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Transform } from 'node:stream';
import * as tar from 'tar';
import { StartFailed } from './runtime.ts';

const UNPACK_LIMITS = {
  /** Bytes of all files together; a small archive can hold very large ones. */
  bytes: 256 * 1024 * 1024,
  files: 10_000,
  pathBytes: 512,
  depth: 32,
} as const;

/**
 * Unpacks `archive` (gzipped tar) into the new folder `into`. The whole archive is looked through before a byte of it is
 * written. Throws `StartFailed`.
 */
export async function unpack(archive: string, into: string, limits: { bytes: number; files: number } = UNPACK_LIMITS): Promise<void> {
  try {
    await inspect(archive, limits);
    await mkdir(into, { recursive: true });
    const extractor = tar.x({
      cwd: into,
      strict: true,
      preservePaths: false,
      preserveOwner: false,
      noMtime: true,
      umask: 0o022,
      maxDepth: UNPACK_LIMITS.depth,
    });
    await pipeline(createReadStream(archive), createGunzip(), atMost(limits.bytes), extractor);
  } catch (error) {
    if (error instanceof StartFailed) throw error;
    throw new StartFailed(`the code folder cannot be unpacked (${error instanceof Error ? error.message.slice(0, 120) : 'unknown'})`);
  }
}

async function inspect(archive: string, limits: { bytes: number; files: number }): Promise<void> {
  let files = 0;
  let problem: string | null = null;
  const parser = new tar.Parser({
    strict: true,
    onReadEntry: (entry) => {
      problem ??= entryProblem(entry.path, entry.type) ?? (++files > limits.files ? `more than ${limits.files} files` : null);
      entry.resume();
    },
  });
  await pipeline(createReadStream(archive), createGunzip(), atMost(limits.bytes), parser);
  if (problem !== null) throw new StartFailed(`the code folder is not safe to unpack: ${String(problem)}`);
}

const PLAIN = new Set(['File', 'OldFile', 'ContiguousFile', 'Directory']);

/** Why this entry may not be unpacked, or null. */
function entryProblem(path: string, type: string): string | null {
  const shown = JSON.stringify(path.slice(0, 80));
  if (!PLAIN.has(type)) return `${shown} is a ${type || 'thing without type'}`;
  if (Buffer.byteLength(path) > UNPACK_LIMITS.pathBytes) return `the path ${shown} is too long`;
  if (path.startsWith('/') || path.includes('\\') || path.includes('\0') || /^[A-Za-z]:/.test(path))
    return `the path ${shown} is absolute or not a plain one`;
  if (path.split('/').includes('..')) return `the path ${shown} leads out`;
  return null;
}

/** Bytes after decompression, headers and padding included. */
function atMost(bytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.byteLength;
      if (seen > bytes) done(new StartFailed(`the code folder is not safe to unpack: more than ${bytes} bytes`));
      else done(null, chunk);
    },
  });
}
