/** Challenges out of turn that judges may ask of a device, so that many judges do not multiply its work. Counted per hour. */
import { CHALLENGE_LIMITS } from '../protocol/challenge/suite.ts';
import type { Row } from './rows.ts';
import type { Turn } from './turn.ts';

const HOUR_MS = 3_600_000;

export interface RepeatsRow {
  kind: 'repeats';
  key: 'repeats';
  /** Since 1970. */
  hour: number;
  /** By target, the judges that asked; one asked twice is in it twice. */
  asked: Record<string, string[]>;
}

export class Repeats {
  private row: RepeatsRow = { kind: 'repeats', key: 'repeats', hour: 0, asked: {} };

  restore(row: RepeatsRow): void {
    this.row = row;
  }

  /** Whether this judge may ask this target once more; it is counted then. */
  take(turn: Turn, target: string, judge: string): boolean {
    const hour = Math.floor(turn.now / HOUR_MS);
    const asked = this.row.hour === hour ? this.row.asked : {};
    const of = Object.hasOwn(asked, target) ? (asked[target] ?? []) : [];
    const own = of.filter((name) => name === judge).length;
    if (of.length >= CHALLENGE_LIMITS.repeatsPerDeviceHour || own >= CHALLENGE_LIMITS.repeatsPerJudgeDeviceHour) return false;
    this.row = { kind: 'repeats', key: 'repeats', hour, asked: { ...asked, [target]: [...of, judge] } };
    turn.put(this.row satisfies Row);
    return true;
  }
}
