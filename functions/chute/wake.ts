/**
 * How a freed slot finds the call that waits for it. While calls wait, the Miner objects of live instances are watched:
 * they tell free slots, and offer every freed one here before anyone else can take it. A slot told is asked for by
 * `reserve`; a slot offered is given by the answer. Whatever gets lost on the way is found by looking again.
 */
import type { CallId, WaitAnswer } from '../calls/ports.ts';
import type { BOUNDS } from './bounds.ts';
import { crashLoop, startFailing } from './crash-loop.ts';
import { next, putBack, remove, slotFreed } from './queue.ts';
import { currentSpec, serves } from './state.ts';
import type { InstanceRow, Link, State, Turn } from './state.ts';
import { toSnapshot } from './view.ts';

/** A watched instance has a slot and keeps it: who gets it? */
export function freed(turn: Turn, agent: string, instance: string, bounds: typeof BOUNDS): CallId | null {
  const { state } = turn;
  const row = state.instances.get(instance);
  if (row === undefined || row.agent !== agent || !serves(row)) return null;
  slotFreed(turn);
  // An object that was evicted meanwhile has forgotten that it watches.
  if (!state.links.has(agent)) state.links.set(agent, { on: true, pending: null, again: false, at: turn.now, failures: 0 });
  const ticket = next(state, instance);
  if (ticket === null) {
    state.busy.set(instance, Math.max(0, (state.busy.get(instance) ?? 0) - 1));
    if (state.tickets.size > 0) state.free.set(instance, Math.min(row.slots, (state.free.get(instance) ?? 0) + 1));
    return null;
  }
  decide(turn, ticket.call, { kind: 'slot', instance: toSnapshot(state, row) }, bounds);
  return ticket.call;
}

/** The Miner's answer to `watch`; null: it could not be asked. */
export function watched(turn: Turn, agent: string, told: { instance: string; free: number }[] | null): void {
  const { state } = turn;
  const link = state.links.get(agent);
  if (link?.pending !== 'watch') return;
  link.pending = null;
  link.failures = told === null ? link.failures + 1 : 0;
  for (const { instance, free } of told ?? []) {
    const row = state.instances.get(instance);
    if (row === undefined || row.agent !== agent || !serves(row)) continue;
    // A slot offered while the answer was under way may be counted twice; the reserve that fails finds out.
    state.free.set(instance, Math.min(row.slots, Math.max(state.free.get(instance) ?? 0, free)));
    state.busy.set(instance, Math.max(0, row.slots - free));
    state.snapshot = null;
  }
}

/** The Miner's answer to `unwatch`; not `ok`: it could not be asked. */
export function unwatched(turn: Turn, agent: string, ok: boolean): void {
  const link = turn.state.links.get(agent);
  if (link?.pending !== 'unwatch') return;
  link.pending = null;
  link.on = !ok;
  link.failures = ok ? 0 : link.failures + 1;
}

/** The Miner's answer to `reserve`. */
export function reserved(turn: Turn, instance: string, call: CallId, ok: boolean, bounds: typeof BOUNDS): void {
  const { state } = turn;
  const ticket = state.tickets.get(call);
  const row = state.instances.get(instance);
  if (ticket?.reserving !== instance) {
    if (ok && row !== undefined) turn.effects.push({ do: 'release', agent: row.agent, instance, call });
    return;
  }
  if (ok && row !== undefined) {
    state.busy.set(instance, Math.min(row.slots, (state.busy.get(instance) ?? 0) + 1));
    decide(turn, call, { kind: 'slot', instance: toSnapshot(state, row) }, bounds);
    return;
  }
  putBack(state, ticket);
  state.free.delete(instance);
  if (row !== undefined) lookAgain(turn, row.agent);
}

/** The client left: its place is dropped, and a slot kept for it goes to the next. */
export function leave(turn: Turn, call: CallId): void {
  const { state } = turn;
  remove(state, call);
  const outcome = state.outcomes.get(call);
  state.outcomes.delete(call);
  if (outcome?.answer.kind !== 'slot' || outcome.until <= turn.now) return;
  const { agent, instance } = outcome.answer.instance;
  turn.effects.push({ do: 'release', agent, instance, call });
}

/** What the Worker that asks `wait` gets now; null: not decided; undefined: no such call waits here. */
export function outcomeOf(state: State, call: CallId): WaitAnswer | null | undefined {
  return state.outcomes.get(call)?.answer ?? (state.tickets.has(call) ? null : undefined);
}

/** Refuses the calls whose time is up, and everyone when the chute is gone or cannot start. */
export function expireTickets(turn: Turn, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  const alive = currentSpec(state) !== null;
  const failing = state.tickets.size === 0 ? null : crashLoop(state, now, bounds);
  for (const ticket of state.tickets.values()) {
    if (!alive) decide(turn, ticket.call, { kind: 'refused', code: 'not_found' }, bounds);
    else if (failing !== null) decide(turn, ticket.call, startFailing(failing, now), bounds);
    else if (ticket.deadline <= now) decide(turn, ticket.call, { kind: 'refused', code: 'queue_timeout', retryAfterMs: 5_000 }, bounds);
  }
  for (const [call, outcome] of state.outcomes) if (outcome.until <= now) state.outcomes.delete(call);
}

/** Asks for the free slots that waiting calls can use, and keeps the Miners told whether to offer theirs. */
export function pump(turn: Turn, bounds: typeof BOUNDS): void {
  const { state } = turn;
  const live = [...state.instances.values()].filter(serves);
  if (state.tickets.size > 0) for (const row of live) reserveFree(turn, row);
  const agents = new Set([...live.map((row) => row.agent), ...state.links.keys()]);
  for (const agent of agents) tend(turn, agent, live, bounds);
}

function reserveFree(turn: Turn, row: InstanceRow): void {
  const { state } = turn;
  for (let free = state.free.get(row.instance) ?? 0; free > 0; free--) {
    const ticket = next(state, row.instance);
    if (ticket === null) return;
    ticket.reserving = row.instance;
    state.free.set(row.instance, free - 1);
    turn.effects.push({ do: 'reserve', agent: row.agent, instance: row.instance, call: ticket.call });
  }
}

/** Moves the link to one Miner to where it should be, one message at a time. */
function tend(turn: Turn, agent: string, live: InstanceRow[], bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  const link: Link = state.links.get(agent) ?? { on: false, pending: null, again: true, at: 0, failures: 0 };
  const quiet = now - link.at;
  if (link.pending !== null && quiet >= bounds.linkMs) {
    link.pending = null;
    link.failures++;
  }
  if (link.pending !== null || (link.failures > 0 && quiet < bounds.relinkMs)) return;
  const instances = live.filter((row) => row.agent === agent).map((row) => row.instance);
  if (state.tickets.size === 0 || instances.length === 0) return drop(turn, agent, link, instances, bounds);
  if (link.on && !link.again && link.failures === 0 && quiet < bounds.rewatchMs) return;
  // From here on it may be watching, whether or not an answer comes.
  state.links.set(agent, { ...link, on: true, pending: 'watch', again: false, at: now });
  turn.effects.push({ do: 'watch', agent, instances });
}

function drop(turn: Turn, agent: string, link: Link, instances: string[], bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  for (const instance of instances) state.free.delete(instance);
  if (!link.on || link.failures >= bounds.unlinkTries) {
    state.links.delete(agent);
    return;
  }
  state.links.set(agent, { ...link, pending: 'unwatch', again: false, at: now });
  turn.effects.push({ do: 'unwatch', agent });
}

/** Has the free slots of an agent told anew, at once or as soon as the pending message is answered. */
export function lookAgain(turn: Turn, agent: string): void {
  const link = turn.state.links.get(agent);
  if (link === undefined) return;
  link.again = true;
}

/** When time alone changes something here. */
export function nextWakeAt(state: State, bounds: typeof BOUNDS): number | null {
  let at = Number.POSITIVE_INFINITY;
  for (const ticket of state.tickets.values()) at = Math.min(at, ticket.deadline);
  for (const outcome of state.outcomes.values()) at = Math.min(at, outcome.until);
  for (const link of state.links.values())
    at = Math.min(at, link.at + (link.pending !== null ? bounds.linkMs : link.failures > 0 ? bounds.relinkMs : bounds.rewatchMs));
  return at === Number.POSITIVE_INFINITY ? null : at;
}

function decide(turn: Turn, call: CallId, answer: WaitAnswer, bounds: typeof BOUNDS): void {
  remove(turn.state, call);
  turn.state.outcomes.set(call, { answer, until: turn.now + bounds.outcomeMs });
  turn.effects.push({ do: 'resolve', call, answer });
}
