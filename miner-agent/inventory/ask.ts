/** Runs a small program that tells something about the machine. */
import { execFile } from 'node:child_process';

export interface Said {
  /** Null: it ended with 0. `missing`: there is no such program. */
  problem: 'missing' | 'failed' | 'timeout' | null;
  text: string;
}

/** Milliseconds: a driver that hangs must not keep the agent from starting. */
const LIMIT_MS = 5_000;

/** Standard output, and standard error behind it where it failed. Never throws. */
export function askProgram(program: string, args: readonly string[]): Promise<Said> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 }, (error, stdout, stderr) => {
      if (error === null) return resolve({ problem: null, text: stdout });
      const problem = error.code === 'ENOENT' ? 'missing' : error.killed === true ? 'timeout' : 'failed';
      resolve({ problem, text: `${stdout}${stderr}` });
    });
  });
}
