/** The line of waiting calls: bounded, fair between accounts (each in turn), first come first served within one. */
import type { ChuteConfig } from '#protocol';
import type { CallId, Place, QueueAnswer, Ticket } from '../calls/ports.ts';
import type { BOUNDS } from './bounds.ts';
import { crashLoop, startFailing } from './crash-loop.ts';
import { feel } from './need.ts';
import { currentSpec, scalingNow } from './state.ts';
import { startEta } from './start-time.ts';
import type { QueuedTicket, State, Turn } from './state.ts';

/** Takes a call into the line, or refuses at once. A call that asks again keeps its place by `since`. */
export function join(turn: Turn, ticket: Ticket, bounds: typeof BOUNDS): QueueAnswer {
  const { state, now } = turn;
  const spec = currentSpec(state);
  if (spec === null) return { kind: 'refused', code: 'not_found' };
  const before = state.outcomes.get(ticket.call)?.answer;
  // A slot that it was given and never heard of must not be kept for it in vain.
  if (before?.kind === 'slot')
    turn.effects.push({ do: 'release', agent: before.instance.agent, instance: before.instance.instance, call: ticket.call });
  state.outcomes.delete(ticket.call);
  remove(state, ticket.call);
  // Sent away or not, the call is demand.
  feel(turn, 1, bounds);
  const failing = crashLoop(state, now, bounds);
  if (failing !== null) return startFailing(failing, now);
  if (!hope(turn, ticket, bounds)) return { kind: 'refused', code: 'no_capacity', retryAfterMs: 5_000 };
  const bound = queueBound({ ...spec.config, ...scalingNow(state) }, bounds);
  const own = state.lines.get(ticket.account)?.length ?? 0;
  // Half of the line is the most one account can take from the others.
  if (state.tickets.size >= bound || own >= bound / 2) return { kind: 'refused', code: 'queue_full', retryAfterMs: retryAfter(state) };
  const queued: QueuedTicket = { ...ticket, since: Math.min(ticket.since, now), deadline: now + ticket.deadlineMs, reserving: null };
  insert(state, queued);
  return { kind: 'admitted', ...placeOf(state, queued, now) };
}

/** Where a waiting call stands now. */
export function placeOf(state: State, ticket: QueuedTicket, now: number): Place {
  const position = positionOf(state, ticket);
  const start = startEta(state, now);
  return { position, etaMs: start === null ? null : start + eta(state, position) };
}

/** Calls one chute may have waiting. */
export function queueBound(config: Pick<ChuteConfig, 'concurrency' | 'max'>, bounds: typeof BOUNDS): number {
  return Math.min(bounds.queueMax, Math.max(bounds.queueMin, config.concurrency * config.max * bounds.queuePerSlot));
}

/**
 * Whether waiting can help: an instance that the call has not tried is live or starting, or one is wanted and has not
 * been missing for so long that nobody seems to come.
 */
function hope(turn: Turn, ticket: Ticket, bounds: typeof BOUNDS): boolean {
  const { state, now } = turn;
  for (const row of state.instances.values()) {
    const lost = row.goneAt !== null && row.goneAt + bounds.resumeMs <= now;
    if (row.state !== 'draining' && !lost && !ticket.tried.includes(row.instance)) return true;
  }
  if (state.unpaid !== null) return false;
  const since = state.demand.unmetSince;
  return since !== null && now - since < bounds.hopeMs;
}

function insert(state: State, ticket: QueuedTicket): void {
  state.tickets.set(ticket.call, ticket);
  let line = state.lines.get(ticket.account);
  if (line === undefined) {
    state.lines.set(ticket.account, (line = []));
    state.rotation.push(ticket.account);
  }
  let at = line.length;
  while (at > 0 && (line[at - 1]?.since ?? 0) > ticket.since) at--;
  line.splice(at, 0, ticket);
}

/** Takes a call out of the line, if it is there. */
export function remove(state: State, call: CallId): QueuedTicket | null {
  const ticket = state.tickets.get(call);
  if (ticket === undefined) return null;
  state.tickets.delete(call);
  const line = (state.lines.get(ticket.account) ?? []).filter((other) => other !== ticket);
  if (line.length > 0) state.lines.set(ticket.account, line);
  else {
    state.lines.delete(ticket.account);
    state.rotation = state.rotation.filter((account) => account !== ticket.account);
  }
  return ticket;
}

/** Who gets the next slot of this instance; the account then goes to the end of the round. */
export function next(state: State, instance: string): QueuedTicket | null {
  for (const account of state.rotation) {
    const ticket = state.lines.get(account)?.find((t) => t.reserving === null && !t.tried.includes(instance));
    if (ticket === undefined) continue;
    state.rotation = [...state.rotation.filter((other) => other !== account), account];
    return ticket;
  }
  return null;
}

/** A slot that was promised is not there: the account is first in the round again. */
export function putBack(state: State, ticket: QueuedTicket): void {
  ticket.reserving = null;
  state.rotation = [ticket.account, ...state.rotation.filter((other) => other !== ticket.account)];
}

/** From 1. Counts who would be served earlier if slots came one by one. */
function positionOf(state: State, ticket: QueuedTicket): number {
  const rank = state.lines.get(ticket.account)?.indexOf(ticket) ?? 0;
  const turnAt = state.rotation.indexOf(ticket.account);
  let ahead = rank;
  for (const [at, account] of state.rotation.entries()) {
    if (account !== ticket.account) ahead += Math.min(state.lines.get(account)?.length ?? 0, rank + (at < turnAt ? 1 : 0));
  }
  return ahead + 1;
}

/** Tells the pace of the line that a slot came free. */
export function slotFreed(turn: Turn): void {
  const { pace } = turn.state;
  if (pace.at !== null) pace.everyMs = pace.everyMs * 0.8 + Math.min(60_000, Math.max(1, turn.now - pace.at)) * 0.2;
  pace.at = turn.now;
}

function eta(state: State, position: number): number {
  return Math.round(position * state.pace.everyMs);
}

function retryAfter(state: State): number {
  return Math.min(30_000, Math.max(1_000, Math.round(eta(state, state.tickets.size) / 2)));
}
