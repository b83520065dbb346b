/** Settlements on their way to their Accounts: kept until acknowledged, sent in batches, sent again when nothing came back. */
import type { CallId, Settlement } from '../calls/ports.ts';
import type { SettlementRow } from './rows.ts';
import type { Turn } from './turn.ts';

/** Milliseconds a settlement waits for company. */
const BATCH_MS = 100;
/** Milliseconds until one that was not acknowledged travels again. */
const RETRY_MS = 2_000;
/** Settlements of one batch over all accounts. */
const BATCH = 500;

export class Outbox {
  private readonly rows = new Map<string, SettlementRow>();
  private sentAt = -Infinity;

  restore(row: SettlementRow): void {
    this.rows.set(row.key, row);
  }

  has(key: string): boolean {
    return this.rows.has(key);
  }

  get(key: string): Settlement | undefined {
    return this.rows.get(key)?.settlement;
  }

  of(call: CallId): Settlement[] {
    return [...this.rows.values()].filter((r) => r.settlement.call === call).map((r) => r.settlement);
  }

  /** The row takes the place of the attempt's, so that one write both ends the attempt and records it. */
  add(turn: Turn, row: SettlementRow): void {
    this.rows.set(row.key, row);
    turn.put(row);
    turn.wake(turn.now + BATCH_MS);
  }

  acknowledged(turn: Turn, keys: readonly string[]): void {
    const known = keys.filter((key) => this.rows.delete(key));
    if (known.length > 0) turn.do({ do: 'delete', keys: known });
  }

  tick(turn: Turn): void {
    if (this.rows.size === 0) return;
    const dueAt = this.sentAt + BATCH_MS;
    if (turn.now < dueAt) {
      turn.wake(dueAt);
      return;
    }
    this.sentAt = turn.now;
    for (const [account, settlements] of this.batches()) turn.do({ do: 'settle', account, settlements });
    turn.wake(turn.now + RETRY_MS);
  }

  private batches(): Map<string, Settlement[]> {
    const byAccount = new Map<string, Settlement[]>();
    for (const { settlement } of [...this.rows.values()].slice(0, BATCH)) {
      const list = byAccount.get(settlement.account) ?? [];
      list.push(settlement);
      byAccount.set(settlement.account, list);
    }
    return byAccount;
  }
}
