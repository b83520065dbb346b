/** What to do next with a call, from what its attempts came to. Pure; `conduct.ts` carries it out. */
import type { Candidate } from './pick.ts';
import type { RelayAnswer, SnapshotInstance } from './ports.ts';
import type { ErrorCode } from '../errors.ts';

/** Attempts of one call at most. */
export const MAX_ATTEMPTS = 3;

export type Next =
  | { do: 'relay'; instance: SnapshotInstance; attempt: number }
  /** Nobody took it: wait in the Chute's queue. */
  | { do: 'queue'; tried: string[] }
  | { do: 'fail'; code: ErrorCode };

export class Attempts {
  private readonly candidates: SnapshotInstance[];
  private readonly safe: boolean;
  private readonly mayQueue: boolean;
  private readonly tried: string[] = [];
  private failure: ErrorCode | null = null;
  private unsafe = false;
  /** Attempts so far; a refusal is none. */
  count = 0;
  /** Refusals so far; bounds a miner that keeps saying busy. */
  private refusals = 0;

  /** `safe`: the call may be sent again while no byte of a reply came. `mayQueue`: false when the caller named the instance. */
  constructor(candidates: readonly Candidate[], safe: boolean, mayQueue: boolean) {
    this.candidates = candidates.map((c) => c.instance);
    this.safe = safe;
    this.mayQueue = mayQueue;
  }

  next(): Next {
    if (this.failure !== null && (this.unsafe || this.count >= MAX_ATTEMPTS)) return { do: 'fail', code: this.failure };
    const instance = this.candidates.shift();
    if (instance !== undefined) return { do: 'relay', instance, attempt: this.count };
    if (this.failure !== null && this.tried.length === 0) return { do: 'fail', code: this.failure };
    if (!this.mayQueue) return { do: 'fail', code: this.failure ?? 'no_capacity' };
    if (this.refusals >= MAX_REFUSALS) return { do: 'fail', code: this.failure ?? 'no_capacity' };
    return { do: 'queue', tried: this.instances };
  }

  /** Why the last attempt failed; null while none has. */
  get failed(): ErrorCode | null {
    return this.failure;
  }

  /** Instances that had an attempt. */
  get instances(): string[] {
    return [...this.tried];
  }

  /** The queue named an instance: it is next. */
  offer(instance: SnapshotInstance): void {
    this.candidates.unshift(instance);
  }

  note(instance: SnapshotInstance, answer: Exclude<RelayAnswer, { kind: 'reply' }>): void {
    if (answer.kind === 'refused') {
      this.refusals += 1;
      return;
    }
    this.count += 1;
    this.tried.push(instance.instance);
    // The same agent is not asked again while another may answer.
    const others = this.candidates.filter((c) => c.agent !== instance.agent);
    this.candidates.splice(0, this.candidates.length, ...others);
    this.unsafe = answer.handed && !this.safe;
    this.failure = this.unsafe ? 'outcome_unknown' : asError(answer.code);
  }

  /** A reply broke before its first byte reached the client. */
  broke(instance: SnapshotInstance, code: string): void {
    this.note(instance, { kind: 'failed', code, handed: true });
  }
}

/** Refusals of one call at most: every candidate and a few places of the queue. */
const MAX_REFUSALS = 12;

function asError(code: string): ErrorCode {
  return code === 'engine_error' || code === 'engine_unreachable' || code === 'timeout' || code === 'cancelled' ? code : 'miner_lost';
}
