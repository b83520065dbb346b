/** The CPU's prover: a thread of its own, begun with the first challenge, that works on one at a time. */
import { Worker } from 'node:worker_threads';
import type { MemProfileName, MmProfileName } from '#protocol';
import type { Work } from '#protocol/challenge/work.ts';
import { NotProven, type Proof, type Prover } from './prover.ts';
import type { FromWorker, ToWorker } from './words.ts';

/** Some ten times what the suites ask for: whoever asks for more wants something else than a proof. */
const PROFILES: Partial<Record<MmProfileName | MemProfileName, number>> = { 'mm-128': 20_000, 'mm-512': 400, 'mem-cpu': 64 };

/** Challenges that wait or are worked on, and proofs that are held until they are opened. */
const PENDING = 8;
const HELD = 16;
/** MiB that the thread may have. */
const THREAD_MB = 512;

/** The thread's program; the bundle carries it in this name. */
declare const PROVER_PROGRAM: string | undefined;

interface Waiting {
  resolve: (word: FromWorker) => void;
  reject: (error: Error) => void;
}

export function cpuProver(begin: () => Worker = beginThread): Prover {
  let thread: Worker | null = null;
  let next = 0;
  const waiting = new Map<number, Waiting>();
  const held = new Set<number>();

  function ended(why: string): void {
    thread = null;
    held.clear();
    for (const { reject } of waiting.values()) reject(new NotProven(why));
    waiting.clear();
  }

  function running(): Worker {
    if (thread !== null) return thread;
    const begun = begin();
    begun.unref();
    begun.on('message', (word: FromWorker) => {
      waiting.get(word.id)?.resolve(word);
      waiting.delete(word.id);
    });
    // A thread that was given up already has nothing to say.
    const over = (why: string) => thread === begun && ended(why);
    begun.on('error', (error) => over(`the prover failed: ${error.message.slice(0, 80)}`));
    begun.on('exit', () => over('the prover ended'));
    return (thread = begun);
  }

  async function ask(word: ToWorker): Promise<FromWorker> {
    const thread = running();
    const answer = await new Promise<FromWorker>((resolve, reject) => {
      waiting.set(word.id, { resolve, reject });
      thread.postMessage(word);
    });
    if (answer.type === 'failed') throw new NotProven(answer.message);
    return answer;
  }

  async function prove(work: Work, signal: AbortSignal): Promise<Proof> {
    signal.throwIfAborted();
    const [, most] = Object.entries(PROFILES).find(([name]) => name === work.profile) ?? [];
    if (most === undefined) throw new NotProven(`the CPU does not prove ${work.profile}`);
    if (work.steps > most) throw new NotProven(`${work.steps} steps of ${work.profile} are too many`);
    if (waiting.size >= PENDING || held.size >= HELD) throw new NotProven('too many challenges at once');
    const id = next++;
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const abort = () => void Atomics.store(stop, 0, 1);
    signal.addEventListener('abort', abort, { once: true });
    const drop = () => {
      if (held.delete(id)) thread?.postMessage({ type: 'drop', id } satisfies ToWorker);
    };
    try {
      const answer = await ask({ type: 'prove', id, work, stop });
      if (answer.type !== 'proven') throw new NotProven('the prover answered something else');
      held.add(id);
      if (signal.aborted) drop();
      signal.throwIfAborted();
      return { root: answer.root, open: (randomness) => open(id, randomness), drop };
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async function open(id: number, randomness: string): Promise<Uint8Array> {
    if (!held.has(id)) throw new NotProven('the proof is not held any more');
    const answer = await ask({ type: 'open', id, randomness });
    if (answer.type !== 'opened') throw new NotProven('the prover answered something else');
    return answer.bytes;
  }

  async function stop(): Promise<void> {
    const last = thread;
    ended('the agent is leaving');
    await last?.terminate();
  }

  return { kind: 'cpu', helper: 'cpu', profiles: PROFILES, prove, stop };
}

function beginThread(): Worker {
  const program =
    typeof PROVER_PROGRAM === 'string'
      ? new URL(`data:text/javascript,${encodeURIComponent(PROVER_PROGRAM)}`)
      : new URL('./worker.ts', import.meta.url);
  return new Worker(program, {
    resourceLimits: { maxOldGenerationSizeMb: THREAD_MB },
    env: {},
    argv: [],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
}
