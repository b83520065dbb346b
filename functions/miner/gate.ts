/** Whether paid calls are kept away from this agent: a judge of the gate proved its hotkey false, for a time. */
import type { Instances } from './instances.ts';
import type { Row } from './rows.ts';
import type { Turn } from './turn.ts';

/** Milliseconds that what runs has to finish. */
const NOTICE_MS = 10_000;

export interface GateRow {
  kind: 'gate';
  key: 'gate';
  /** Unix ms at which it opens again. */
  until: number;
}

export class Gate {
  private row: GateRow | null = null;

  restore(row: GateRow, instances: Instances): void {
    this.row = row;
    instances.keepShut(row.until);
  }

  /** Unix ms until which it is shut; null: it is open. */
  get until(): number | null {
    return this.row?.until ?? null;
  }

  /** What serves stops; the same word again stops what came since. */
  shut(turn: Turn, until: number, instances: Instances): void {
    if (until <= turn.now || until < (this.row?.until ?? 0)) return;
    if (until !== this.row?.until) {
      this.row = { kind: 'gate', key: 'gate', until };
      turn.put(this.row satisfies Row);
    }
    instances.shut(turn, until, NOTICE_MS);
    this.tick(turn, instances);
  }

  tick(turn: Turn, instances: Instances): void {
    if (this.row === null) return;
    if (turn.now < this.row.until) return turn.wake(this.row.until);
    this.row = null;
    instances.open();
    turn.do({ do: 'delete', keys: ['gate'] });
  }
}
