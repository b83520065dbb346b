/** The `ripcord` command as people run it: a process of its own, with a home of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../dev/network.ts';
import type { TestNetwork } from './network.ts';

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

/** What a command says when it fails. */
export interface Told {
  error: { code: string; message: string; hint: string | null; [extra: string]: unknown };
}

export interface Running {
  child: ChildProcess;
  /** Its output so far. */
  readonly out: string;
  readonly err: string;
  over: Promise<Ran>;
}

export interface User {
  start(...argv: string[]): Running;
  run(...argv: string[]): Promise<Ran>;
  /** With `--json`, for what must succeed: its result. */
  json<T = Record<string, unknown>>(...argv: string[]): Promise<T>;
  /** With `--json`, for what must fail: the exit code, what it told and what came on stdout. */
  refused(...argv: string[]): Promise<{ code: number | null; out: string; error: Told['error'] }>;
}

/** Somebody with a folder of their own, as home and to work in. Without a key, the one in their config file is used. */
export function userOf({ api }: Pick<TestNetwork, 'api'>, home: string, key?: string): User {
  const env = { PATH: process.env['PATH'], HOME: home, RIPCORD_API: api, ...(key === undefined ? {} : { RIPCORD_API_KEY: key }) };
  const start = (...argv: string[]): Running => {
    const child = spawn(process.execPath, [join(ROOT, 'cli/bin.ts'), ...argv], { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
    const over = new Promise<Ran>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, ...said }));
    });
    return {
      child,
      over,
      get out() {
        return said.out;
      },
      get err() {
        return said.err;
      },
    };
  };
  const run = (...argv: string[]) => start(...argv).over;
  return {
    start,
    run,
    async json<T>(...argv: string[]) {
      const { code, out, err } = await run(...argv, '--json');
      if (code !== 0 || err !== '') throw new Error(`ripcord ${argv.join(' ')} ended with ${code}: ${err}`);
      return JSON.parse(out) as T;
    },
    async refused(...argv) {
      const { code, out, err } = await run(...argv, '--json');
      if (code === 0) throw new Error(`ripcord ${argv.join(' ')} did not fail: ${out}`);
      return { code, out, ...(JSON.parse(err) as Told) };
    },
  };
}
