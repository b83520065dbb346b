/**
 * The calls of an account: a hold from `open` until every attempt is known, then a story that is kept for a while. Pure.
 *
 * A call closes when the attempt marked `final` and all before it are settled; or as many as the conductor said there
 * would be; or when, after the deadline, every agent that may have had it has answered or is fenced. Then its cost is
 * taken, the rest of the hold is free, and nothing is charged for it any more.
 */
import type { CallId, InquiryAnswer, Settlement } from '../calls/ports.ts';
import { chargeOf } from '../prices/charge.ts';
import { rentOf } from '../prices/cost.ts';
import type { Caps } from './caps.ts';
import type { Effect } from './effects.ts';
import type { Hold } from './holds.ts';
import type { Leases } from './lease.ts';
import type { AccountLimits } from './limits.ts';
import type { Outbox } from './outbox.ts';
import type { CallRow } from './rows.ts';

/** A call to be opened; what is not known of it yet is left out. */
export type NewCall = Pick<CallRow, 'call' | 'kind' | 'key' | 'chute' | 'version' | 'terms' | 'facts' | 'agents'> & { deadlineMs: number };

/** Told of a call that just closed, with what it cost. */
export type OnClosed = (row: CallRow, now: number, effects: Effect[]) => void;

export class Calls {
  readonly #limits: AccountLimits;
  readonly #outbox: Outbox;
  readonly #leases: Leases;
  readonly #caps: Caps;
  /** In the order of opening. */
  readonly #calls = new Map<CallId, CallRow>();
  readonly #open = new Set<CallRow>();
  /** What the conductor said. A hint, so it is not kept: without it the deadline inquiry closes the call. */
  readonly #told = new Map<CallId, { attempts: number; code: string }>();
  /** Unix milliseconds of the next inquiry, where one was made already. */
  readonly #askAt = new Map<CallId, number>();

  readonly #closed: OnClosed;

  constructor(
    limits: AccountLimits,
    { outbox, leases, caps }: { outbox: Outbox; leases: Leases; caps: Caps },
    closed: OnClosed = () => undefined,
  ) {
    this.#limits = limits;
    this.#closed = closed;
    this.#outbox = outbox;
    this.#leases = leases;
    this.#caps = caps;
  }

  restore(row: CallRow): void {
    this.#calls.set(row.call, row);
    if (row.closedAt === null) this.#open.add(row);
  }

  get openCount(): number {
    return this.#open.size;
  }

  get(call: CallId): CallRow | null {
    return this.#calls.get(call) ?? null;
  }

  /** Newest first; rents are not calls to who reads this. */
  recent(count: number): CallRow[] {
    const found: CallRow[] = [];
    for (const row of [...this.#calls.values()].reverse()) {
      if (found.length === count) break;
      if (row.kind === 'call') found.push(row);
    }
    return found;
  }

  /** Writes the hold. The caller has checked that the call may open and is covered. */
  open({ deadlineMs, ...call }: NewCall, hold: Hold, now: number, effects: Effect[]): CallRow {
    const row: CallRow = {
      ...call,
      hold: hold.amount,
      epoch: this.#leases.hold(hold.amount, now),
      allowance: hold.allowance,
      agents: call.agents.slice(0, this.#limits.agents),
      openedAt: now,
      deadlineAt: now + deadlineMs,
      attempts: [],
      inquiry: {},
      closedAt: null,
      code: '',
      seq: null,
      cash: 0n,
      promo: 0n,
    };
    this.#caps.hold(row.key, row.hold);
    this.restore(row);
    put(row, effects);
    return row;
  }

  /** The caller has checked that what is more is covered. */
  extend(row: CallRow, hold: Hold, now: number, effects: Effect[]): void {
    const more = hold.amount - row.hold;
    if (more > 0n) {
      this.#leases.grow(more, now);
      this.#caps.hold(row.key, more);
      row.hold = hold.amount;
    }
    row.allowance = hold.allowance;
    put(row, effects);
  }

  /** More agents that may get an attempt, written before it is dispatched; false: too late or too many. */
  widen(call: CallId, agents: readonly string[], effects: Effect[]): boolean {
    const row = this.#calls.get(call);
    if (row === undefined || row.closedAt !== null || Object.keys(row.inquiry).length > 0) return false;
    const more = agents.filter((agent) => !row.agents.includes(agent));
    if (row.agents.length + more.length > this.#limits.agents) return false;
    if (more.length === 0) return true;
    row.agents = [...row.agents, ...more];
    put(row, effects);
    return true;
  }

  /** `attempts` is a number, not a list: fewer writes. Writes only if it closes the call. */
  close(call: CallId, attempts: number, code: string, now: number, effects: Effect[]): void {
    const row = this.#calls.get(call);
    if (row === undefined || row.closedAt !== null) return;
    this.#told.set(call, { attempts, code });
    if (this.#complete(row)) this.#finish(row, code, now, effects);
  }

  /**
   * Takes attempts over, each once. Every settlement is answered for, also one that captures nothing: a repeat; an
   * attempt of a call that is closed or of an agent that is fenced (kept in the story as refused); an attempt of a call
   * nobody opened here, or whose story is gone. Money moves under a hold only, and a Miner object that was not told
   * would send it for ever.
   */
  settle(settlements: readonly Settlement[], now: number, effects: Effect[]): void {
    const touched = new Set<CallRow>();
    for (const settlement of settlements) {
      const row = this.#calls.get(settlement.call);
      if (row !== undefined && this.#take(row, settlement, now)) touched.add(row);
    }
    for (const row of touched) {
      if (row.closedAt === null && this.#complete(row)) this.#finish(row, this.#told.get(row.call)?.code ?? '', now, effects);
      else put(row, effects);
    }
  }

  /** Agents to ask now. Calls nobody could have got are closed on the way. */
  inquire(now: number, effects: Effect[]): void {
    let left = this.#limits.inquiries;
    for (const row of this.#open) {
      if (this.dueOf(row) > now) continue;
      const pending = row.agents.filter((agent) => isPending(row, agent));
      if (pending.length === 0) {
        this.#finish(row, this.#codeAtDeadline(row), now, effects);
        continue;
      }
      if (left < pending.length) return;
      left -= pending.length;
      this.#askAt.set(row.call, now + this.#limits.inquireMs);
      for (const agent of pending) effects.push({ kind: 'inquire', call: row.call, agent });
    }
  }

  /** What an agent's Miner object answered; null: it could not. */
  inquired(call: CallId, agent: string, answer: InquiryAnswer | null, now: number, effects: Effect[]): void {
    const row = this.#calls.get(call);
    if (row === undefined || row.closedAt !== null || !isPending(row, agent)) return;
    if (answer?.kind === 'settled')
      for (const settlement of answer.settlements) if (settlement.call === call) this.#take(row, settlement, now);
    const before = row.inquiry[agent];
    const state = answer === null ? 'silent' : answer.kind;
    const since = before?.state === state ? before.since : now;
    const fenced =
      (state === 'silent' && now - since >= this.#limits.fenceMs) ||
      (state === 'running' && now - row.deadlineAt >= this.#limits.runningMs);
    row.inquiry = { ...row.inquiry, [agent]: { state: fenced ? 'fenced' : state, since: fenced ? now : since } };
    if (row.agents.some((one) => isPending(row, one)) && !this.#complete(row)) put(row, effects);
    else this.#finish(row, this.#codeAtDeadline(row), now, effects);
  }

  /** Unix milliseconds of the next inquiry of any call; null: none is open. */
  due(): number | null {
    let due: number | null = null;
    for (const row of this.#open) due = Math.min(due ?? Infinity, this.dueOf(row));
    return due;
  }

  /** Forgets closed calls that Postgres has, when they are old or too many. */
  sweep(now: number, effects: Effect[]): void {
    let over = this.#calls.size - this.#open.size - this.#limits.keepCalls;
    for (const row of this.#calls.values()) {
      if (row.closedAt === null) continue;
      const old = now - row.closedAt >= this.#limits.keepMs;
      if (!old && over <= 0) return; // the rest was opened later
      if (!this.#isFlushed(row)) continue;
      this.#calls.delete(row.call);
      effects.push({ kind: 'delete', row: 'call', id: row.call });
      over--;
    }
  }

  /** Unix milliseconds when the oldest closed call may be forgotten; null also while Postgres does not have it. */
  sweepDue(): number | null {
    for (const row of this.#calls.values()) {
      if (row.closedAt !== null) return this.#isFlushed(row) ? row.closedAt + this.#limits.keepMs : null;
    }
    return null;
  }

  #isFlushed(row: CallRow): boolean {
    return (row.seq ?? Infinity) <= this.#outbox.flushedThrough;
  }

  /** Whether the row changed. */
  #take(row: CallRow, settlement: Settlement, now: number): boolean {
    if (row.attempts.length >= this.#limits.attempts || row.attempts.some((a) => a.settlement.attempt === settlement.attempt)) return false;
    const refused = row.closedAt !== null || row.inquiry[settlement.agent]?.state === 'fenced';
    const cost = refused ? 0n : least(priceOf(row, settlement), row.hold - costOf(row));
    row.attempts.push({ settlement, cost, takenAt: now, refused });
    return true;
  }

  #complete(row: CallRow): boolean {
    const taken = row.attempts.filter((a) => !a.refused);
    const final = taken.find((a) => a.settlement.final)?.settlement.attempt;
    const needed = final === undefined ? this.#told.get(row.call)?.attempts : final + 1;
    if (needed === undefined) return false;
    const known = new Set(taken.map((a) => a.settlement.attempt));
    for (let k = 0; k < needed; k++) if (!known.has(k)) return false;
    return true;
  }

  #finish(row: CallRow, code: string, now: number, effects: Effect[]): void {
    row.closedAt = now;
    row.code = code;
    this.#open.delete(row);
    this.#told.delete(row.call);
    this.#askAt.delete(row.call);
    this.#leases.close(row, costOf(row), now);
    this.#caps.close(row);
    this.#outbox.add(row);
    put(row, effects);
    this.#closed(row, now, effects);
  }

  #codeAtDeadline(row: CallRow): string {
    const told = this.#told.get(row.call)?.code;
    if (told !== undefined) return told;
    return row.attempts.some((a) => !a.refused && a.settlement.final) ? '' : 'timeout';
  }

  /** Unix milliseconds when its agents are asked. */
  dueOf(row: CallRow): number {
    return this.#askAt.get(row.call) ?? row.deadlineAt + this.#limits.graceMs;
  }
}

/** Nano-USD, of the attempts that are known so far. */
export function costOf(row: CallRow): bigint {
  return row.attempts.reduce((sum, a) => sum + a.cost, 0n);
}

function priceOf({ kind, terms, facts }: CallRow, settlement: Settlement): bigint {
  return kind === 'rent' ? rentOf(terms, settlement.lastByteMs ?? 0) : chargeOf(terms, facts, settlement);
}

function isPending(row: CallRow, agent: string): boolean {
  const state = row.inquiry[agent]?.state;
  return state === undefined || state === 'silent' || state === 'running';
}

function put(row: CallRow, effects: Effect[]): void {
  effects.push({ kind: 'put', row: { kind: 'call', id: row.call, value: row } });
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
