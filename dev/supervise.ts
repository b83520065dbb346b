/**
 * Keeps programs running: starts each in a process group of its own, starts it again when it dies, and stops all of
 * the group. Nothing outlives the supervisor: if it is killed itself, the leash ends every group it left behind.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { StartFailure } from './failure.ts';
import type { Leash } from './leash.ts';

export interface PartSpec {
  /** As people read it, e.g. `Postgres`. */
  name: string;
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  cwd: string;
  /** Where stdout and stderr go; appended to. */
  logFile: string;
  /** The polite signal; SIGKILL follows after `graceMs`. */
  stopSignal: NodeJS.Signals;
  graceMs: number;
  /** Runs before each start, e.g. to clear what a killed process left. */
  before?: () => Promise<void>;
  /** Runs after each stop, e.g. to end what a killed process left running. */
  after?: () => void;
  /** Resolves once the part serves; polled by the part itself until the signal aborts. */
  ready: (signal: AbortSignal) => Promise<void>;
  /** The numeric user and group to run as, where the supervisor may choose. */
  uid?: number | undefined;
  gid?: number | undefined;
}

export interface Part {
  readonly name: string;
  /** The process that runs now, if any. */
  readonly pid: number | undefined;
  /** Sends a signal to the group. After a SIGKILL, as after any crash, the supervisor starts it again. */
  signal(signal: NodeJS.Signals): void;
  /** Stops it politely, or at once where it is `hard`; it stays down until `start`. */
  stop(how?: 'hard'): Promise<void>;
  /** Starts it (again) and resolves when it serves. */
  start(): Promise<void>;
}

export type Say = (line: string) => void;

export const READY_DEADLINE_MS = 30_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 10_000;
/** A part that lived this long starts over with the shortest pause. */
const STEADY_MS = 30_000;
const LONGEST_LOG_BYTES = 16 * 1024 * 1024;

export function makePart(spec: PartSpec, leash: Leash, say: Say): Part {
  let child: ChildProcess | undefined;
  let wanted = false;
  let pauseMs = FIRST_PAUSE_MS;
  let pendingRestart: NodeJS.Timeout | undefined;

  async function launch(): Promise<void> {
    await spec.before?.();
    if (!wanted) return;
    const startedAt = performance.now();
    const running = spawnGroup(spec);
    child = running;
    if (running.pid !== undefined) leash.hold(running.pid, spec.stopSignal);
    const gone = new AbortController();
    const deadline = AbortSignal.timeout(READY_DEADLINE_MS);
    const exited = exitOf(running).then((how) => {
      if (running.pid !== undefined) leash.release(running.pid);
      gone.abort();
      if (child === running) child = undefined;
      return how;
    });
    const up = await spec.ready(AbortSignal.any([gone.signal, deadline, leash.signal])).then(
      () => true,
      () => false,
    );
    if (up) {
      void exited.then((how) => revive(how, performance.now() - startedAt));
      return;
    }
    killGroup(running, 'SIGKILL');
    const how = await exited;
    throw new StartFailure(`${spec.name} does not come up (${how}). The end of ${spec.logFile}:\n${tailOf(spec.logFile)}`);
  }

  function revive(how: string, livedMs: number): void {
    if (!wanted) return;
    if (livedMs > STEADY_MS) pauseMs = FIRST_PAUSE_MS;
    say(`${spec.name} stopped by itself (${how}); starting it again.`);
    retry();
  }

  function retry(): void {
    const pause = pauseMs;
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    pendingRestart = setTimeout(() => {
      launch().then(
        () => wanted && say(`${spec.name} is back (process ${child?.pid ?? '?'}).`),
        (error: unknown) => {
          if (!wanted) return;
          say(`${(error as Error).message}\nTrying again.`);
          retry();
        },
      );
    }, pause);
  }

  return {
    name: spec.name,
    get pid() {
      return child?.pid;
    },
    signal(signal) {
      if (child) killGroup(child, signal);
    },
    async stop(how) {
      wanted = false;
      clearTimeout(pendingRestart);
      if (child) await end(child, how === 'hard' ? 'SIGKILL' : spec.stopSignal, spec.graceMs);
      spec.after?.();
    },
    async start() {
      wanted = true;
      pauseMs = FIRST_PAUSE_MS;
      await launch();
    },
  };
}

function spawnGroup(spec: PartSpec): ChildProcess {
  const log = openSync(spec.logFile, 'a', 0o600);
  try {
    return spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      env: spec.env,
      detached: true,
      stdio: ['ignore', log, log],
      ...(spec.uid === undefined ? {} : { uid: spec.uid }),
      ...(spec.gid === undefined ? {} : { gid: spec.gid }),
    });
  } finally {
    closeSync(log);
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  const exited = exitOf(child);
  killGroup(child, signal);
  const hard = setTimeout(() => killGroup(child, 'SIGKILL'), graceMs);
  await exited;
  clearTimeout(hard);
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    const how = () => child.signalCode ?? `exit ${child.exitCode ?? '?'}`;
    if (child.exitCode !== null || child.signalCode !== null) return resolve(how());
    child.once('exit', () => resolve(how()));
    child.once('error', (error) => resolve(error.message));
  });
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

/** Logs of a part that never ends must not fill the disk: past the limit a file starts over. */
export function trimLog(file: string): void {
  try {
    if (statSync(file).size > LONGEST_LOG_BYTES) truncateSync(file);
  } catch {
    // Not written yet.
  }
}

export function tailOf(file: string, lines = 8): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(empty)';
  }
}
