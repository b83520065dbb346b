/**
 * What each key has spent and holds, against its cap: spent + held + asked ≤ limit at every moment. A cost counts for the
 * period in which its call closes. Counted for every key, so that a cap which is set later is right. Pure.
 */
import type { Effect } from './effects.ts';
import { endOf, PERIODS, startOf, type Period } from './periods.ts';
import type { CallRow, KeyCap, PeriodTally, TallyRow } from './rows.ts';

/** Nano-USD. */
export interface CapState {
  spent: bigint;
  held: bigint;
  remaining: bigint;
  /** Unix milliseconds; null: never. */
  resetsAt: number | null;
}

interface Tally {
  /** Of flushed calls, as it is kept; and of all closed ones. */
  kept: TallyRow;
  all: TallyRow;
  held: bigint;
}

export class Caps {
  readonly #tallies = new Map<string, Tally>();

  /** Before the calls. */
  restore(row: TallyRow): void {
    this.#tallies.set(row.key, { kept: row, all: copy(row), held: 0n });
  }

  /** In the order in which calls closed. */
  restoreCall(row: CallRow, flushed: boolean): void {
    if (row.closedAt === null) this.hold(row.key, row.hold);
    else if (!flushed) add(this.#of(row.key).all, row);
  }

  hold(key: string, amount: bigint): void {
    this.#of(key).held += amount;
  }

  /** The hold becomes a cost. */
  close(row: CallRow): void {
    const tally = this.#of(row.key);
    tally.held -= row.hold;
    add(tally.all, row);
  }

  /** `isKey`: whether there is still such a key, to be kept for. */
  flushed(rows: readonly CallRow[], isKey: (key: string) => boolean, effects: Effect[]): void {
    const touched = new Set<TallyRow>();
    for (const row of rows) {
      if (row.cash + row.promo === 0n || !isKey(row.key)) continue;
      const { kept } = this.#of(row.key);
      add(kept, row);
      touched.add(kept);
    }
    for (const row of touched) effects.push({ kind: 'put', row: { kind: 'tally', id: row.key, value: row } });
  }

  /** The key is gone for good. */
  forget(key: string, effects: Effect[]): void {
    if (this.#tallies.delete(key)) effects.push({ kind: 'delete', row: 'tally', id: key });
  }

  state(key: string, cap: KeyCap, now: number): CapState {
    const tally = this.#tallies.get(key);
    const spent = tally === undefined ? 0n : spentIn(tally.all, cap.period, now);
    const held = tally?.held ?? 0n;
    const left = cap.limit - spent - held;
    const resetsAt = cap.period === 'total' ? null : endOf(cap.period, laterOf(tally?.all[cap.period], now));
    return { spent, held, remaining: left > 0n ? left : 0n, resetsAt };
  }

  #of(key: string): Tally {
    const known = this.#tallies.get(key);
    if (known !== undefined) return known;
    const tally = { kept: nothing(key), all: nothing(key), held: 0n };
    this.#tallies.set(key, tally);
    return tally;
  }
}

/** A clock that goes back stays in the period it had reached. */
function laterOf(tally: PeriodTally | undefined, now: number): number {
  return Math.max(tally?.start ?? now, now);
}

function spentIn(tally: TallyRow, period: KeyCap['period'], now: number): bigint {
  if (period === 'total') return tally.total;
  return startOf(period, now) > tally[period].start ? 0n : tally[period].spent;
}

function add(tally: TallyRow, { cash, promo, closedAt }: CallRow): void {
  const cost = cash + promo;
  if (cost === 0n) return;
  tally.total += cost;
  for (const period of PERIODS) addTo(tally[period], period, closedAt ?? 0, cost);
}

function addTo(tally: PeriodTally, period: Period, at: number, cost: bigint): void {
  const start = startOf(period, at);
  if (start > tally.start) {
    tally.start = start;
    tally.spent = 0n;
  }
  tally.spent += cost;
}

function nothing(key: string): TallyRow {
  return { key, total: 0n, day: { start: 0, spent: 0n }, week: { start: 0, spent: 0n }, month: { start: 0, spent: 0n } };
}

function copy(row: TallyRow): TallyRow {
  return { ...row, day: { ...row.day }, week: { ...row.week }, month: { ...row.month } };
}
