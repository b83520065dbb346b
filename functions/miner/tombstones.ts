/** Calls that an Account was told `never` of: a dispatch that comes late is refused. */
import { LIMITS } from '#protocol';
import type { CallId } from '../calls/ports.ts';
import { tombstoneKey, type TombstoneRow } from './rows.ts';
import type { Turn } from './turn.ts';

/** Milliseconds a tombstone outlives the inquiry: no call is dispatched that long after it was opened. */
const KEPT_MS = 2 * LIMITS.callMs;

export class Tombstones {
  private readonly until = new Map<CallId, number>();

  restore(row: TombstoneRow): void {
    this.until.set(row.call, row.until);
  }

  has(call: CallId): boolean {
    return this.until.has(call);
  }

  add(turn: Turn, call: CallId): void {
    const until = turn.now + KEPT_MS;
    this.until.set(call, until);
    turn.put({ kind: 'tombstone', key: tombstoneKey(call), call, until });
    turn.wake(until);
  }

  tick(turn: Turn): void {
    const over = [...this.until].filter(([, until]) => until <= turn.now).map(([call]) => call);
    for (const call of over) this.until.delete(call);
    if (over.length > 0) turn.do({ do: 'delete', keys: over.map(tombstoneKey) });
    for (const until of this.until.values()) turn.wake(until);
  }
}
