/** `npm start -- --json` as a child process, and what it leaves behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Demo } from '../../dev/demo.ts';
import { ROOT } from '../../dev/network.ts';

export interface StartCommand {
  pid: number;
  /** What it printed when ready; rejects when it ended before. */
  ready: Promise<Demo>;
  exit: Promise<number | null>;
  stdout(): string;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
}

export function runStart(args: string[]): StartCommand {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'dev/start.ts'), '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  const ready = new Promise<Demo>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout.endsWith('\n')) resolve(JSON.parse(stdout) as Demo);
    });
    void exit.then((code) => reject(new Error(`It ended with ${code}: ${stderr}`)));
  });
  ready.catch(() => undefined);
  return { pid: child.pid ?? 0, ready, exit, stdout: () => stdout, stderr: () => stderr, signal: (name) => child.kill(name) };
}

export interface Running {
  pid: number;
  command: string;
}

/** Processes that work in or on this folder: by command line or working directory. Linux only. */
export function processesOf(folder: string): Running[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const isIn = command.includes(folder) || readlinkSync(`/proc/${name}/cwd`).startsWith(folder);
        return isIn && command !== '' ? [{ pid: Number(name), command }] : [];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}
