/** Secrets and shares as the chute knows them. */
import type { Attached } from '../secrets/attached.ts';
import { putRow } from './state.ts';
import type { Turn } from './state.ts';
import { pardon } from './strikes.ts';

/** Takes what is told unless it is older than what is known; the same revision may come again, under a newer key. */
export function attach(turn: Turn, told: Attached): void {
  const { state } = turn;
  if (state.chute === null || told.revision === 0 || told.revision < state.attached.revision) return;
  // A token that was missing is what many starts fail for.
  if (told.revision > state.attached.revision && JSON.stringify(told.secrets) !== JSON.stringify(state.attached.secrets)) pardon(turn);
  state.attached = told;
  state.snapshot = null;
  putRow(turn, 'attached', 'attached', told);
}
