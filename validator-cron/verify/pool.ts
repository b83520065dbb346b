/** Worker threads that judge: one per core, each with a short queue, so that memory stays bounded however long an epoch is. */
import { Worker } from 'node:worker_threads';
import type { BeaconChain, Pulse, Suite, Transcript, Verdict } from '#protocol/challenge/index.ts';

export interface Setup {
  suite: Suite['name'];
  chain: BeaconChain;
}

/** `opening`: where it lies, or the bytes; null: there is none. */
export type Job =
  | { do: 'judge'; transcript: Transcript; opening: string | Uint8Array | null; pulses: { seed: Pulse | null; sample: Pulse | null } }
  | { do: 'pulse'; pulse: Pulse };

export type Answer = { ok: true; verdict: Verdict | null; good: boolean } | { ok: false; why: string };

/** Jobs that a thread has at hand, so that it never waits for the next one. */
const AT_HAND = 4;

interface Waiting {
  job: Job;
  done: (answer: Answer) => void;
}

interface Thread {
  worker: Worker;
  running: Waiting[];
}

export class Pool {
  readonly #size: number;
  readonly #setup: Setup;
  /** None until the first job. */
  #threads: Thread[] = [];
  readonly #queue: Waiting[] = [];
  #ended = false;

  constructor(size: number, setup: Setup) {
    this.#size = size;
    this.#setup = setup;
  }

  /** The verdict. Throws what judging threw. */
  async judge(job: Extract<Job, { do: 'judge' }>): Promise<Verdict> {
    const answer = await this.#ask(job);
    if (!answer.ok || answer.verdict === null) throw new Error(answer.ok ? 'no verdict came' : answer.why);
    return answer.verdict;
  }

  /** Whether the beacon signed it. */
  async verify(pulse: Pulse): Promise<boolean> {
    const answer = await this.#ask({ do: 'pulse', pulse });
    if (!answer.ok) throw new Error(answer.why);
    return answer.good;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #ask(job: Job): Promise<Answer> {
    return new Promise((done) => {
      if (this.#ended) return done({ ok: false, why: 'the threads have ended' });
      if (this.#threads.length === 0) this.#threads = Array.from({ length: this.#size }, () => this.#start());
      this.#queue.push({ job, done });
      return this.#feed();
    });
  }

  #start(): Thread {
    const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: this.#setup });
    const thread: Thread = { worker, running: [] };
    worker.on('message', (answer: Answer) => {
      thread.running.shift()?.done(answer);
      this.#feed();
    });
    worker.on('error', (error) => this.#fail(`${error.name}: ${error.message}`));
    worker.on('exit', () => this.#fail('a thread ended'));
    return thread;
  }

  #feed(): void {
    for (const thread of this.#threads.toSorted((a, b) => a.running.length - b.running.length)) {
      while (thread.running.length < AT_HAND) {
        const next = this.#queue.shift();
        if (next === undefined) return;
        thread.running.push(next);
        thread.worker.postMessage(next.job);
      }
    }
  }

  #fail(why: string): void {
    const waiting = [...this.#queue.splice(0), ...this.#threads.flatMap(({ running }) => running.splice(0))];
    for (const { done } of waiting) done({ ok: false, why });
  }
}
