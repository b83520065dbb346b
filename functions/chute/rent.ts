/**
 * Instances of a private chute that are paid by time: a period is held at the owner's account when it begins and settled
 * when it ends, which is when it ran out or the instance stopped serving. Both are rows before they are said, and said
 * until they are answered. An account that cannot pay ends its instances, and is asked again before new ones start.
 */
import type { InstanceReport } from '#protocol';
import type { BOUNDS } from './bounds.ts';
import { inForce, rented, termsOf } from '../prices/history.ts';
import type { Terms } from '../prices/terms.ts';
import * as bounty from './bounty.ts';
import { drain } from './instances.ts';
import { wanted } from './need.ts';
import { currentSpec, dropRow, putRow, serves } from './state.ts';
import type { InstanceRow, RentRow, State, Turn } from './state.ts';

/** Before anything else in a turn: ends the periods that ran out and begins those that follow, without a gap. */
export function roll(turn: Turn, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  for (const row of state.rents.values()) {
    const end = row.start + row.ms;
    if (row.end !== null || end > now || row.bounty === true) continue;
    close(turn, row, end);
    const instance = state.instances.get(row.instance);
    if (instance !== undefined && serves(instance)) begin(turn, instance, end, bounds);
  }
}

/** After what happened in a turn: periods of what serves now, none of what does not, and what has to be said. */
export function follow(turn: Turn, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  const open = new Set<string>();
  for (const row of state.rents.values()) {
    if (row.end !== null) continue;
    if (row.bounty === true) {
      const end = bounty.endOf(state, row, now, bounds);
      if (end !== null) close(turn, row, end);
      if (end !== null && end > row.start) bounty.due(turn, row, bounds);
      continue;
    }
    const instance = state.instances.get(row.instance);
    if (instance !== undefined && serves(instance)) open.add(row.instance);
    else close(turn, row, now);
  }
  if (rentAt(state, now) === null) forgive(turn);
  else {
    for (const row of state.instances.values()) if (serves(row) && !open.has(row.instance)) begin(turn, row, now, bounds);
    probe(turn, bounds);
  }
  for (const [key, row] of state.rents) say(turn, key, row, bounds);
}

/** What an agent's Miner object may have failed to tell: that the agent went, or that the instance ended. Null: neither. */
export function untold(
  rent: RentRow,
  agent: { connected: boolean; instances: { instance: string }[] } | null,
): InstanceReport | 'gone' | null {
  if (agent?.connected !== true) return 'gone';
  const { instance, chute, version } = rent;
  if (agent.instances.some((one) => one.instance === instance)) return null;
  return { instance, chute, version, state: 'stopped', detail: 'its agent no longer runs it' };
}

/** The account's answer; null: there was none, and it is asked again. */
export function answered(turn: Turn, key: string, ok: boolean | null, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  const row = state.rents.get(key);
  if (row === undefined || row.held) return;
  if (ok === null) return again(state, key, now, bounds);
  state.rentTries.delete(key);
  if (ok) {
    save(turn, key, { ...row, held: true });
    if (row.instance === '') forgive(turn);
    return;
  }
  drop(turn, key);
  // A grant stands without its bounty.
  if (row.bounty !== true) refused(turn, row, bounds);
}

/** Whether the account took over what a period came to. */
export function settled(turn: Turn, key: string, ok: boolean, bounds: typeof BOUNDS): void {
  if (ok) drop(turn, key);
  else if (turn.state.rents.has(key)) again(turn.state, key, turn.now, bounds);
}

/** A new start is worth a try: a deploy says that somebody looked after the chute. */
export function tryNow(turn: Turn): void {
  const { state, now } = turn;
  if (state.unpaid !== null) unpaid(turn, { ...state.unpaid, tries: 0, next: now });
}

/** When time alone does something here; null if it does not. */
export function nextRentAt({ state, now }: Pick<Turn, 'state' | 'now'>, bounds: typeof BOUNDS): number | null {
  const times = [...state.rentTries.values()].map(({ at }) => at);
  for (const row of state.rents.values()) {
    if (row.end !== null) continue;
    const at = row.bounty === true ? bounty.dueAt(state, row, bounds) : row.start + row.ms;
    if (at !== null) times.push(at);
  }
  if (state.unpaid !== null && state.unpaid.next > now) times.push(state.unpaid.next);
  return times.length === 0 ? null : Math.min(...times);
}

/** What an instance costs by time; null: nothing. */
function rentAt(state: State, at: number): Terms | null {
  const terms = termsOf(inForce(state.prices, at));
  const spec = currentSpec(state);
  return spec !== null && rented(terms, spec.config.public) ? terms : null;
}

function begin(turn: Turn, of: InstanceRow, start: number, bounds: typeof BOUNDS): void {
  const terms = rentAt(turn.state, start);
  if (terms === null) return;
  // More than one period at once only where this object was away for so long.
  const ms = bounds.rentMs * Math.floor((turn.now - start) / bounds.rentMs + 1);
  open(turn, of, { terms, start, ms, end: null });
}

function open(
  turn: Turn,
  { instance, agent, hotkey, region, version }: Pick<InstanceRow, 'instance' | 'agent' | 'hotkey' | 'region' | 'version'>,
  period: Pick<RentRow, 'terms' | 'start' | 'ms' | 'end'>,
): void {
  const { chute } = turn.state;
  if (chute === null) return;
  const row: RentRow = { chute: chute.chute, owner: chute.owner, version, instance, agent, hotkey, region, ...period, held: false };
  save(turn, `${instance}/${period.start}`, row);
}

function close(turn: Turn, row: RentRow, end: number): void {
  save(turn, bounty.keyOf(row), { ...row, end: Math.max(row.start, Math.min(end, row.start + row.ms)) });
}

function say(turn: Turn, key: string, row: RentRow, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  if (row.held && row.end === null) return;
  const last = state.rentTries.get(key);
  if (last !== undefined && last.at > now) return;
  state.rentTries.set(key, { at: now + bounds.linkMs, tries: last?.tries ?? 0 });
  turn.effects.push({ do: row.held ? 'settle' : 'rent', key, rent: row });
}

function again(state: State, key: string, now: number, bounds: typeof BOUNDS): void {
  const tries = (state.rentTries.get(key)?.tries ?? 0) + 1;
  state.rentTries.set(key, { at: now + Math.min(bounds.rentAgainMaxMs, bounds.relinkMs * 2 ** (tries - 1)), tries });
}

function refused(turn: Turn, row: RentRow, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  if (state.chute === null) return;
  const before = state.unpaid;
  const tries = row.instance === '' ? (before?.tries ?? 0) + 1 : (before?.tries ?? 0);
  unpaid(turn, { since: before?.since ?? now, tries, next: now + Math.min(bounds.unpaidMaxMs, bounds.unpaidMs * 2 ** tries) });
  const instance = state.instances.get(row.instance);
  if (instance === undefined || instance.state !== 'live') return;
  const text = 'stopped: insufficient_credit: the account cannot pay for this instance';
  turn.effects.push({ do: 'note', agent: instance.agent, instance: instance.instance, at: now, text });
  drain(turn, instance, 'scaled_down', bounds);
}

/** Asks for a period and pays nothing of it, to learn whether the account can pay again; only where an instance is wanted. */
function probe(turn: Turn, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  const terms = rentAt(state, now);
  const spec = currentSpec(state);
  if (state.unpaid === null || state.unpaid.next > now || terms === null || spec === null) return;
  if (wanted(turn) === 0 || [...state.rents.values()].some((row) => row.instance === '')) return;
  const nobody = { instance: '', agent: '', hotkey: '', region: '', version: spec.version };
  open(turn, nobody, { terms, start: now, ms: bounds.rentMs, end: now });
}

function forgive(turn: Turn): void {
  const { state } = turn;
  if (state.unpaid === null) return;
  state.unpaid = null;
  dropRow(turn, 'unpaid', 'unpaid');
  // Calls may hope for a start again.
  if (state.demand.unmetSince !== null) state.demand.unmetSince = turn.now;
}

function unpaid(turn: Turn, row: NonNullable<State['unpaid']>): void {
  turn.state.unpaid = row;
  putRow(turn, 'unpaid', 'unpaid', row);
}

function save(turn: Turn, key: string, row: RentRow): void {
  turn.state.rents.set(key, row);
  putRow(turn, 'rent', key, row);
}

function drop(turn: Turn, key: string): void {
  turn.state.rentTries.delete(key);
  if (turn.state.rents.delete(key)) dropRow(turn, 'rent', key);
}
