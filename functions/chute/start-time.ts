/** How long a start takes, by what starts of the chute took before: what a call is told that waits for the first instance. */
import { serves } from './state.ts';
import type { InstanceRow, State, Turn } from './state.ts';

/** Share of the newest start in the smoothed time. */
const NEWEST = 0.3;
/** Milliseconds that a start that took longer than those before is said to need still. */
const OVERDUE_MS = 1_000;

/** An instance serves for the first time. Written with the demand, which changes by it. */
export function started({ state, now }: Turn, row: InstanceRow | undefined): void {
  if (row === undefined) return;
  const took = Math.max(0, now - row.granted);
  const known = state.demand.startMs ?? took;
  state.demand.startMs = Math.round(known + (took - known) * NEWEST);
}

/** Milliseconds until an instance serves; 0: one does; null: none ever started. */
export function startEta(state: State, now: number): number | null {
  const rows = [...state.instances.values()];
  if (rows.some(serves)) return 0;
  const { startMs } = state.demand;
  if (startMs === undefined) return null;
  const under = rows.filter((row) => row.state === 'granted' || row.state === 'starting').map((row) => now - row.granted);
  return under.length === 0 ? startMs : Math.max(OVERDUE_MS, startMs - Math.max(...under));
}
