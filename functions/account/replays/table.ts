/**
 * Which Idempotency-Keys an account has used, and what a request with one of them gets: run, join, read again, or a refusal.
 * Pure. What is answered lies elsewhere: a running answer in a `Recording`, a kept one sealed on disk.
 */
import type { CallId } from '../../calls/ports.ts';
import type { ReplayLimits } from './limits.ts';

/**
 * `running` is on disk before the request may have any effect; one that is found there after a restart has nobody who
 * conducts it any more. It is `lost`: never run again, since nobody knows what it came to.
 */
export type ReplayState = 'running' | 'done' | 'too_large' | 'lost';

export interface ReplayRow {
  /** MAC of account and Idempotency-Key; the key itself is kept nowhere. */
  name: string;
  /** MAC of who asked for what: API key, method, path, body. */
  print: string;
  call: CallId;
  state: ReplayState;
  /** The answer broke off: it ends in the same way each time. */
  cut: boolean;
  /** Of the sealed answer. */
  bytes: number;
  /** Unix milliseconds. */
  expiresAt: number;
}

export type ReplayEffect = { kind: 'put'; row: ReplayRow } | { kind: 'delete'; name: string };

export type RefusalCode = 'idempotency_key_reused' | 'idempotent_replay_too_large' | 'outcome_unknown' | 'too_many_calls';

export type Verdict =
  | { do: 'run' }
  | { do: 'join'; call: CallId }
  | { do: 'read'; row: ReplayRow }
  | { do: 'refuse'; code: RefusalCode; call?: CallId; retryAfterMs?: number };

export interface Asked {
  name: string;
  print: string;
  /** Of its body. */
  bytes: number;
}

/** What answers take in memory now. */
export interface Load {
  heldBytes: number;
  readers: number;
}

export class ReplayTable {
  readonly #limits: ReplayLimits;
  readonly #rows = new Map<string, ReplayRow>();
  /** Names whose row is on disk. */
  readonly #written = new Set<string>();
  #running = 0;
  #keptBytes = 0;

  constructor(limits: ReplayLimits, rows: Iterable<ReplayRow> = []) {
    this.#limits = limits;
    for (const row of rows) {
      this.#set(row.state === 'running' ? { ...row, state: 'lost' } : row);
      this.#written.add(row.name);
    }
  }

  /** Whether the key was used, so that who asks for it has to be checked first. */
  knows(name: string, now: number): boolean {
    return this.#find(name, now) !== null;
  }

  judge(asked: Asked, load: Load, now: number): Verdict {
    const row = this.#find(asked.name, now);
    if (row === null) return this.#admit(asked, load, now);
    if (row.print !== asked.print) return { do: 'refuse', code: 'idempotency_key_reused' };
    if (load.readers >= this.#limits.readers) return busy(1_000);
    switch (row.state) {
      case 'running':
        return { do: 'join', call: row.call };
      case 'done':
        return load.heldBytes + row.bytes > this.#limits.heldBytes ? busy(1_000) : { do: 'read', row };
      case 'too_large':
        return { do: 'refuse', code: 'idempotent_replay_too_large', call: row.call };
      case 'lost':
        return { do: 'refuse', code: 'outcome_unknown', call: row.call };
    }
  }

  /** From now on others join it. In memory only: nothing has happened yet. */
  start(name: string, print: string, call: CallId, now: number): void {
    this.#set({ name, print, call, state: 'running', cut: false, bytes: 0, expiresAt: now + this.#limits.keepMs });
  }

  /** From now on it may have effects. */
  opened(name: string): ReplayEffect[] {
    return this.#change(name, {});
  }

  /** Nobody can join any more. */
  outgrew(name: string): ReplayEffect[] {
    return this.#change(name, { state: 'too_large' });
  }

  /** Its answer is complete and sealed, or broke off. */
  done(name: string, bytes: number, cut: boolean, now: number): ReplayEffect[] {
    return this.#change(name, { state: 'done', bytes, cut, expiresAt: now + this.#limits.keepMs });
  }

  /** Nobody will ever know what it came to. */
  lost(name: string): ReplayEffect[] {
    return this.#change(name, { state: 'lost' });
  }

  /** Nothing happened: the key may be tried again. */
  forget(name: string): ReplayEffect[] {
    this.#drop(name);
    return this.#written.delete(name) ? [{ kind: 'delete', name }] : [];
  }

  sweep(now: number): ReplayEffect[] {
    return [...this.#rows.values()]
      .filter((row) => row.expiresAt <= now && row.state !== 'running')
      .flatMap((row) => this.forget(row.name));
  }

  /** Unix milliseconds of the next sweep; null: nothing is kept. */
  get due(): number | null {
    let first = Infinity;
    for (const row of this.#rows.values()) if (row.state !== 'running') first = Math.min(first, row.expiresAt);
    return first === Infinity ? null : Math.ceil(first / this.#limits.sweepMs) * this.#limits.sweepMs;
  }

  #find(name: string, now: number): ReplayRow | null {
    const row = this.#rows.get(name);
    return row === undefined || (row.expiresAt <= now && row.state !== 'running') ? null : row;
  }

  #admit(asked: Asked, load: Load, now: number): Verdict {
    const limits = this.#limits;
    if (this.#running >= limits.running || load.readers >= limits.readers) return busy(1_000);
    if (load.heldBytes + asked.bytes > limits.heldBytes) return busy(1_000);
    if (this.#rows.size >= limits.answers || this.#keptBytes >= limits.keptBytes)
      return busy(Math.max(1_000, Math.min((this.due ?? now) - now, limits.keepMs)));
    return { do: 'run' };
  }

  #change(name: string, to: Partial<ReplayRow>): ReplayEffect[] {
    const row = this.#rows.get(name);
    if (row === undefined) return [];
    this.#set({ ...row, ...to });
    this.#written.add(name);
    return [{ kind: 'put', row: { ...row, ...to } }];
  }

  #set(row: ReplayRow): void {
    this.#drop(row.name);
    this.#rows.set(row.name, row);
    this.#keptBytes += row.bytes;
    if (row.state === 'running') this.#running += 1;
  }

  #drop(name: string): void {
    const row = this.#rows.get(name);
    if (row === undefined) return;
    this.#rows.delete(name);
    this.#keptBytes -= row.bytes;
    if (row.state === 'running') this.#running -= 1;
  }
}

function busy(retryAfterMs: number): Verdict {
  return { do: 'refuse', code: 'too_many_calls', retryAfterMs };
}
