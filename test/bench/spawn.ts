/** Child processes of the bench: started with a line of readiness, ended by their own id, never left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Proc {
  pid: number;
  /** The first line it printed on the channel asked for. */
  line: string;
  child: ChildProcess;
  stop(): Promise<void>;
}

export interface StartOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Descriptor the readiness line comes on: standard output, or 3. */
  channel?: 1 | 3;
  /** The line that means ready; default: the first. */
  ready?: (line: string) => boolean;
  timeoutMs?: number;
}

/** Starts a process and waits for its line of readiness; on failure the error carries the end of what it said. */
export async function start(command: string, args: readonly string[], options: StartOptions = {}): Promise<Proc> {
  const channel = options.channel ?? 1;
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  void exited.then(() => running.delete(child));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (d: Buffer) => (said = (said + d.toString()).slice(-4096)));
  const line = await readiness(child, channel, options).catch((error: Error) => {
    child.kill('SIGKILL');
    throw new Error(`${command} ${args[0] ?? ''}: ${error.message}\n${said}`);
  });
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  return { pid: child.pid ?? 0, line, child, stop };
}

function readiness(child: ChildProcess, channel: 1 | 3, options: StartOptions): Promise<string> {
  const source = child.stdio[channel];
  if (source === null || source === undefined || !('read' in source)) return Promise.reject(new Error('no output to wait for'));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('not ready in time')), options.timeoutMs ?? 20_000);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`ended with code ${code}`)));
    createInterface({ input: source }).on('line', (line) => {
      if (options.ready !== undefined && !options.ready(line)) return;
      clearTimeout(timer);
      resolve(line);
    });
  });
}
