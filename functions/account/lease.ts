/**
 * The account's lease: credit taken out of Postgres, from which calls are held. Every move of it is numbered, written
 * before it is sent, and sent the same until it is answered; so a move whose outcome is unknown is never made twice. Only
 * the account itself gives credit back. Pure.
 *
 * Free = granted − spent − held (− what is on its way back), never below zero. Older leases stay only until the last of
 * their calls is in Postgres.
 */
import type { Effect } from './effects.ts';
import type { AccountLimits } from './limits.ts';
import { Peaks } from './peaks.ts';
import type { CallRow, LeaseMove, LeaseRow } from './rows.ts';

/** What Postgres says to a move; amounts in nano-USD. */
export interface MoveAnswer {
  /** `stale`: nothing was moved; `epoch` is the newest lease's. */
  kind: 'ok' | 'stale';
  epoch: number;
  n: number;
  /** Granted in all, spent or not. */
  cashAmount: bigint;
  promoAmount: bigint;
  /** What the account has outside of its leases. */
  cashAvailable: bigint;
  promoAvailable: bigint;
}

/** A lease with what is spent of it, flushed or not, and held; nano-USD. */
export interface LeaseFacts {
  epoch: number;
  cash: bigint;
  promo: bigint;
  cashSpent: bigint;
  promoSpent: bigint;
  held: bigint;
}

/** `coming`: ask again when Postgres has answered. `away`: it does not answer. */
export type MoreCredit = 'coming' | 'none' | 'away';

interface Lease {
  row: LeaseRow;
  /** Nano-USD of open calls, and how many there are. */
  held: bigint;
  open: number;
  /** Nano-USD of closed calls that are not flushed, and how many there are. */
  cash: bigint;
  promo: bigint;
  waiting: number;
}

/** Beyond what any account has; keeps a wish within Postgres' bigint. */
const MOST = 1n << 62n;

export class Leases {
  readonly #limits: AccountLimits;
  readonly #peaks = new Peaks();
  readonly #leases = new Map<number, Lease>();
  #now: Lease | null = null;
  /** Unix milliseconds before which the move is not sent (again). */
  #notBefore = 0;
  #backOffMs = 0;
  /** Unix milliseconds of the last answer that granted less than was wanted. */
  #poorAt = -Infinity;
  #usedAt = 0;

  constructor(limits: AccountLimits) {
    this.#limits = limits;
  }

  restore(row: LeaseRow): void {
    const lease = { row, held: 0n, open: 0, cash: 0n, promo: 0n, waiting: 0 };
    this.#leases.set(row.epoch, lease);
    if (this.#now === null || row.epoch > this.#now.row.epoch) this.#now = lease;
    this.#usedAt = Math.max(this.#usedAt, row.movedAt);
  }

  /** After the leases. */
  restoreCall(row: CallRow, flushed: boolean): void {
    const lease = this.#of(row);
    this.#usedAt = Math.max(this.#usedAt, row.closedAt ?? row.openedAt);
    if (row.closedAt !== null) this.#peaks.add(row.closedAt, row.cash + row.promo);
    if (lease === undefined || flushed) return;
    if (row.closedAt === null) {
      lease.held += row.hold;
      lease.open++;
    } else this.#await(lease, row);
  }

  /** Nano-USD that calls can be held from now. */
  get free(): bigint {
    return this.#now === null ? 0n : freeOf(this.#now);
  }

  /** Nano-USD held for open calls. */
  get held(): bigint {
    let sum = 0n;
    for (const lease of this.#leases.values()) sum += lease.held;
    return sum;
  }

  /** Nano-USD of calls that are closed, and not known to be in Postgres. */
  get unbilled(): bigint {
    let sum = 0n;
    for (const lease of this.#leases.values()) sum += lease.cash + lease.promo;
    return sum;
  }

  /** What the account had outside of its leases when Postgres last answered; null: it never did. */
  get left(): { cash: bigint; promo: bigint; at: number } | null {
    const row = this.#now?.row;
    return row === undefined || row.movedAt === 0 ? null : { cash: row.cashLeft, promo: row.promoLeft, at: row.movedAt };
  }

  /** Nano-USD that are not spent, held or not, as of Postgres' last answer; null: it never answered. */
  get balance(): bigint | null {
    const lease = this.#now;
    const { left } = this;
    if (lease === null || left === null) return null;
    const { cash, promo, cashSpent, promoSpent } = lease.row;
    return left.cash + left.promo + cash + promo - cashSpent - promoSpent - lease.cash - lease.promo;
  }

  /** Asks Postgres what is there, unless it was asked just now. False: it was. */
  look(now: number, effects: Effect[]): boolean {
    const lease = this.#now;
    if (lease === null || Math.abs(now - lease.row.movedAt) < this.#limits.poorMs) return false;
    if (lease.row.moving === null) this.#move(lease, { n: lease.row.n + 1, want: 0n, cash: 0n, promo: 0n }, now, effects);
    return true;
  }

  /** The newest last; calls are held from that one. */
  list(): LeaseFacts[] {
    return [...this.#leases.values()].map(({ row, held, cash, promo }) => ({
      epoch: row.epoch,
      cash: row.cash,
      promo: row.promo,
      cashSpent: row.cashSpent + cash,
      promoSpent: row.promoSpent + promo,
      held,
    }));
  }

  covers(amount: bigint): boolean {
    return amount === 0n || amount <= this.free;
  }

  /** Whether a hold of this lease may grow. */
  isCurrent(epoch: number | null): boolean {
    return epoch !== null && epoch === this.#now?.row.epoch;
  }

  /** The caller knows that it is covered. Returns the epoch it is held in. */
  hold(amount: bigint, now: number): number | null {
    if (amount === 0n || this.#now === null) return null;
    this.#now.held += amount;
    this.#now.open++;
    this.#usedAt = now;
    return this.#now.row.epoch;
  }

  grow(amount: bigint, now: number): void {
    if (this.#now === null) return;
    this.#now.held += amount;
    this.#usedAt = now;
  }

  /** Frees the hold and takes the cost, promo first: the parts are written into the row. */
  close(row: CallRow, cost: bigint, now: number): void {
    const lease = this.#of(row);
    if (lease === undefined) return;
    lease.held -= row.hold;
    lease.open--;
    const promo = lease.row.promo - lease.row.promoSpent - lease.promo - backOf(lease.row.moving).promo;
    row.promo = cost < promo ? cost : promo;
    row.cash = cost - row.promo;
    this.#await(lease, row);
    this.#peaks.add(now, cost);
    this.#usedAt = now;
  }

  /** These calls are in Postgres, or will never be. */
  flushed(rows: readonly CallRow[], effects: Effect[]): void {
    const touched = new Set<Lease>();
    for (const row of rows) {
      const lease = this.#of(row);
      if (lease === undefined) continue;
      lease.cash -= row.cash;
      lease.promo -= row.promo;
      lease.waiting--;
      lease.row.cashSpent += row.cash;
      lease.row.promoSpent += row.promo;
      touched.add(lease);
    }
    for (const lease of touched) if (!this.#retire(lease, effects)) put(lease.row, effects);
  }

  /** More credit for a call that is not covered; the shell asks again when there is an answer. */
  request(amount: bigint, now: number, effects: Effect[]): MoreCredit {
    const moving = this.#now?.row.moving ?? null;
    if (moving !== null) return this.#resend(now, effects);
    const { left } = this;
    const fresh = left !== null && now >= left.at && now - left.at < this.#limits.poorMs;
    if (fresh && this.free + left.cash + left.promo < amount) return 'none';
    this.#draw(amount, now, effects);
    return 'coming';
  }

  /** In the background, when half of what should be at hand is gone. */
  refill(now: number, effects: Effect[]): void {
    const moving = this.#now?.row.moving ?? null;
    if (this.#now === null || moving !== null || 2n * this.free >= this.#target()) return;
    if (Math.abs(now - this.#poorAt) < this.#limits.refillPauseMs) return;
    this.#draw(0n, now, effects);
  }

  /** Whether the answer was to the move under way. */
  moved(epoch: number, n: number, answer: MoveAnswer, now: number, effects: Effect[]): boolean {
    const lease = this.#now;
    const moving = lease?.row.moving ?? null;
    if (lease === null || moving === null || lease.row.epoch !== epoch || moving.n !== n) return false;
    this.#backOffMs = 0;
    if (answer.kind === 'stale') {
      this.#lose(lease, answer.epoch, now, effects);
      return true;
    }
    const granted = answer.cashAmount + answer.promoAmount - lease.row.cash - lease.row.promo;
    this.#poorAt = granted < moving.want ? now : -Infinity;
    lease.row = {
      ...lease.row,
      n,
      cash: answer.cashAmount,
      promo: answer.promoAmount,
      moving: null,
      movedAt: now,
      cashLeft: answer.cashAvailable,
      promoLeft: answer.promoAvailable,
    };
    put(lease.row, effects);
    return true;
  }

  /** These calls could not be billed, since their lease was taken back: it is not ours any more. */
  fenced(rows: readonly CallRow[], now: number, effects: Effect[]): void {
    if (this.#now !== null && rows.some((row) => this.isCurrent(row.epoch))) this.#lose(this.#now, 0, now, effects);
  }

  moveFailed(epoch: number, n: number, now: number): void {
    const row = this.#now?.row;
    if (row === undefined || row.epoch !== epoch || row.moving?.n !== n) return;
    this.#backOffMs = Math.min(Math.max(this.#limits.moveBackOffMs, 2 * this.#backOffMs), this.#limits.moveBackOffMaxMs);
    this.#notBefore = now + this.#backOffMs;
  }

  /** Milliseconds until Postgres is asked again. */
  retryMs(now: number): number {
    return Math.max(1, Math.min(this.#notBefore - now, this.#limits.moveBackOffMaxMs));
  }

  /** Unix milliseconds of the next move; null: none is due. */
  due(): number | null {
    if (this.#now === null) return null;
    if (this.#now.row.moving !== null) return this.#notBefore;
    return this.#now.held === 0n && this.free > 0n ? this.#usedAt + this.#limits.idleMs : null;
  }

  /** Sends what is due: the move that was not answered, or idle credit back. */
  wake(now: number, effects: Effect[]): void {
    const lease = this.#now;
    if (lease === null) return;
    if (lease.row.moving !== null) {
      this.#resend(now, effects);
      return;
    }
    if (lease.held > 0n || this.free === 0n || now - this.#usedAt < this.#limits.idleMs) return;
    const cash = lease.row.cash - lease.row.cashSpent - lease.cash;
    const promo = lease.row.promo - lease.row.promoSpent - lease.promo;
    this.#move(lease, { n: lease.row.n + 1, want: -(cash + promo), cash, promo }, now, effects);
  }

  #of(row: CallRow): Lease | undefined {
    return row.epoch === null ? undefined : this.#leases.get(row.epoch);
  }

  #await(lease: Lease, row: CallRow): void {
    lease.cash += row.cash;
    lease.promo += row.promo;
    lease.waiting++;
  }

  /** Ten minutes of the busiest minute, and a smallest amount. */
  #target(): bigint {
    const peak = this.#peaks.peak * BigInt(this.#limits.leaseMinutes);
    const least = BigInt(this.#limits.leaseNanousd);
    return peak > least ? peak : least;
  }

  #draw(amount: bigint, now: number, effects: Effect[]): void {
    if (this.#now === null) this.#begin(1);
    const lease = this.#now;
    if (lease === null) return;
    const want = amount + this.#target() - this.free;
    this.#move(lease, { n: lease.row.n + 1, want: want < MOST ? want : MOST, cash: 0n, promo: 0n }, now, effects);
  }

  #move(lease: Lease, moving: LeaseMove, now: number, effects: Effect[]): void {
    lease.row = { ...lease.row, moving };
    put(lease.row, effects);
    this.#send(lease.row.epoch, moving, now, effects);
  }

  #resend(now: number, effects: Effect[]): MoreCredit {
    const { row } = this.#now ?? {};
    // A clock that went back must not stop the account for as long.
    const waits = now < this.#notBefore && this.#notBefore - now <= this.#limits.moveBackOffMaxMs;
    if (waits) return this.#backOffMs > 0 ? 'away' : 'coming';
    if (row?.moving) this.#send(row.epoch, row.moving, now, effects);
    return 'coming';
  }

  #send(epoch: number, moving: LeaseMove, now: number, effects: Effect[]): void {
    this.#notBefore = now + this.#limits.moveLostMs;
    effects.push({ kind: 'draw', epoch, ...moving });
  }

  #begin(epoch: number): void {
    const row: LeaseRow = {
      epoch,
      n: 0,
      cash: 0n,
      promo: 0n,
      cashSpent: 0n,
      promoSpent: 0n,
      moving: null,
      movedAt: 0,
      cashLeft: 0n,
      promoLeft: 0n,
    };
    this.restore(row);
  }

  /** Somebody fenced it, or these rows are older than what Postgres saw: its calls go on, nothing new is held from it. */
  #lose(lease: Lease, newest: number, now: number, effects: Effect[]): void {
    lease.row = { ...lease.row, moving: null };
    this.#begin(Math.max(newest, lease.row.epoch) + 1);
    this.#notBefore = now;
    if (this.#now !== null) put(this.#now.row, effects);
    if (!this.#retire(lease, effects)) put(lease.row, effects);
  }

  #retire(lease: Lease, effects: Effect[]): boolean {
    if (lease === this.#now || lease.open > 0 || lease.waiting > 0) return false;
    this.#leases.delete(lease.row.epoch);
    effects.push({ kind: 'delete', row: 'lease', id: String(lease.row.epoch) });
    return true;
  }
}

function freeOf({ row, held, cash, promo }: Lease): bigint {
  const back = backOf(row.moving);
  return row.cash + row.promo - row.cashSpent - row.promoSpent - cash - promo - held - back.cash - back.promo;
}

/** What is on its way back must not be held from any more: Postgres may have it. */
function backOf(moving: LeaseMove | null): { cash: bigint; promo: bigint } {
  return moving !== null && moving.want < 0n ? moving : { cash: 0n, promo: 0n };
}

function put(row: LeaseRow, effects: Effect[]): void {
  effects.push({ kind: 'put', row: { kind: 'lease', id: String(row.epoch), value: row } });
}
