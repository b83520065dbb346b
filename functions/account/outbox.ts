/**
 * Settled attempts on their way to Postgres, in the order of their `seq`. They live in the rows of their calls; here is
 * only the order and one number, up to which Postgres has them. Sending a batch again is harmless. Pure.
 */
import type { Effect } from './effects.ts';
import type { AccountLimits } from './limits.ts';
import type { AttemptRow, PoisonRow } from './rows.ts';

export class Outbox {
  readonly #limits: AccountLimits;
  #waiting: AttemptRow[] = [];
  readonly #poison = new Map<number, PoisonRow>();
  #flushed = 0;
  #lastSeq = 0;
  /** Rows of the next batch; halved while Postgres refuses what a batch holds, until the row at fault is alone. */
  #batch: number;
  /** Unix milliseconds before which nothing is sent: back-off, or a batch under way. */
  #notBefore = 0;
  #backOffMs = 0;
  #underway: { through: number; size: number } | null = null;

  constructor(limits: AccountLimits) {
    this.#limits = limits;
    this.#batch = limits.batch;
  }

  get size(): number {
    return this.#waiting.length;
  }

  get flushedThrough(): number {
    return this.#flushed;
  }

  restore(flushed: number, attempts: readonly AttemptRow[], poison: readonly PoisonRow[]): void {
    this.#flushed = flushed;
    this.#lastSeq = attempts.reduce((last, a) => Math.max(last, a.seq ?? 0), flushed);
    this.#waiting = attempts.filter((a) => (a.seq ?? 0) > flushed).sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    for (const row of poison) this.#poison.set(row.attempt.seq ?? 0, row);
  }

  nextSeq(): number {
    return ++this.#lastSeq;
  }

  add(attempt: AttemptRow): void {
    this.#waiting.push(attempt);
  }

  /** Unix milliseconds when the next batch should leave; null: nothing waits. */
  due(): number | null {
    const first = this.#waiting[0];
    if (first === undefined) return null;
    const ripe = this.#waiting.length >= this.#limits.batchNow ? first.takenAt : first.takenAt + this.#limits.flushMs;
    return Math.max(ripe, this.#notBefore);
  }

  /** The next batch if it is due. */
  send(now: number, effects: Effect[]): void {
    const due = this.due();
    if (due === null || due > now) return;
    const attempts = this.#waiting.slice(0, this.#batch);
    const through = attempts.at(-1)?.seq ?? 0;
    this.#underway = { through, size: attempts.length };
    this.#notBefore = now + this.#limits.flushLostMs;
    effects.push({ kind: 'flush', through, attempts });
  }

  sent(through: number, effects: Effect[]): void {
    if (this.#underway?.through !== through) return; // an older batch, told late
    this.#batch = Math.min(this.#limits.batch, this.#batch * 2);
    this.#backOffMs = 0;
    this.#notBefore = 0;
    this.#drop(this.#underway.size, effects);
  }

  /** `rows`: Postgres refuses something in the batch. `down`: it did not answer, or not now. */
  failed(through: number, why: 'rows' | 'down', now: number, effects: Effect[]): void {
    if (this.#underway?.through !== through) return;
    const { size } = this.#underway;
    this.#underway = null;
    if (why === 'down') {
      this.#backOffMs = Math.min(Math.max(this.#limits.backOffMs, 2 * this.#backOffMs), this.#limits.backOffMaxMs);
      this.#notBefore = now + this.#backOffMs;
      return;
    }
    this.#notBefore = 0;
    if (size > 1) this.#batch = Math.ceil(size / 2);
    else this.#quarantine(now, effects);
  }

  #quarantine(now: number, effects: Effect[]): void {
    const attempt = this.#waiting[0];
    if (attempt === undefined) return;
    const row: PoisonRow = { attempt, at: now };
    const seq = attempt.seq ?? 0;
    this.#poison.set(seq, row);
    effects.push({ kind: 'put', row: { kind: 'poison', id: String(seq), value: row } });
    const oldest = this.#poison.keys().next();
    if (this.#poison.size > this.#limits.poison && !oldest.done) {
      this.#poison.delete(oldest.value);
      effects.push({ kind: 'delete', row: 'poison', id: String(oldest.value) });
    }
    this.#drop(1, effects);
  }

  #drop(count: number, effects: Effect[]): void {
    this.#underway = null;
    this.#flushed = this.#waiting[count - 1]?.seq ?? this.#flushed;
    this.#waiting.splice(0, count);
    effects.push({ kind: 'put', row: { kind: 'meta', id: 'meta', value: { flushed: this.#flushed } } });
  }
}
