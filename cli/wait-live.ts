/** Waits until an instance of a new version serves, and tells what happens meanwhile. */
import type { Instance, LogLine } from './answers.ts';
import type { Deployment } from './deploy.ts';
import { EXIT, Failure } from './failure.ts';
import { pause, printable } from './io.ts';
import type { Session } from './session.ts';

const POLL_MS = 1000;
/** After so many failed starts the program is at fault, not the miner. */
const MAX_FAILED = 3;
/** Between two calls that wake a chute nobody calls. */
const WAKE_MS = 20_000;
const TAIL_LINES = 15;
/** Log lines read to find the tail; the service keeps fewer. */
const MAX_LINES = 20_000;

/**
 * The first live instance of the version. A chute with `min = 0` is woken by calls of its health path. Throws a `Failure`
 * after `timeoutMs`, or when starts keep failing.
 */
export async function waitLive(session: Session, deployment: Deployment, timeoutMs: number, pollMs = POLL_MS): Promise<Instance> {
  const done = new AbortController();
  try {
    return await watch(session, deployment, { timeoutMs, pollMs, done: done.signal });
  } finally {
    done.abort();
  }
}

async function watch(session: Session, deployment: Deployment, times: { timeoutMs: number; pollMs: number; done: AbortSignal }): Promise<Instance> {
  const seen = new Map<string, Instance>();
  const failed = new Map<string, Instance>();
  const start = Date.now();
  let wakeAt = start;
  for (let polls = 0; ; polls += 1) {
    const chute = await session.client.chute(deployment.chute_id);
    const mine = chute.instances.filter((instance) => (instance.version ?? chute.version) === deployment.version);
    for (const instance of mine) await tellChange(session, instance, seen);
    const live = mine.find((instance) => instance.state === 'live');
    if (live !== undefined) return live;
    for (const instance of newlyFailed(mine, seen, failed)) await tellFailed(session, deployment, instance);
    if (failed.size >= MAX_FAILED) throw startFailed(deployment, [...failed.values()]);
    if (Date.now() + times.pollMs > start + times.timeoutMs) throw notLive(deployment, mine, times.timeoutMs);
    if (mine.length === 0 && polls === 3) await session.note('Waiting for a miner to take it.');
    if (deployment.config.min === 0 && mine.length === 0 && Date.now() >= wakeAt) {
      wakeAt = Date.now() + WAKE_MS;
      void wake(session, deployment, times.done);
    }
    await pause(session.io, times.pollMs);
  }
}

/** A call makes the chute want an instance; what comes of the call does not matter. */
async function wake(session: Session, deployment: Deployment, signal: AbortSignal): Promise<void> {
  try {
    const reply = await session.client.request('GET', `/call/${deployment.name}${deployment.config.health}`, { signal, timeoutMs: WAKE_MS });
    await reply.body?.cancel();
  } catch {
    // The wait goes on, and says how it ends.
  }
}

/** Instances that said they failed, and those that were starting and are gone. */
function newlyFailed(mine: Instance[], seen: Map<string, Instance>, failed: Map<string, Instance>): Instance[] {
  const gone = [...seen.values()].filter((instance) => !mine.some((other) => other.instance_id === instance.instance_id));
  const fresh = [...mine.filter((instance) => instance.state === 'failed'), ...gone].filter((instance) => !failed.has(instance.instance_id));
  for (const instance of fresh) failed.set(instance.instance_id, instance);
  return fresh;
}

async function tellFailed(session: Session, deployment: Deployment, instance: Instance): Promise<void> {
  await session.note(`${instance.instance_id.slice(0, 16)} did not start${instance.detail ? `: ${printable(instance.detail)}` : ''}`);
  for (const line of await logTail(session, deployment.chute_id, instance.instance_id)) await session.note(`  ${printable(line.text)}`);
}

/** A line each time an instance's state or what it does changes. */
async function tellChange(session: Session, instance: Instance, seen: Map<string, Instance>): Promise<void> {
  const before = seen.get(instance.instance_id);
  seen.set(instance.instance_id, instance);
  if (instance.state === 'failed' || (before?.state === instance.state && before.detail === instance.detail)) return;
  await session.note(`${instance.instance_id.slice(0, 16)} ${printable(instance.state)}${instance.detail ? `: ${printable(instance.detail)}` : ''}`);
}

/** The last lines of an instance; none if they cannot be had, which must not hide the failure they belong to. */
async function logTail(session: Session, chute: string, instance: string): Promise<LogLine[]> {
  const tail: LogLine[] = [];
  try {
    let read = 0;
    for await (const line of session.client.logs(chute, false)) {
      if (line.instance_id === instance && tail.push(line) > TAIL_LINES) tail.shift();
      if ((read += 1) >= MAX_LINES) break;
    }
  } catch (error) {
    if (error instanceof Failure && error.exit === EXIT.interrupted) throw error;
  }
  return tail;
}

function startFailed(deployment: Deployment, instances: Instance[]): Failure {
  const last = instances.at(-1);
  return new Failure(EXIT.refused, 'start_failed', `${deployment.name} failed to start ${MAX_FAILED} times; the last: ${last?.detail || 'no reason given'}.`, {
    hint: `ripcord logs ${deployment.name} shows what it said. The version before it goes on serving: ripcord chutes rollback makes that final.`,
    extra: { chute_id: deployment.chute_id, version: deployment.version },
  });
}

function notLive(deployment: Deployment, instances: Instance[], timeoutMs: number): Failure {
  const last = instances.at(-1);
  const why = last === undefined ? 'no miner has taken it' : `the last instance is ${last.state}${last.detail ? ` (${last.detail})` : ''}`;
  const hint =
    last === undefined
      ? `It stays deployed and wanted. Ask for less (gpu, image), or look later: ripcord chutes get ${deployment.name}.`
      : `It goes on starting. ripcord logs ${deployment.name} -f shows what it says; start_timeout and --timeout give it longer.`;
  return new Failure(EXIT.refused, 'not_live_yet', `${deployment.name} is not live after ${timeoutMs / 1000} s: ${why}.`, {
    hint,
    extra: { chute_id: deployment.chute_id, version: deployment.version },
  });
}
