/** Where a secret comes from: never the command line, where other users of the machine and its history see it. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { interrupted, usage } from './failure.ts';
import { write, type Io } from './io.ts';

export interface SecretSource {
  fromFile?: string;
  fromEnv?: string;
}

/** Bytes that are read of a file or a pipe; the service takes less. */
const MOST = 64 * 1024;

/** From the file or variable that is named, else from a prompt without echo, else from stdin. Throws a `Failure`. */
export async function readSecret(io: Io, prompt: string, { fromFile, fromEnv }: SecretSource): Promise<string> {
  if (fromFile !== undefined && fromEnv !== undefined) throw usage('two_sources', 'Give --from-file or --from-env, not both.');
  const text = await sourceOf(io, prompt, {
    ...(fromFile === undefined ? {} : { fromFile }),
    ...(fromEnv === undefined ? {} : { fromEnv }),
  });
  if (text === '')
    throw usage('empty_secret', 'The value is empty.', { hint: 'Pipe it in, type it at the prompt, or give --from-file or --from-env.' });
  return text;
}

async function sourceOf(io: Io, prompt: string, { fromFile, fromEnv }: SecretSource): Promise<string> {
  if (fromEnv !== undefined) return io.env[fromEnv] ?? '';
  if (fromFile !== undefined) return bounded(await fileOf(resolve(io.cwd, fromFile)));
  if (io.in.isTTY === true && io.in.setRawMode !== undefined) return typed(io, prompt);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of io.in) {
    bytes += part.byteLength;
    if (bytes > MOST) break;
    parts.push(part);
  }
  // What `echo` and editors put at the end is no part of it.
  return bounded(Buffer.concat(parts), bytes).replace(/\r?\n$/, '');
}

async function fileOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch {
    throw usage('unreadable_file', `${path} cannot be read.`);
  }
}

function bounded(bytes: Buffer, size = bytes.byteLength): string {
  if (size > MOST) throw usage('secret_too_large', `A value has at most ${MOST / 1024} KiB here.`);
  return bytes.toString('utf8');
}

/** A line that is not shown. */
async function typed(io: Io, prompt: string): Promise<string> {
  await write(io, io.err, `${prompt}: `);
  io.in.setRawMode?.(true);
  try {
    let line = '';
    for await (const part of io.in) {
      for (const character of Buffer.from(part).toString('utf8')) {
        if (character === '\r' || character === '\n' || character === '\u0004') return line;
        if (character === '\u0003') throw interrupted();
        line = character === '\u007f' || character === '\b' ? line.slice(0, -1) : line + character;
      }
      if (line.length > MOST) return bounded(Buffer.from(line));
    }
    return line;
  } finally {
    io.in.setRawMode?.(false);
    await write(io, io.err, '\n');
  }
}
