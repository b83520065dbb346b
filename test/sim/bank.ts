/**
 * The ledger of a run, as far as calls go: what `lease_move`, `flush_calls` and `fence_lease` promise, in memory. Written
 * from the promise and not from the SQL, so that whoever is at odds with it shows.
 */
import type { CallRecord } from '../../db/calls.ts';
import type { LeaseAnswer, LeaseAsk } from '../../db/leases.ts';

/** Nano-USD, split as purses are. */
export interface Money {
  cash: bigint;
  promo: bigint;
}

export interface Lease {
  account: string;
  epoch: number;
  /** Of the last move. */
  n: number;
  state: 'open' | 'closing' | 'closed';
  amount: Money;
  spent: Money;
}

/** A statement that the database refuses. */
export class Refused extends Error {
  /** `fenced`: a lease was taken back. `rows`: something in it is wrong. */
  readonly why: 'fenced' | 'rows';
  constructor(why: 'fenced' | 'rows', message: string) {
    super(message);
    this.why = why;
  }
}

export class Bank {
  /** Everything that was ever paid in, and what is there of it now. */
  readonly paidIn = new Map<string, Money>();
  readonly posted = new Map<string, Money>();
  readonly leases: Lease[] = [];
  readonly calls = new Map<string, CallRecord>();
  readonly pending = new Map<string, bigint>();
  fee = 0n;

  credit(account: string, amount: Money): void {
    for (const purses of [this.paidIn, this.posted]) purses.set(account, plus(purses.get(account) ?? NOTHING, amount));
  }

  /** Outside of every lease. */
  available(account: string): Money {
    return minus(this.posted.get(account) ?? NOTHING, this.held(account));
  }

  /** All of an account's money, and what of it leases hold. */
  balance(account: string): { posted: Money; held: Money } {
    return { posted: this.posted.get(account) ?? NOTHING, held: this.held(account) };
  }

  lease(account: string, epoch: number): Lease | null {
    return this.leases.find((lease) => lease.account === account && lease.epoch === epoch) ?? null;
  }

  newest(account: string): Lease | null {
    return this.leases.findLast((lease) => lease.account === account) ?? null;
  }

  private held(account: string): Money {
    const holding = this.leases.filter((lease) => lease.account === account && lease.state !== 'closed');
    return holding.reduce((sum, lease) => plus(sum, minus(lease.amount, lease.spent)), NOTHING);
  }

  moveLease(ask: LeaseAsk): LeaseAnswer {
    const before = this.newest(ask.accountId);
    if (before !== null && ask.epoch < before.epoch) return this.answer('stale', ask.accountId, before);
    const lease = before?.epoch === ask.epoch ? before : this.open(ask, before);
    if (lease.state !== 'open' || (ask.n !== lease.n && ask.n !== lease.n + 1)) return this.answer('stale', ask.accountId, lease);
    if (ask.n === lease.n + 1) this.carryOut(lease, ask);
    return this.answer('ok', ask.accountId, lease);
  }

  /** The older lease keeps its credit: whoever holds it may still have spent it. */
  private open(ask: LeaseAsk, before: Lease | null): Lease {
    if (before?.state === 'open') before.state = 'closing';
    const lease: Lease = { account: ask.accountId, epoch: ask.epoch, n: 0, state: 'open', amount: NOTHING, spent: NOTHING };
    this.leases.push(lease);
    return lease;
  }

  private carryOut(lease: Lease, ask: LeaseAsk): void {
    const moved = ask.want > 0n ? this.grant(ask) : ask.want < 0n ? { cash: -ask.cash, promo: -ask.promo } : NOTHING;
    const amount = plus(lease.amount, moved);
    if (amount.cash < lease.spent.cash || amount.promo < lease.spent.promo) throw new Refused('rows', 'gives back what is spent');
    lease.amount = amount;
    lease.n = ask.n;
  }

  private grant({ accountId, want }: LeaseAsk): Money {
    const there = this.available(accountId);
    const promo = least(want, there.promo);
    return { promo, cash: least(want - promo, there.cash) };
  }

  private answer(kind: 'ok' | 'stale', account: string, lease: Lease): LeaseAnswer {
    const there = this.available(account);
    return {
      kind,
      epoch: lease.epoch,
      n: lease.n,
      cashAmount: lease.amount.cash,
      promoAmount: lease.amount.promo,
      cashAvailable: there.cash,
      promoAvailable: there.promo,
    };
  }

  /** All or nothing. */
  flushCalls(records: readonly CallRecord[]): { taken: number; known: number } {
    const fresh = records.filter((record) => !this.calls.has(record.callId));
    const spent = new Map<Lease, Money>();
    for (const record of fresh) {
      const lease = this.leaseOf(record);
      if (lease !== null) spent.set(lease, plus(spent.get(lease) ?? lease.spent, costOf(record)));
    }
    for (const [lease, { cash, promo }] of spent)
      if (cash > lease.amount.cash || promo > lease.amount.promo) throw new Refused('rows', 'costs more than its lease has');
    for (const [lease, money] of spent) lease.spent = money;
    for (const record of fresh) this.capture(record);
    return { taken: fresh.length, known: records.length - fresh.length };
  }

  /** Null: it cost nothing. */
  private leaseOf(record: CallRecord): Lease | null {
    const { callId, accountId, leaseEpoch, costNanousd, holdNanousd, cashNanousd, promoNanousd, attempts } = record;
    const sum = attempts.reduce((cost, attempt) => cost + attempt.costNanousd, 0n);
    if (
      costNanousd !== cashNanousd + promoNanousd ||
      costNanousd !== sum ||
      costNanousd > holdNanousd ||
      cashNanousd < 0n ||
      promoNanousd < 0n
    )
      throw new Refused('rows', `${callId} does not add up`);
    if (leaseEpoch === null && costNanousd === 0n) return null;
    const lease = this.lease(accountId, leaseEpoch ?? 0);
    if (lease === null) throw new Refused('rows', `${callId} is of no lease`);
    if (lease.state === 'closed') throw new Refused('fenced', `${callId} is of a lease that was taken back`);
    return lease;
  }

  private capture(record: CallRecord): void {
    this.posted.set(record.accountId, minus(this.posted.get(record.accountId) ?? NOTHING, costOf(record)));
    for (const { hotkey, costNanousd, shareNanousd } of record.attempts) {
      this.pending.set(hotkey, (this.pending.get(hotkey) ?? 0n) + shareNanousd);
      this.fee += costNanousd - shareNanousd;
    }
    this.calls.set(record.callId, record);
  }

  /** The operator takes back what is unspent. */
  fence(account: string, epoch: number): void {
    const lease = this.lease(account, epoch);
    if (lease !== null) lease.state = 'closed';
  }
}

const NOTHING: Money = { cash: 0n, promo: 0n };

export function plus(a: Money, b: Money): Money {
  return { cash: a.cash + b.cash, promo: a.promo + b.promo };
}

export function minus(a: Money, b: Money): Money {
  return { cash: a.cash - b.cash, promo: a.promo - b.promo };
}

export function sumOf({ cash, promo }: Money): bigint {
  return cash + promo;
}

function costOf(record: CallRecord): Money {
  return { cash: record.cashNanousd, promo: record.promoNanousd };
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
