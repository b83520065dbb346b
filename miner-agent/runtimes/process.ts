/**
 * Runtime `process`: the program of a code folder as a child of the agent, with the agent's own rights. It is meant for
 * accounts and code that the miner's config names; the limits here keep accidents small, they are no sandbox.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import type { Endpoint } from './endpoint.ts';
import { untilHealthy } from './health.ts';
import { LineSplitter } from './log-lines.ts';
import { MARK, killGroup } from './leftovers.ts';
import type { PidNotes } from './leftovers.ts';
import { StartFailed, WEIGHTS_VARIABLE } from './runtime.ts';
import type { Runtime, RuntimeContext } from './runtime.ts';
import { unpack } from './unpack.ts';

export interface ProcessLimits {
  /** MiB of data one process may have; 0 for no limit. */
  memoryMb: number;
  /** MiB one file may grow to. */
  fileMb: number;
  openFiles: number;
}

/** Milliseconds between two looks whether a group that was told to end is gone. */
const POLL_MS = 20;

/** Milliseconds the output of a program that exited may still come. */
const OUTPUT_MS = 300;

/** Where the code lies in an instance's folder. */
export const codeFolder = (folder: string): string => join(folder, 'code');

export function processRuntime(context: RuntimeContext, limits: ProcessLimits, notes: PidNotes): Runtime {
  const code = codeFolder(context.folder);
  const home = join(context.folder, 'home');
  let child: ChildProcess | null = null;
  let pid = 0;
  let endpoint: Endpoint | null = null;
  let exit: string | null = null;
  let stopping = false;
  let lastLine = '';

  async function prepare(): Promise<void> {
    await mkdir(home, { recursive: true });
    if (context.spec.code === null) return void (await mkdir(code, { recursive: true }));
    const archive = await context.code();
    context.progress('unpacking');
    await unpack(archive, code);
  }

  async function start(): Promise<void> {
    const port = await freePort();
    const command = (context.spec.config.command ?? []).map((part) => part.replaceAll('{port}', String(port)));
    endpoint = { url: new URL(`http://127.0.0.1:${port}`), socketPath: null };
    child = spawn('/bin/sh', ['-c', wrapper(limits), 'sh', ...command], {
      cwd: code,
      env: environment(context, home, port),
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own group, so that stopping it stops what it started.
      detached: true,
    });
    pid = child.pid ?? 0;
    if (pid > 0) notes.write(context.instance, pid);
    follow(child);
  }

  function follow(started: ChildProcess): void {
    for (const source of ['out', 'err'] as const) {
      const lines = new LineSplitter((text) => {
        if (text.trim() !== '') lastLine = text;
        context.log(source, text);
      });
      const stream = source === 'out' ? started.stdout : started.stderr;
      stream?.on('data', (bytes: Buffer) => lines.write(bytes));
      stream?.on('end', () => lines.end());
    }
    started.on('error', (error) => ended(`cannot start: ${error.message}`));
    // `close` comes after the last line of output, but a child of the program may hold that open.
    const how = (status: number | null, signal: string | null) =>
      ended(`${signal === null ? `exit code ${status}` : `killed by ${signal}`}${lastLine === '' ? '' : `: ${lastLine.slice(0, 300)}`}`);
    started.on('close', how);
    started.on('exit', (status, signal) => setTimeout(how, OUTPUT_MS, status, signal).unref());
  }

  function ended(detail: string): void {
    if (exit !== null) return;
    exit = detail;
    if (!stopping) context.ended(detail);
  }

  async function ready(): Promise<void> {
    const { health, start_timeout } = context.spec.config;
    const gone = new AbortController();
    const watch = setInterval(() => exit !== null && gone.abort(), POLL_MS);
    try {
      if (endpoint === null) throw new StartFailed('it was not started');
      await untilHealthy(endpoint, health, start_timeout * 1000, AbortSignal.any([context.signal, gone.signal]), context.progress);
    } catch (error) {
      throw exit === null ? error : new StartFailed(exit);
    } finally {
      clearInterval(watch);
    }
  }

  async function stop(graceMs: number): Promise<void> {
    stopping = true;
    if (pid === 0) return;
    killGroup(pid, 'SIGTERM');
    if (!(await groupGone(pid, graceMs))) {
      killGroup(pid, 'SIGKILL');
      await groupGone(pid, 2_000);
    }
    child?.stdout?.destroy();
    child?.stderr?.destroy();
    notes.remove(context.instance);
  }

  return { prepare, start, ready, endpoint: () => endpoint, stop };
}

/** Sets limits, then becomes the program, so that pid and signals are the program's own. */
function wrapper(limits: ProcessLimits): string {
  const memory = limits.memoryMb > 0 ? `ulimit -d ${limits.memoryMb * 1024} 2>/dev/null;` : '';
  return `ulimit -c 0; ulimit -n ${limits.openFiles} 2>/dev/null; ulimit -f ${limits.fileMb * 2048} 2>/dev/null; ${memory} exec "$@"`;
}

/** Nothing of the agent's own environment but where programs are found, and this Node first among them. */
function environment(context: RuntimeContext, home: string, port: number): Record<string, string> {
  const weights = context.weights();
  return {
    LANG: 'C.UTF-8',
    HOME: home,
    TMPDIR: home,
    PATH: [dirname(process.execPath), process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'].join(delimiter),
    ...context.spec.config.env,
    ...context.secrets.env,
    ...(weights === null ? {} : { [WEIGHTS_VARIABLE]: weights }),
    PORT: String(port),
    HOST: '127.0.0.1',
    [MARK]: context.instance,
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new StartFailed('no free port')),
      );
    });
  });
}

async function groupGone(pid: number, limitMs: number): Promise<boolean> {
  const end = Date.now() + limitMs;
  while (killGroup(pid, 0)) {
    if (Date.now() >= end) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}
