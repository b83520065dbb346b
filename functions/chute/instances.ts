/**
 * Instances from grant to end. A grant is permission to start one; every report extends it, silence voids it. What the
 * Chute does not know it answers with `known: false`, and the Miner has the agent stop it.
 */
import type { InstanceReport, StopReason, VersionSpec } from '#protocol';
import type { AgentFacts, ClaimAnswer, ReportAnswer } from '../calls/ports.ts';
import type { BOUNDS } from './bounds.ts';
import { bountyNow, promise, promised } from './bounty.ts';
import { noteAsker, othersFirstMs } from './crowd.ts';
import { capacity } from './eligible.ts';
import { missing } from './need.ts';
import { waitOfWave } from './offer.ts';
import { currentSpec, dropRow, putRow } from './state.ts';
import type { InstanceRow, Turn } from './state.ts';
import { forgive, strike, strikeOf } from './strikes.ts';

/** Grants or refuses, and says why; `fresh` is the id a new instance gets. */
export function claim(turn: Turn, facts: AgentFacts, version: string, fresh: string, bounds: typeof BOUNDS): ClaimAnswer {
  const { state, now } = turn;
  const spec = currentSpec(state);
  if (spec === null) return refusal('unknown_chute', 60_000);
  if (spec.version !== version) return refusal('stale_version', 1_000);
  if (state.unpaid !== null) return refusal('unpaid', Math.max(1_000, state.unpaid.next - now));
  const mine = [...state.instances.values()].filter((row) => row.agent === facts.agent && row.version === version);
  // The reply to an earlier claim was lost, or the agent has not started yet: the same grant again.
  const open = mine.find((row) => row.state === 'granted');
  if (open !== undefined) return regrant(turn, open, spec, bounds);
  const cooling = strikeOf(state, facts.agent, version);
  if (cooling !== undefined && cooling.until > now) return refusal('cooling_down', cooling.until - now);
  if (capacity(spec.config, facts.inventory) <= mine.length) return refusal('not_eligible', 60_000);
  noteAsker(turn, facts, bounds);
  if (missing(turn, bounds) <= 0) {
    const pending = [...state.instances.values()].some(
      (row) => row.version === version && (row.state === 'granted' || row.state === 'starting'),
    );
    return pending ? refusal('taken', 5_000) : refusal('no_need', 10_000);
  }
  const early = waitOfWave(turn, facts.agent, bounds);
  if (early > 0) return refusal('not_yet', early);
  const behind = othersFirstMs(turn, facts.hotkey, bounds);
  if (behind > 0) return refusal('others_first', behind);
  const bounty = bountyNow(turn, bounds);
  const row: InstanceRow = {
    instance: fresh,
    agent: facts.agent,
    hotkey: facts.hotkey,
    region: facts.inventory.region,
    version,
    state: 'granted',
    slots: spec.config.concurrency,
    granted: now,
    deadline: now + bounds.grantMs,
    liveSince: null,
    goneAt: null,
    detail: '',
  };
  save(turn, row);
  if (bounty > 0) promise(turn, row, bounty);
  return grant(turn, row, spec, bounds);
}

function regrant(turn: Turn, row: InstanceRow, spec: VersionSpec, bounds: typeof BOUNDS): ClaimAnswer {
  save(turn, { ...row, deadline: turn.now + bounds.grantMs, goneAt: null });
  return grant(turn, row, spec, bounds);
}

function grant({ state }: Turn, { instance }: InstanceRow, spec: VersionSpec, bounds: typeof BOUNDS): ClaimAnswer {
  const bounty = promised(state, instance, false);
  return { kind: 'grant', instance, deadlineMs: bounds.grantMs, spec, ...(bounty > 0 ? { bounty } : {}) };
}

function refusal(code: Extract<ClaimAnswer, { kind: 'refusal' }>['code'], retryAfterMs: number): ClaimAnswer {
  return { kind: 'refusal', code, retryAfterMs };
}

/** Takes an agent's word about one instance. `becameLive` names it on its first `live`. */
export function report(
  turn: Turn,
  facts: AgentFacts,
  told: InstanceReport,
  busy: number,
  bounds: typeof BOUNDS,
): { answer: ReportAnswer; becameLive: boolean } {
  const { state, now } = turn;
  const row = state.instances.get(told.instance);
  if (row === undefined || row.agent !== facts.agent || row.version !== told.version)
    return { answer: { known: false }, becameLive: false };
  const answer: ReportAnswer = { known: true, slots: row.slots, watched: state.tickets.size > 0 && told.state === 'live' };
  if (told.state === 'failed' || told.state === 'stopped') {
    if (told.state === 'failed') failed(turn, row, told.detail, bounds);
    forget(turn, row);
    return { answer, becameLive: false };
  }
  // No report brings a draining instance back; an agent that believes it serves has missed the word.
  if (row.state === 'draining' && told.state === 'live') {
    stop(
      turn,
      row,
      row.version === state.chute?.current ? 'scaled_down' : 'replaced',
      Math.max(0, (row.deadline ?? now) - bounds.drainSlackMs - now),
    );
  }
  const next = row.state === 'draining' ? 'draining' : told.state;
  const becameLive = next === 'live' && row.liveSince === null;
  save(turn, {
    ...row,
    region: facts.inventory.region,
    state: next,
    goneAt: null,
    detail: told.detail,
    liveSince: row.liveSince ?? (next === 'live' ? now : null),
    deadline: deadlineOf(turn, row, next, bounds),
  });
  state.busy.set(row.instance, Math.min(Math.max(0, busy), row.slots));
  return { answer, becameLive };
}

function deadlineOf(turn: Turn, row: InstanceRow, next: InstanceRow['state'], bounds: typeof BOUNDS): number | null {
  if (next === 'live') return null;
  const config = turn.state.versions.get(row.version)?.spec.config;
  if (next === 'starting') {
    const at = turn.now + (config?.start_timeout ?? 300) * 1000;
    return row.liveSince === null ? Math.min(at, row.granted + bounds.startMaxMs) : at;
  }
  return row.state === 'draining' ? row.deadline : turn.now + (config?.timeout ?? 300) * 1000 + bounds.drainSlackMs;
}

function failed(turn: Turn, row: InstanceRow, detail: string, bounds: typeof BOUNDS): void {
  forgive(turn, bounds);
  const early = row.liveSince === null || turn.now - row.liveSince < bounds.earlyFailureMs;
  if (early) strike(turn, row, detail, bounds);
  else turn.effects.push({ do: 'note', agent: row.agent, instance: row.instance, at: turn.now, text: `instance failed: ${detail}` });
}

/** The agent's socket is gone: its instances serve nobody until they are reported again. */
export function gone(turn: Turn, agent: string): void {
  for (const row of turn.state.instances.values()) {
    if (row.agent !== agent || row.goneAt !== null) continue;
    save(turn, { ...row, goneAt: turn.now });
    turn.state.busy.delete(row.instance);
    turn.state.free.delete(row.instance);
  }
}

/** Ends what stayed silent too long. */
export function expire(turn: Turn, bounds: typeof BOUNDS): void {
  const { state, now } = turn;
  forgive(turn, bounds);
  for (const row of state.instances.values()) {
    if (row.goneAt !== null && row.goneAt + bounds.graceMs <= now) forget(turn, row);
    else if (row.deadline !== null && row.deadline <= now) {
      // A grant that is not used keeps others from starting: it counts like a failed start.
      if (row.state === 'granted') strike(turn, row, 'the agent took the grant and did not start', bounds);
      if (row.state === 'starting') strike(turn, row, `no progress within the start timeout (last: ${row.detail || 'nothing'})`, bounds);
      forget(turn, row);
      stop(turn, row, row.state === 'draining' ? 'scaled_down' : 'start_timeout', 0);
    }
  }
}

/** No new calls from now on; what runs may finish within the version's call timeout. */
export function drain(turn: Turn, row: InstanceRow, reason: StopReason, bounds: typeof BOUNDS): void {
  const noticeMs = (turn.state.versions.get(row.version)?.spec.config.timeout ?? 300) * 1000;
  save(turn, { ...row, state: 'draining', deadline: turn.now + noticeMs + bounds.drainSlackMs });
  turn.state.free.delete(row.instance);
  stop(turn, row, reason, noticeMs);
}

/** Has the Miner object stop it, again and again until it took the word. */
export function stop(turn: Turn, row: InstanceRow, reason: StopReason, noticeMs: number): void {
  const order = { instance: row.instance, agent: row.agent, reason, noticeMs, tries: 1, next: turn.now + 2_000 };
  turn.state.stops.set(row.instance, order);
  putRow(turn, 'stop', row.instance, order);
  turn.effects.push({ do: 'stop', agent: row.agent, instance: row.instance, reason, noticeMs });
}

export function stopTold(turn: Turn, instance: string, ok: boolean): void {
  if (ok && turn.state.stops.delete(instance)) dropRow(turn, 'stop', instance);
}

export function retryStops(turn: Turn, bounds: typeof BOUNDS): void {
  for (const order of turn.state.stops.values()) {
    if (order.next > turn.now) continue;
    if (order.tries >= bounds.stopTries) {
      turn.state.stops.delete(order.instance);
      dropRow(turn, 'stop', order.instance);
      continue;
    }
    const again = { ...order, tries: order.tries + 1, next: turn.now + 2_000 * 2 ** order.tries };
    turn.state.stops.set(order.instance, again);
    putRow(turn, 'stop', order.instance, again);
    turn.effects.push({ do: 'stop', agent: order.agent, instance: order.instance, reason: order.reason, noticeMs: order.noticeMs });
  }
}

/** Removes the row: the instance is unknown from now on. */
export function forget(turn: Turn, row: InstanceRow): void {
  const { state } = turn;
  state.instances.delete(row.instance);
  state.busy.delete(row.instance);
  state.free.delete(row.instance);
  state.snapshot = null;
  dropRow(turn, 'instance', row.instance);
}

function save(turn: Turn, row: InstanceRow): void {
  turn.state.instances.set(row.instance, row);
  turn.state.snapshot = null;
  putRow(turn, 'instance', row.instance, row);
}
