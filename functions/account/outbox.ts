/**
 * Closed calls on their way to Postgres, in the order of their `seq`. They live in their own rows; here is only the order
 * and one number, up to which Postgres has them. Sending a batch again is harmless. Pure.
 */
import type { Effect } from './effects.ts';
import type { AccountLimits } from './limits.ts';
import type { CallRow, PoisonRow } from './rows.ts';

export class Outbox {
  readonly #limits: AccountLimits;
  #waiting: CallRow[] = [];
  readonly #poison = new Map<number, PoisonRow>();
  #flushed = 0;
  #lastSeq = 0;
  /** Calls of the next batch; halved while Postgres refuses what a batch holds, until the call at fault is alone. */
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

  /** Unix milliseconds since when the oldest waits; null: none does. */
  get oldestAt(): number | null {
    return this.#waiting[0]?.closedAt ?? null;
  }

  /** `closed`: in the order of their `seq`. */
  restore(flushed: number, closed: readonly CallRow[], poison: readonly PoisonRow[]): void {
    this.#flushed = flushed;
    this.#lastSeq = Math.max(flushed, closed.at(-1)?.seq ?? 0);
    this.#waiting = closed.filter((row) => (row.seq ?? 0) > flushed);
    for (const row of poison) this.#poison.set(row.call.seq ?? 0, row);
  }

  /** A call that closes; it gets its place. */
  add(row: CallRow): void {
    row.seq = ++this.#lastSeq;
    this.#waiting.push(row);
  }

  /** Unix milliseconds when the next batch should leave; null: nothing waits. */
  due(): number | null {
    const first = this.#waiting[0];
    if (first === undefined) return null;
    const closedAt = first.closedAt ?? 0;
    const ripe = this.#waiting.length >= this.#limits.batchNow ? closedAt : closedAt + this.#limits.flushMs;
    return Math.max(ripe, this.#notBefore);
  }

  /** The next batch if it is due. */
  send(now: number, effects: Effect[]): void {
    const due = this.due();
    if (due === null || due > now) return;
    const calls = this.#waiting.slice(0, this.#batch);
    const through = calls.at(-1)?.seq ?? 0;
    this.#underway = { through, size: calls.length };
    this.#notBefore = now + this.#limits.flushLostMs;
    effects.push({ kind: 'flush', through, calls });
  }

  /** The calls that wait no more. */
  sent(through: number, effects: Effect[]): CallRow[] {
    if (this.#underway?.through !== through) return []; // an older batch, told late
    this.#batch = Math.min(this.#limits.batch, this.#batch * 2);
    this.#backOffMs = 0;
    this.#notBefore = 0;
    return this.#drop(this.#underway.size, effects);
  }

  /** `rows`: Postgres refuses something in the batch. `down`: it did not answer, or not now. Like `sent`. */
  failed(through: number, why: 'rows' | 'down', now: number, effects: Effect[]): CallRow[] {
    if (this.#underway?.through !== through) return [];
    const { size } = this.#underway;
    this.#underway = null;
    if (why === 'down') {
      this.#backOffMs = Math.min(Math.max(this.#limits.backOffMs, 2 * this.#backOffMs), this.#limits.backOffMaxMs);
      this.#notBefore = now + this.#backOffMs;
      return [];
    }
    this.#notBefore = 0;
    if (size === 1) return this.#quarantine(now, effects);
    this.#batch = Math.ceil(size / 2);
    return [];
  }

  #quarantine(now: number, effects: Effect[]): CallRow[] {
    const call = this.#waiting[0];
    if (call === undefined) return [];
    const row: PoisonRow = { call, at: now };
    const seq = call.seq ?? 0;
    this.#poison.set(seq, row);
    effects.push({ kind: 'put', row: { kind: 'poison', id: String(seq), value: row } });
    const oldest = this.#poison.keys().next();
    if (this.#poison.size > this.#limits.poison && !oldest.done) {
      this.#poison.delete(oldest.value);
      effects.push({ kind: 'delete', row: 'poison', id: String(oldest.value) });
    }
    return this.#drop(1, effects);
  }

  #drop(count: number, effects: Effect[]): CallRow[] {
    this.#underway = null;
    this.#flushed = this.#waiting[count - 1]?.seq ?? this.#flushed;
    const gone = this.#waiting.splice(0, count);
    effects.push({ kind: 'put', row: { kind: 'meta', id: 'meta', value: { flushed: this.#flushed } } });
    return gone;
  }
}
