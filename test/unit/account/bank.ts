/** Postgres as an Account sees it: purses, leases and captures of one account. Small enough to be right by reading. */
import type { MoveAnswer } from '../../../functions/account/lease.ts';
import { callRecord } from '../../../functions/account/records.ts';
import type { CallRow, LeaseMove } from '../../../functions/account/rows.ts';

interface Lease {
  n: number;
  state: 'open' | 'closing' | 'closed';
  cash: bigint;
  promo: bigint;
  cashSpent: bigint;
  promoSpent: bigint;
}

export class Bank {
  cash: bigint;
  promo: bigint;
  readonly leases = new Map<number, Lease>();
  /** What each call was captured with. */
  readonly captured = new Map<string, { cost: bigint; cash: bigint; promo: bigint }>();
  moves = 0;

  constructor(cash = 0n, promo = 0n) {
    this.cash = cash;
    this.promo = promo;
  }

  get newest(): number {
    return Math.max(0, ...this.leases.keys());
  }

  move(epoch: number, { n, want, cash, promo }: LeaseMove): MoveAnswer {
    if (epoch > this.newest) {
      for (const lease of this.leases.values()) if (lease.state === 'open') lease.state = 'closing';
      this.leases.set(epoch, { n: 0, state: 'open', cash: 0n, promo: 0n, cashSpent: 0n, promoSpent: 0n });
    }
    const lease = this.leases.get(epoch);
    const stale = lease === undefined || lease.state !== 'open' || (n !== lease.n && n !== lease.n + 1);
    if (!stale && n === lease.n + 1) this.carryOut(lease, { n, want, cash, promo });
    const said = lease ?? { n: 0, cash: 0n, promo: 0n };
    return {
      kind: stale ? 'stale' : 'ok',
      epoch: stale ? this.newest : epoch,
      n: said.n,
      cashAmount: said.cash,
      promoAmount: said.promo,
      cashAvailable: this.free('cash'),
      promoAvailable: this.free('promo'),
    };
  }

  private carryOut(lease: Lease, { n, want, cash, promo }: LeaseMove): void {
    this.moves++;
    lease.n = n;
    const byPromo = want < 0n ? -promo : least(want, this.free('promo'));
    const byCash = want < 0n ? -cash : least(want - byPromo, this.free('cash'));
    lease.promo += byPromo;
    lease.cash += byCash;
    if (lease.cash < lease.cashSpent || lease.promo < lease.promoSpent) throw new Error('more was given back than was there');
  }

  /** Not spent and in no lease. */
  free(purse: 'cash' | 'promo'): bigint {
    let free = this[purse];
    for (const lease of this.leases.values()) if (lease.state !== 'closed') free -= lease[purse] - lease[`${purse}Spent`];
    return free;
  }

  /** `fenced`: a call of a lease that was taken back; then nothing of the batch is taken. */
  flush(rows: readonly CallRow[]): 'ok' | 'fenced' {
    const records = rows.map((row) => callRecord('acc_a', row)).filter((r) => !this.captured.has(r.callId));
    if (records.some((r) => r.leaseEpoch !== null && this.leases.get(r.leaseEpoch)?.state === 'closed')) return 'fenced';
    for (const r of records) {
      if (r.costNanousd !== r.cashNanousd + r.promoNanousd || r.costNanousd > r.holdNanousd) throw new Error('a cost that does not add up');
      if (r.attempts.reduce((sum, a) => sum + a.costNanousd, 0n) !== r.costNanousd) throw new Error('attempts that do not add up');
      this.captured.set(r.callId, { cost: r.costNanousd, cash: r.cashNanousd, promo: r.promoNanousd });
      const lease = this.leases.get(r.leaseEpoch ?? -1);
      if (lease === undefined) continue;
      lease.cashSpent += r.cashNanousd;
      lease.promoSpent += r.promoNanousd;
      this.cash -= r.cashNanousd;
      this.promo -= r.promoNanousd;
      if (lease.cashSpent > lease.cash || lease.promoSpent > lease.promo) throw new Error('more was spent than was leased');
    }
    return 'ok';
  }

  /** An operator takes a lease back. */
  fence(epoch: number): void {
    const lease = this.leases.get(epoch);
    if (lease === undefined) return;
    lease.cash = lease.cashSpent;
    lease.promo = lease.promoSpent;
    lease.state = 'closed';
  }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
