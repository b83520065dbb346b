/** Which instances are too many, and in what order they go. */
import type { BOUNDS } from './bounds.ts';
import { drain, forget, stop } from './instances.ts';
import { wanted } from './need.ts';
import { serves } from './state.ts';
import type { InstanceRow, Turn } from './state.ts';

/** Stops what the chute has too much of; `becameLive` means one of the current version just did for the first time. */
export function balance(turn: Turn, becameLive: boolean, bounds: typeof BOUNDS): void {
  const { state } = turn;
  const current = state.chute?.current;
  for (const row of state.instances.values()) {
    if (row.version === current || (row.state !== 'granted' && row.state !== 'starting')) continue;
    forget(turn, row);
    stop(turn, row, 'replaced', 0);
  }
  const live = removalOrder([...state.instances.values()].filter(serves), current);
  const old = live.filter((row) => row.version !== current);
  const surplus = Math.max(0, live.length - wanted(turn));
  // A live newcomer pays for one old instance, even where more are wanted than there are.
  const go = live.slice(0, Math.max(surplus, becameLive && old.length > 0 ? 1 : 0));
  for (const row of go) drain(turn, row, row.version === current ? 'scaled_down' : 'replaced', bounds);
}

/** Which instance goes first: old versions, then the newest. */
export function removalOrder(rows: InstanceRow[], current: string | undefined): InstanceRow[] {
  return rows.toSorted(
    (a, b) =>
      Number(a.version === current) - Number(b.version === current) ||
      (b.liveSince ?? 0) - (a.liveSince ?? 0) ||
      (a.instance < b.instance ? 1 : -1),
  );
}
