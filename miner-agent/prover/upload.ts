/** Brings an opening to the edge by HTTP, the way that all requests of the agent go; a few tries, within its time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { failureOf, type Outbound } from '../net/outbound.ts';

/** Openings on their way at once: those of a flash wait for each other. */
const AT_ONCE = 4;
const TRIES = 4;
const FIRST_PAUSE_MS = 250;
const ANSWER_BYTES = 64 * 1024;

export interface Opening {
  id: string;
  token: string;
  bytes: Uint8Array;
  withinMs: number;
}

export class Uploads {
  readonly #api: string;
  readonly #outbound: Outbound;
  readonly #pauseMs: number;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(api: string, outbound: Outbound, pauseMs = FIRST_PAUSE_MS) {
    this.#api = api;
    this.#outbound = outbound;
    this.#pauseMs = pauseMs;
  }

  /** Null: the edge has it; else why not, in a few words. */
  async send({ id, token, bytes, withinMs }: Opening, signal: AbortSignal): Promise<string | null> {
    const all = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    await this.#turn();
    try {
      return await this.#tries(new URL(`/challenges/${encodeURIComponent(id)}`, this.#api), token, bytes, withinMs, all);
    } finally {
      this.#running--;
      this.#queue.shift()?.();
    }
  }

  async #tries(url: URL, token: string, body: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<string | null> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' };
    let why = 'there was no time left';
    for (let tried = 0; tried < TRIES && !signal.aborted; tried++) {
      if (tried > 0) await sleep(this.#pauseMs * 2 ** (tried - 1), undefined, { signal }).catch(() => {});
      try {
        const answer = await this.#outbound.ask(url, { method: 'PUT', headers, body, timeoutMs, maxBytes: ANSWER_BYTES, signal });
        if (answer.ok) return null;
        why = `the edge answered ${answer.status}`;
        if (answer.status < 500 && answer.status !== 429) return why;
      } catch (error) {
        why = failureOf(error);
      }
    }
    return why;
  }

  async #turn(): Promise<void> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running++;
  }
}
