/** Waits until an instance of a new version serves, and tells what happens meanwhile. */
import type { Instance, LogLine, StartError } from './answers.ts';
import type { Deployment } from './deploy.ts';
import { EXIT, Failure } from './failure.ts';
import { pause, printable } from './io.ts';
import type { Session } from './session.ts';

const POLL_MS = 500;
/** After so many failed starts the program is at fault, not the miner. */
const MAX_FAILED = 3;
/** Between two calls that wake a chute nobody calls. */
const WAKE_MS = 20_000;
/** After so long without an instance it is said what is waited for. */
const SILENT_MS = 3000;
const TAIL_LINES = 15;
/** Log lines read to find the tail; the service keeps fewer. */
const MAX_LINES = 20_000;

/** What a miner must have or allow. */
const WHO_RUNS = {
  command: 'A command runs only on miners that allow your account or this code; an image runs on any with containers.',
  image: 'An image runs on miners with containers and the GPU that is asked for.',
};

/**
 * The first live instance of the version. A chute with `min = 0` is woken by calls of its health path. Throws a `Failure`
 * after `timeoutMs`, or when starts keep failing.
 */
export async function waitLive(session: Session, deployment: Deployment, timeoutMs: number): Promise<Instance> {
  const done = new AbortController();
  try {
    return await watch(session, deployment, timeoutMs, done.signal);
  } finally {
    done.abort();
  }
}

async function watch(session: Session, deployment: Deployment, timeoutMs: number, done: AbortSignal): Promise<Instance> {
  const told = new Map<string, string>();
  const start = Date.now();
  let wakeAt = deployment.config.min === 0 ? start : Number.POSITIVE_INFINITY;
  let silentUntil = start + SILENT_MS;
  let failed = 0;
  // A failure on record before a version was new belongs to an older deploy of it.
  let lastError: StartError | null | undefined = deployment.created === false ? undefined : null;
  for (;;) {
    const chute = await session.client.chute(deployment.chute_id);
    const mine = chute.instances.filter((instance) => (instance.version ?? chute.version) === deployment.version);
    for (const instance of mine) await tellChange(session, instance, told);
    const live = mine.find((instance) => instance.state === 'live');
    if (live !== undefined) return live;
    const error = chute.last_error ?? null;
    if (lastError !== undefined && error !== null && error.at !== lastError?.at) {
      failed += 1;
      const words = await lastWords(session, deployment.chute_id);
      await session.note(`A start failed: ${printable(error.message || 'no reason given')}`);
      for (const text of words) await session.note(`  ${printable(text)}`);
      if (failed >= MAX_FAILED || error.crash_loop === true) throw startFailed(deployment, error, words);
    }
    lastError = error;
    const now = Date.now();
    if (now + POLL_MS > start + timeoutMs) throw notLive(deployment, mine.at(-1), error, timeoutMs);
    if (mine.length === 0 && now >= silentUntil) {
      await session.note('Waiting for a miner to take it.');
      silentUntil = Number.POSITIVE_INFINITY;
    }
    if (mine.length === 0 && now >= wakeAt) {
      wakeAt = now + WAKE_MS;
      void wake(session, deployment, done);
    }
    await pause(session.io, POLL_MS);
  }
}

/** A call makes the chute want an instance; what comes of the call does not matter. */
async function wake(session: Session, deployment: Deployment, signal: AbortSignal): Promise<void> {
  try {
    const reply = await session.client.request('GET', `/call/${deployment.name}${deployment.config.health}`, {
      signal,
      timeoutMs: WAKE_MS,
    });
    await reply.body?.cancel();
  } catch {
    // The wait goes on, and says how it ends.
  }
}

/** A line each time an instance's state or what it does changes. */
async function tellChange(session: Session, instance: Instance, told: Map<string, string>): Promise<void> {
  const now = printable(`${instance.state}${instance.detail ? `: ${instance.detail}` : ''}`);
  if (told.get(instance.instance_id) === now) return;
  told.set(instance.instance_id, now);
  await session.note(`${printable(instance.instance_id).slice(0, 16)} ${now}`);
}

/** What the instance that failed last wrote; none if it cannot be had, which must not hide the failure it belongs to. */
async function lastWords(session: Session, chute: string): Promise<string[]> {
  const lines: LogLine[] = [];
  try {
    for await (const line of session.client.logs(chute, false)) if (lines.push(line) >= MAX_LINES) break;
  } catch (error) {
    if (error instanceof Failure && error.exit === EXIT.interrupted) throw error;
  }
  // The service notes a failed start in the log of its instance.
  const last =
    lines
      .filter((line) => line.source === 'edge')
      .toSorted((a, b) => Number(new Date(a.at)) - Number(new Date(b.at)))
      .at(-1) ?? lines.at(-1);
  return lines
    .filter((line) => line.instance_id === last?.instance_id && line.source !== 'edge')
    .slice(-TAIL_LINES)
    .map(({ text }) => text);
}

function startFailed(deployment: Deployment, error: StartError, log: string[]): Failure {
  return new Failure(
    EXIT.refused,
    'start_failed',
    `${deployment.name} is in a crash loop and keeps failing to start: ${error.message || 'no reason given'}`,
    {
      hint: `ripcord logs ${deployment.name} shows all it said. ripcord chutes rollback goes back to a version that ran.`,
      extra: { chute_id: deployment.chute_id, version: deployment.version, log },
    },
  );
}

function notLive(deployment: Deployment, last: Instance | undefined, error: StartError | null, timeoutMs: number): Failure {
  const failed = error === null ? '' : `, and the last start failed (${error.message || 'no reason given'})`;
  const why = last === undefined ? `no miner runs it${failed}` : `its instance is ${last.state}${last.detail ? ` (${last.detail})` : ''}`;
  const hint =
    last === undefined
      ? `It stays deployed and wanted: miners may be full. ${WHO_RUNS[deployment.config.image === undefined ? 'command' : 'image']} Look later: ripcord chutes get ${deployment.name}.`
      : `It goes on starting. ripcord logs ${deployment.name} -f shows what it says; start_timeout and --timeout give it longer.`;
  return new Failure(EXIT.refused, 'not_live_yet', `${deployment.name} is not live after ${timeoutMs / 1000} s: ${why}.`, {
    hint,
    extra: { chute_id: deployment.chute_id, version: deployment.version },
  });
}
