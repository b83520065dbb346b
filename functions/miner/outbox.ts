/** Settlements on their way to their Accounts: kept until acknowledged, sent in batches, sent again when nothing came back. */
import type { CallId, Settlement } from '../calls/ports.ts';
import type { AttemptRow, SettlementRow } from './rows.ts';
import type { Turn } from './turn.ts';

/** Milliseconds a settlement waits for company; setting an alarm costs a write of its own. */
const BATCH_MS = 500;
/** With so many waiting, they travel at once. */
const BATCH_ROWS = 64;
/** Milliseconds until one that was not acknowledged travels again. */
const RETRY_MS = 2_000;
/** Settlements of one batch over all accounts. */
const BATCH = 500;

interface Entry {
  row: SettlementRow;
  /** Unix ms when it last travelled, or null. */
  sentAt: number | null;
}

export class Outbox {
  private readonly entries = new Map<string, Entry>();
  /** Added since the last batch left. */
  private waiting = 0;

  restore(row: SettlementRow): void {
    this.entries.set(row.key, { row, sentAt: null });
  }

  has(key: string): boolean {
    return this.entries.has(key);
  }

  get(key: string): Settlement | undefined {
    return this.entries.get(key)?.row.settlement;
  }

  of(call: CallId): Settlement[] {
    return [...this.entries.values()].map((e) => e.row.settlement).filter((s) => s.call === call);
  }

  /** The row takes the place of the attempt's, so that one write both ends the attempt and records it. */
  add(turn: Turn, row: SettlementRow): void {
    this.entries.set(row.key, { row, sentAt: null });
    turn.put(row);
    this.waiting += 1;
    if (this.waiting >= BATCH_ROWS) this.tick(turn);
    else turn.wake(turn.now + BATCH_MS);
  }

  /** `lingering`: the row of an attempt whose client has not taken all of its reply yet. */
  acknowledged(turn: Turn, keys: readonly string[], lingering: (key: string) => AttemptRow | null): void {
    const gone: string[] = [];
    for (const key of keys) {
      if (!this.entries.delete(key)) continue;
      const row = lingering(key);
      if (row === null) gone.push(key);
      else turn.put({ ...row, settled: true });
    }
    if (gone.length > 0) turn.do({ do: 'delete', keys: gone });
  }

  /** Sends what was never sent, and again what was not acknowledged in time. */
  tick(turn: Turn): void {
    this.waiting = 0;
    if (this.entries.size === 0) return;
    const due = [...this.entries.values()].filter((e) => e.sentAt === null || turn.now >= e.sentAt + RETRY_MS).slice(0, BATCH);
    for (const entry of due) entry.sentAt = turn.now;
    for (const [account, settlements] of byAccount(due)) turn.do({ do: 'settle', account, settlements });
    turn.wake(turn.now + RETRY_MS);
  }
}

function byAccount(entries: readonly Entry[]): Map<string, Settlement[]> {
  const batches = new Map<string, Settlement[]>();
  for (const { row } of entries) {
    const batch = batches.get(row.settlement.account) ?? [];
    batch.push(row.settlement);
    batches.set(row.settlement.account, batch);
  }
  return batches;
}
