/** The ledger as one would explain it: every operation in a few lines, on plain numbers, all or nothing. Shares nothing with the SQL. */

export interface ModelCall {
  id: string;
  account: string;
  epoch: number;
  hold: bigint;
  promo: bigint;
  attempts: { hotkey: string; cost: bigint }[];
}

interface Lease {
  n: number;
  state: 'open' | 'closing' | 'closed';
  cash: bigint;
  promo: bigint;
}

export type Refusal = 'uncovered' | 'conflict' | 'fenced' | 'unknown' | 'row';

/** Thrown: nothing changed. */
export class Refused extends Error {
  readonly why: Refusal;

  constructor(why: Refusal) {
    super(why);
    this.why = why;
  }
}

const FEE_BPS = 1500n;

export class Model {
  /** What is there, held or not. */
  readonly posted = new Map<string, bigint>();
  /** Unspent credit of leases, by `account#epoch`. */
  readonly leases = new Map<string, Lease>();
  readonly calls = new Map<string, ModelCall & { refunded: bigint }>();
  /** Shares that wait for the projector. */
  readonly waiting = new Map<string, bigint>();
  readonly refs = new Map<string, string>();

  #add(to: Map<string, bigint>, key: string, amount: bigint): void {
    to.set(key, (to.get(key) ?? 0n) + amount);
  }

  of(purse: string): bigint {
    return this.posted.get(purse) ?? 0n;
  }

  held(kind: 'cash' | 'promo', account: string): bigint {
    return this.#leasesOf(account).reduce((sum, [, l]) => sum + (l.state === 'closed' ? 0n : l[kind]), 0n);
  }

  #leasesOf(account: string): [epoch: number, Lease][] {
    return [...this.leases].filter(([key]) => key.startsWith(`${account}#`)).map(([key, l]) => [Number(key.split('#')[1]), l]);
  }

  give(kind: 'cash' | 'promo', account: string, amount: bigint, ref: string): void {
    const said = `${kind} ${account} ${amount}`;
    if (this.refs.has(ref) && this.refs.get(ref) !== said) throw new Refused('conflict');
    if (!this.refs.has(ref)) this.#add(this.posted, `${kind}/${account}`, amount);
    this.refs.set(ref, said);
  }

  move(account: string, epoch: number, n: number, want: bigint, cash: bigint, promo: bigint): 'ok' | 'stale' {
    const newest = Math.max(0, ...this.#leasesOf(account).map(([e]) => e));
    if (epoch < newest || (epoch > newest && n !== 1)) return 'stale';
    const lease = epoch > newest ? { n: 0, state: 'open' as const, cash: 0n, promo: 0n } : this.#lease(account, epoch);
    if (lease.state !== 'open' || n < lease.n || n > lease.n + 1) return 'stale';
    if (n === lease.n) return 'ok';
    if (want < 0n && (cash > lease.cash || promo > lease.promo)) throw new Refused('uncovered');
    if (epoch > newest) for (const [, old] of this.#leasesOf(account)) if (old.state === 'open') old.state = 'closing';
    this.leases.set(`${account}#${epoch}`, lease);
    const takePromo = want > 0n ? min(want, this.of(`promo/${account}`) - this.held('promo', account)) : 0n;
    const takeCash = want > 0n ? min(want - takePromo, this.of(`cash/${account}`) - this.held('cash', account)) : 0n;
    lease.cash += want < 0n ? -cash : takeCash;
    lease.promo += want < 0n ? -promo : takePromo;
    lease.n = n;
    return 'ok';
  }

  #lease(account: string, epoch: number): Lease {
    const lease = this.leases.get(`${account}#${epoch}`);
    if (lease === undefined) throw new Refused('unknown');
    return lease;
  }

  /** A batch is of one account. */
  flush(batch: ModelCall[]): number {
    const fresh = new Map(batch.toReversed().map((call) => [call.id, call]));
    for (const id of fresh.keys()) if (this.calls.has(id)) fresh.delete(id);
    const due = new Map<string, { cash: bigint; promo: bigint }>();
    for (const call of fresh.values()) {
      const cost = costOf(call);
      if (cost > call.hold || call.promo > cost) throw new Refused('row');
      const key = `${call.account}#${call.epoch}`;
      const sum = due.get(key) ?? { cash: 0n, promo: 0n };
      if (cost > 0n) due.set(key, { cash: sum.cash + cost - call.promo, promo: sum.promo + call.promo });
    }
    for (const [key, { cash, promo }] of [...due].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const lease = this.leases.get(key);
      if (lease === undefined || lease.state === 'closed') throw new Refused('fenced');
      if (cash > lease.cash || promo > lease.promo) throw new Refused('uncovered');
    }
    for (const [key, { cash, promo }] of due) {
      const lease = this.leases.get(key) as Lease;
      const account = key.split('#')[0] ?? '';
      lease.cash -= cash;
      lease.promo -= promo;
      this.#add(this.posted, `cash/${account}`, -cash);
      this.#add(this.posted, `promo/${account}`, -promo);
    }
    for (const call of fresh.values()) {
      this.calls.set(call.id, { ...call, refunded: 0n });
      for (const { hotkey, cost } of call.attempts) this.#add(this.waiting, hotkey, shareOf(cost));
    }
    return fresh.size;
  }

  fold(): void {
    for (const [hotkey, amount] of this.waiting) this.#add(this.posted, `pending/${hotkey}`, amount);
    this.waiting.clear();
  }

  mature(hotkeys: string[]): void {
    for (const hotkey of hotkeys) {
      this.#add(this.posted, `payable/${hotkey}`, this.of(`pending/${hotkey}`));
      this.posted.set(`pending/${hotkey}`, 0n);
    }
  }

  forfeit(hotkey: string): bigint {
    const total = this.of(`pending/${hotkey}`) + this.of(`payable/${hotkey}`) + (this.waiting.get(hotkey) ?? 0n);
    this.waiting.delete(hotkey);
    for (const kind of ['pending', 'payable']) this.posted.set(`${kind}/${hotkey}`, 0n);
    return total;
  }

  fence(account: string, epoch: number): void {
    this.#lease(account, epoch).state = 'closed';
  }

  refund(id: string, amount: bigint): void {
    const call = this.calls.get(id);
    if (call === undefined) throw new Refused('unknown');
    if (amount <= 0n || call.refunded + amount > costOf(call)) throw new Refused('uncovered');
    const cashPart = costOf(call) - call.promo;
    const before = min(call.refunded, cashPart);
    call.refunded += amount;
    const cash = min(call.refunded, cashPart) - before;
    this.#add(this.posted, `cash/${call.account}`, cash);
    this.#add(this.posted, `promo/${call.account}`, amount - cash);
  }
}

export function costOf(call: ModelCall): bigint {
  return call.attempts.reduce((sum, a) => sum + a.cost, 0n);
}

function shareOf(cost: bigint): bigint {
  return (cost * (10_000n - FEE_BPS)) / 10_000n;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
