/**
 * The jobs of one worker, in memory: callers put them in, the worker takes them, tells what comes of them, and is told
 * which to stop. Nothing here waits on a clock or a socket; who waits for work leaves a function to be called.
 */
import { isObject } from '../http.ts';

/** Who put a job in hears what comes of it; `output` may hold the worker back. */
export interface JobListener {
  output(chunk: unknown): Promise<void> | void;
  done(result: JobResult): void;
}

export type JobResult = { status: 'COMPLETED'; output: unknown } | { status: 'FAILED'; error: string };

interface Job {
  id: string;
  input: unknown;
  listener: JobListener;
}

/** What the pull protocol calls a job. */
export interface TakenJob {
  id: string;
  input: unknown;
}

/** Jobs that may wait; an instance has at most 256 slots, so only calls that hung up could ever fill it. */
const MAX_QUEUED = 512;
/** Ids that wait to be stopped; a worker that never asks for them may not fill memory. */
const MAX_STOPS = 1024;

export class Jobs {
  /** Whether the worker ever asked for a job, that is, can serve. */
  #asked = false;
  #closed = false;
  #queued: Job[] = [];
  readonly #running = new Map<string, Job>();
  readonly #stops = new Set<string>();
  readonly #waiters = new Set<() => void>();
  readonly counts = { completed: 0, failed: 0 };

  get asked(): boolean {
    return this.#asked;
  }
  get closed(): boolean {
    return this.#closed;
  }
  get queued(): number {
    return this.#queued.length;
  }
  get running(): number {
    return this.#running.size;
  }

  /** False when there is no room. */
  add(id: string, input: unknown, listener: JobListener): boolean {
    if (this.#closed || this.#queued.length >= MAX_QUEUED) return false;
    this.#queued.push({ id, input, listener });
    this.#wake();
    return true;
  }

  /** The caller left: a waiting job goes, a running one is to be stopped. */
  cancel(id: string): void {
    this.#queued = this.#queued.filter((job) => job.id !== id);
    if (this.#running.delete(id)) this.#stop(id);
  }

  /** The worker asks for up to `most` jobs. One that says it runs none has lost those it took. */
  take(most: number, runsSome: boolean): TakenJob[] {
    if (!this.#asked) {
      this.#asked = true;
      this.#wake();
    }
    if (!runsSome) this.#lose();
    const taken = this.#queued.splice(0, most);
    for (const job of taken) this.#running.set(job.id, job);
    return taken.map(({ id, input }) => ({ id, input }));
  }

  /** What it took did not reach it. */
  giveBack(jobs: readonly TakenJob[]): void {
    const back = jobs.map(({ id }) => this.#running.get(id)).filter((job) => job !== undefined);
    for (const job of back) this.#running.delete(job.id);
    this.#queued.unshift(...back);
    this.#wake();
  }

  /** A part of a job's output; resolves when the caller took it. */
  async output(id: string, body: unknown): Promise<void> {
    const job = this.#running.get(id);
    if (job === undefined || !isObject(body)) return;
    if (body['error'] !== undefined) this.#end(job, { status: 'FAILED', error: textOf(body['error']) });
    else await job.listener.output(body['output']);
  }

  /** The end of a job, or word of its progress in the same place. */
  done(id: string, body: unknown): void {
    const job = this.#running.get(id);
    if (job === undefined) return;
    if (!isObject(body)) return this.#end(job, { status: 'FAILED', error: 'the worker returned what is no JSON' });
    if (body['status'] === 'IN_PROGRESS') return;
    if (body['error'] !== undefined) return this.#end(job, { status: 'FAILED', error: textOf(body['error']) });
    this.#end(job, { status: 'COMPLETED', output: body['output'] });
  }

  /** The worker says which jobs it runs: those that nobody waits for any more are to be stopped, if they were not before. */
  alive(ids: readonly string[]): void {
    for (const id of ids) if (!this.#running.has(id)) this.#stop(id);
  }

  takeStops(): string[] {
    const ids = [...this.#stops];
    this.#stops.clear();
    return ids;
  }

  /** Calls back once, when there may be something to take or to stop. The returned function takes that back. */
  wait(woken: () => void): () => void {
    this.#waiters.add(woken);
    return () => this.#waiters.delete(woken);
  }

  /** No more work: what waits and runs fails. */
  close(): void {
    this.#closed = true;
    for (const job of [...this.#queued, ...this.#running.values()]) this.#end(job, { status: 'FAILED', error: 'the worker is stopping' });
    this.#queued = [];
    this.#wake();
  }

  #lose(): void {
    for (const job of this.#running.values()) this.#end(job, { status: 'FAILED', error: 'the worker lost the job' });
  }

  #end(job: Job, result: JobResult): void {
    this.#running.delete(job.id);
    this.counts[result.status === 'COMPLETED' ? 'completed' : 'failed'] += 1;
    job.listener.done(result);
  }

  #stop(id: string): void {
    if (this.#stops.size < MAX_STOPS) this.#stops.add(id);
    this.#wake();
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const woken of waiters) woken();
  }
}

function textOf(error: unknown): string {
  return typeof error === 'string' ? error : JSON.stringify(error);
}
