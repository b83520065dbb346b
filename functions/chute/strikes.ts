/** Failed starts: an agent that fails a version waits longer each time, and a crash loop is called one. */
import type { BOUNDS } from './bounds.ts';
import { dropRow, putRow } from './state.ts';
import type { InstanceRow, State, StrikeRow, Turn } from './state.ts';

const keyOf = (agent: string, version: string): string => `${agent}/${version}`;

export function strikeOf(state: State, agent: string, version: string): StrikeRow | undefined {
  return state.strikes.get(keyOf(agent, version));
}

export function strike(turn: Turn, row: InstanceRow, error: string, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  const key = keyOf(row.agent, row.version);
  const count = (state.strikes.get(key)?.count ?? 0) + 1;
  const waitMs = Math.min(bounds.coolMaxMs, bounds.coolMs * 2 ** (count - 1));
  const record: StrikeRow = { agent: row.agent, version: row.version, count, at: now, until: now + waitMs, error: error.slice(0, 512) };
  state.strikes.set(key, record);
  putRow(turn, 'strike', key, record);
  bound(turn, bounds.strikes);
  const loop = count >= bounds.crashLoop ? `crash loop: ${count} starts in a row failed` : 'start failed';
  turn.effects.push({
    do: 'note',
    agent: row.agent,
    instance: row.instance,
    at: now,
    text: `${loop}: ${error || 'no reason given'}; this agent may try again in ${Math.ceil(waitMs / 1000)} s`,
  });
}

/**
 * An instance that stayed live long enough proves the version on its agent. Forgiving on the first `live` would let a
 * program that dies a moment after its start loop without end.
 */
export function forgive(turn: Turn, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  if (state.strikes.size === 0) return;
  for (const row of state.instances.values()) {
    const proven = row.state === 'live' && row.liveSince !== null && row.liveSince + bounds.earlyFailureMs <= now;
    const key = keyOf(row.agent, row.version);
    if (proven && state.strikes.delete(key)) dropRow(turn, 'strike', key);
  }
}

/** Somebody looked after the chute: what failed before says nothing of starts of the current version from now on. */
export function pardon(turn: Turn): void {
  const { strikes, chute } = turn.state;
  for (const [key, record] of strikes) if (record.version === chute?.current && strikes.delete(key)) dropRow(turn, 'strike', key);
}

/** The newest failure of a version, for the developer. */
export function lastError(state: State): StrikeRow | null {
  const current = state.chute?.current;
  let newest: StrikeRow | null = null;
  for (const record of state.strikes.values())
    if (record.version === current && (newest === null || record.at > newest.at)) newest = record;
  return newest;
}

function bound(turn: Turn, keep: number): void {
  const { strikes } = turn.state;
  while (strikes.size > keep) {
    const oldest = [...strikes.entries()].reduce((a, b) => (b[1].at < a[1].at ? b : a))[0];
    strikes.delete(oldest);
    dropRow(turn, 'strike', oldest);
  }
}
