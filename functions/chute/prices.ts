/** The prices a chute knows: what is in force and what is to come. Postgres has the history; this is told by the API. */
import { inForce, inOrder, stillToCome, termsOf, type PriceVersion } from '../prices/history.ts';
import type { Terms } from '../prices/terms.ts';
import { dropRow, putRow } from './state.ts';
import type { State, Turn } from './state.ts';

/** Adds what is new. Orders may come twice and in any order: a version never changes. */
export function learn(turn: Turn, told: readonly PriceVersion[]): void {
  const { state, now } = turn;
  const known = new Map(state.prices.map((v) => [v.id, v]));
  const fresh = told.filter((v) => !known.has(v.id));
  const all = inOrder([...known.values(), ...fresh]);
  const kept = new Set(stillToCome(all, now));
  for (const v of fresh) if (kept.has(v)) putRow(turn, 'price', v.id, v);
  for (const v of known.values()) if (!kept.has(v)) dropRow(turn, 'price', v.id);
  state.prices = all.filter((v) => kept.has(v));
  state.snapshot = null;
}

/** What the chute asks now. */
export function termsNow(state: State, now: number): Terms {
  return termsOf(inForce(state.prices, now));
}
