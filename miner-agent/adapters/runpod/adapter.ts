/**
 * Adapter `runpod`: a worker of RunPod's queue has no server; it pulls jobs from one. The agent is that server: calls go
 * in at one side as jobs, the worker takes them at the other.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../../runtimes/endpoint.ts';
import { StartFailed, type Runtime, type RuntimeContext } from '../../runtimes/runtime.ts';
import { withConfig, type MakeRuntime } from '../adapter.ts';
import { callerSide } from './caller-side.ts';
import { Jobs } from './jobs.ts';
import { workerEnv, workerSide } from './worker-side.ts';

/** Where a container finds the agent, on its own loopback. */
const FORWARDED = 8010;
/** A runtime wants a port that calls go to; nobody asks a worker there. */
const UNUSED = 8000;

export function runpodAdapter(make: MakeRuntime, context: RuntimeContext): Runtime {
  const { spec, instance, signal } = context;
  const jobs = new Jobs();
  const token = randomBytes(24).toString('base64url');
  const worker = workerSide(jobs, token, (text) => context.log('agent', text));
  const callers = callerSide(jobs, instance, spec.config.health);
  let inner: Runtime | null = null;
  let endpoint: Endpoint | null = null;
  let folder: string | null = null;

  async function prepare(): Promise<void> {
    // Not in the folder of the instance: the path of a socket may have 107 bytes.
    folder = await mkdtemp(join(tmpdir(), 'ripcord-'));
    const socketPath = join(folder, 'calls');
    await listening(callers, () => callers.listen(socketPath));
    const contained = spec.config.image !== undefined;
    if (!contained) await listening(worker, () => worker.listen(0, '127.0.0.1'));
    if (jobs.closed) return close();
    const port = contained ? FORWARDED : portOf(worker);
    const forward = { port, accept: (socket: unknown) => void worker.emit('connection', socket) };
    const env = { ...spec.config.env, ...workerEnv(port, token, instance) };
    inner = make({
      ...withConfig(context, { env, port: spec.config.port ?? UNUSED }),
      forwards: contained ? [...context.forwards, forward] : context.forwards,
    });
    endpoint = { url: new URL('http://worker'), socketPath };
    await inner.prepare();
  }

  /** Once the worker asks for its first job. */
  async function ready(): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(spec.config.start_timeout * 1000)]);
    context.progress('waiting for the worker to ask for a job');
    while (!jobs.asked && !limit.aborted) await woken(jobs, limit);
    signal.throwIfAborted();
    if (!jobs.asked) throw new StartFailed(`the worker asked for no job within ${spec.config.start_timeout} s`);
  }

  async function stop(graceMs: number): Promise<void> {
    // The worker ends once its polls are answered, which is after it was told to.
    const gone = inner?.stop(graceMs);
    jobs.close();
    await gone;
    await close();
  }

  async function close(): Promise<void> {
    for (const server of [worker, callers]) {
      server.close();
      server.closeAllConnections();
    }
    if (folder !== null) await rm(folder, { recursive: true, force: true });
  }

  return { prepare, start: async () => inner?.start(), ready, endpoint: () => endpoint, stop };
}

function woken(jobs: Jobs, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const forget = jobs.wait(resolve);
    signal.addEventListener('abort', () => (forget(), resolve()), { once: true });
  });
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new StartFailed(`the adapter cannot listen: ${error.message}`)));
    server.once('listening', resolve);
    listen();
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new StartFailed('the adapter has no port');
  return address.port;
}
