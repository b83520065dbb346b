/** How much of what was due has a verdict of this judge (pure). */
import type { Due } from '#protocol/challenge/index.ts';

export interface Coverage {
  /** Slots that were looked at, all of them over. */
  slots: number;
  /** Challenges that the schedule has of who is there now; of those, on record; of those that ended, judged by this judge. */
  due: number;
  recorded: number;
  judged: number;
  /** First of those that are due and not on record. */
  missing: string[];
}

/** Named at most. */
const NAMED = 5;

export function coverageOf(slots: number, due: readonly Due[], ended: ReadonlySet<string>, judged: ReadonlySet<string>): Coverage {
  const recorded = due.filter(({ id }) => ended.has(id));
  return {
    slots,
    due: due.length,
    recorded: recorded.length,
    judged: recorded.filter(({ id }) => judged.has(id)).length,
    missing: due.flatMap(({ id }) => (ended.has(id) ? [] : [id])).slice(0, NAMED),
  };
}
