/**
 * A bounty: what the owner of a cold chute gives the miner of its first instance, besides what calls pay. It is frozen with
 * the grant, held at the owner's account, paid once when the instance has been live for a minute, and given back when it
 * never is. It is said like a rent (`rent.ts`), so that every word of it may be lost and said again.
 */
import { NO_PRICE } from '#protocol';
import type { BOUNDS } from './bounds.ts';
import { cold } from './crowd.ts';
import { putRow, scalingNow, serves } from './state.ts';
import type { InstanceRow, RentRow, State, Turn } from './state.ts';
import { bountyOf } from './urgency.ts';

type Facts = Pick<Turn, 'state' | 'now'>;

/** Its terms have a name in place of a price version's id. */
export const BOUNTY_TERMS = 'bounty';

/** The clock of the bounty goes while callers wait for a cold chute, stands while none does, and starts anew with every need. */
export function pull({ state, now }: Turn, bounds: typeof BOUNDS): void {
  const until =
    state.tickets.size > 0 ? Number.POSITIVE_INFINITY : Math.max(state.demand.warmUntil ?? 0, state.askedAt + bounds.sentAwayMs);
  if (state.demand.unmetSince === null || !cold(state)) state.pull = { ms: 0, at: now, until: now };
  else state.pull = { ms: pulledMs(state, now), at: now, until };
}

function pulledMs({ pull: { ms, at, until } }: State, now: number): number {
  return ms + Math.max(0, Math.min(now, until) - at);
}

/** Whether time alone makes it more. */
export function growing({ state, now }: Facts, bounds: typeof BOUNDS): boolean {
  const most = scalingNow(state)?.bounty ?? 0;
  if (most === 0 || state.pull.until <= now) return false;
  return pulledMs(state, now) < bounds.bountyMs || paidLately(state, most, now, bounds) > 0;
}

/** Nano-USD for whoever is granted the next instance; 0 where something serves, or one on its way has it already. */
export function bountyNow({ state, now }: Facts, bounds: typeof BOUNDS): number {
  const most = scalingNow(state)?.bounty ?? 0;
  if (most === 0 || !cold(state) || [...state.rents.values()].some((row) => row.bounty === true && row.end === null)) return 0;
  return Math.min(bountyOf(most, pulledMs(state, now), bounds.bountyMs), most - paidLately(state, most, now, bounds));
}

/** Nano-USD of bounties of the last hour, at most `most`: what was paid fades by a whole bounty an hour. */
function paidLately({ demand: { bountied } }: State, most: number, now: number, bounds: typeof BOUNDS): number {
  if (bountied === undefined) return 0;
  const faded = most * (Math.max(0, now - bountied.at) / bounds.bountyEachMs);
  return Math.min(most, Math.max(0, Math.ceil(bountied.nanousd - faded)));
}

/** It is due: no other of this size comes soon. Written with the demand, by the turn in which the account answers. */
export function due({ state, now }: Facts, rent: RentRow, bounds: typeof BOUNDS): void {
  const before = paidLately(state, scalingNow(state)?.bounty ?? 0, now, bounds);
  state.demand.bountied = { nanousd: before + rent.terms.price.per_request, at: now };
}

/** Freezes it for this grant; from here on it is asked for. */
export function promise({ state, now, effects }: Turn, row: InstanceRow, nanousd: number): void {
  if (state.chute === null) return;
  const { instance, agent, hotkey, region, version } = row;
  const terms = { version: BOUNTY_TERMS, price: { ...NO_PRICE, per_request: nanousd }, discountBps: 0, feeBps: state.feeBps };
  const { chute, owner } = state.chute;
  const rent: RentRow = {
    chute,
    owner,
    version,
    instance,
    agent,
    hotkey,
    region,
    terms,
    start: now,
    ms: 1,
    end: null,
    held: false,
    bounty: true,
  };
  state.rents.set(keyOf(rent), rent);
  putRow({ state, now, effects }, 'rent', keyOf(rent), rent);
}

/** Nano-USD promised with the grant of an instance; `held`: that the owner's account is known to hold. */
export function promised(state: State, instance: string, held: boolean): number {
  const row = state.rents.get(`${instance}/bounty`);
  return row === undefined || row.end !== null || (held && !row.held) ? 0 : row.terms.price.per_request;
}

export function keyOf(rent: RentRow): string {
  return rent.bounty === true ? `${rent.instance}/bounty` : `${rent.instance}/${rent.start}`;
}

/** What it comes to: its whole, nothing (it ends where it started), or null: that is not known yet. */
export function endOf(state: State, rent: RentRow, now: number, bounds: typeof BOUNDS): number | null {
  const instance = state.instances.get(rent.instance);
  if (instance === undefined || instance.state === 'draining') return rent.start;
  if (instance.liveSince === null || !serves(instance) || instance.liveSince + bounds.earlyFailureMs > now) return null;
  return rent.start + rent.ms;
}

/** When time alone makes it due; null: it does not. */
export function dueAt(state: State, rent: RentRow, bounds: typeof BOUNDS): number | null {
  const instance = state.instances.get(rent.instance);
  if (instance === undefined || instance.liveSince === null || !serves(instance)) return null;
  return instance.liveSince + bounds.earlyFailureMs;
}

/** The chute itself ends an instance that serves: its miner has done its part. */
export function release(turn: Turn, row: InstanceRow, bounds: typeof BOUNDS): void {
  const rent = turn.state.rents.get(`${row.instance}/bounty`);
  if (rent === undefined || rent.end !== null || !serves(row)) return;
  due(turn, rent, bounds);
  const paid = { ...rent, end: rent.start + rent.ms };
  turn.state.rents.set(keyOf(rent), paid);
  putRow(turn, 'rent', keyOf(rent), paid);
}
