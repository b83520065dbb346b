/** What a command may touch of the process it runs in, so that tests run commands with their own. */
import { once } from 'node:events';
import { styleText } from 'node:util';
import { interrupted } from './failure.ts';

export interface Output {
  write(chunk: string | Uint8Array): boolean;
  once(event: string, listener: (...args: unknown[]) => void): unknown;
  readonly isTTY?: boolean;
}

export interface Io {
  env: Record<string, string | undefined>;
  /** The folder relative paths start from. */
  cwd: string;
  out: Output;
  err: Output;
  /** A terminal reads keys one by one in raw mode, without showing them. */
  in: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** Colours only on a terminal that wants them. */
export function paint(io: Io, to: Output, style: Style, text: string): string {
  const plain = to.isTTY !== true || (io.env['NO_COLOR'] ?? '') !== '' || io.env['TERM'] === 'dumb';
  return plain ? text : styleText(style, text, { validateStream: false });
}

/** Writes, and waits while the reader is slow. */
export async function write(io: Io, to: Output, chunk: string | Uint8Array): Promise<void> {
  if (to.write(chunk)) return;
  try {
    await once(to as unknown as NodeJS.EventEmitter, 'drain', { signal: io.signal });
  } catch (error) {
    throw io.signal.aborted ? interrupted() : error;
  }
}

/** Text of others without what would move a terminal's cursor or change its colours. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '');
}

/** Resolves after `ms` milliseconds; throws at Ctrl-C. */
export function pause(io: Io, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      io.signal.removeEventListener('abort', stop);
      resolve();
    };
    const timer = setTimeout(done, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(interrupted());
    };
    if (io.signal.aborted) stop();
    else io.signal.addEventListener('abort', stop, { once: true });
  });
}
