/** Who asks for a chute's instances: how many agents come at a need, which sets its waves, and which hotkeys are willing. */
import type { AgentFacts } from '../calls/ports.ts';
import type { BOUNDS } from './bounds.ts';
import { serves } from './state.ts';
import type { Crowd, State, Turn } from './state.ts';

/** An agent that may have an instance asked for one. */
export function noteAsker(turn: Turn, { agent, hotkey }: AgentFacts, bounds: typeof BOUNDS): void {
  const { askers, willing } = turn.state;
  if (askers.size < bounds.askers) askers.add(agent);
  willing.delete(hotkey);
  willing.set(hotkey, turn.now);
  for (const [oldest] of willing) {
    if (willing.size <= bounds.willing) break;
    willing.delete(oldest);
  }
  // Who comes too late for a need was after it all the same.
  if (turn.state.demand.unmetSince === null) settle(turn, bounds);
}

/** A need begins: its waves are set by who came at those before. */
export function begin(turn: Turn, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  if (state.demand.crowd !== undefined) state.demand.crowd = { count: crowdAt(state.demand.crowd, now, bounds.crowdHalfMs), at: now };
  state.askers.clear();
}

/** A need ends, or somebody asked after it: the larger of this crowd and what is left of those before. */
export function settle({ state, now }: Turn, bounds: typeof BOUNDS): void {
  const before = state.demand.crowd === undefined ? 0 : crowdAt(state.demand.crowd, now, bounds.crowdHalfMs);
  state.demand.crowd = { count: Math.max(before, state.askers.size), at: now };
}

/** What is left of a crowd: half of it every `halfMs`, so that waves do not outlive the agents they were made for. */
export function crowdAt({ count, at }: Crowd, now: number, halfMs: number): number {
  return Math.floor(count * 2 ** (-Math.max(0, now - at) / halfMs));
}

/**
 * Milliseconds for which others go first: while a need is young, a hotkey that runs instances of a chute gets no more of it,
 * if another one that runs fewer has asked for it lately. One owner of everything is one failure, one price, one witness.
 */
export function othersFirstMs({ state, now }: Pick<Turn, 'state' | 'now'>, hotkey: string, bounds: typeof BOUNDS): number {
  const running = new Map<string, number>();
  for (const row of state.instances.values())
    if (row.state !== 'draining' && row.goneAt === null) running.set(row.hotkey, (running.get(row.hotkey) ?? 0) + 1);
  const own = running.get(hotkey) ?? 0;
  const others = [...state.willing].some(([other, at]) => now - at < bounds.willingMs && (running.get(other) ?? 0) < own);
  return others ? Math.max(0, (state.demand.unmetSince ?? now) + bounds.othersFirstMs - now) : 0;
}

export function cold(state: State): boolean {
  return ![...state.instances.values()].some(serves);
}
