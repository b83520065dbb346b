/**
 * The Chute: every rule about versions, instances, need and the queue of one chute. Each method is one turn: it takes
 * the facts and the time, and gives the answer and what the shell must do, rows first. No clock, no I/O; `rows` rebuild it.
 */
import type { InstanceReport } from '#protocol';
import type {
  AgentFacts,
  CallId,
  ClaimAnswer,
  Load,
  Place,
  QueueAnswer,
  ReportAnswer,
  Snapshot,
  Ticket,
  WaitAnswer,
} from '../calls/ports.ts';
import { nextChange, type PriceVersion } from '../prices/history.ts';
import { NOTHING_ATTACHED, type Attached } from '../secrets/attached.ts';
import { attach } from './attached.ts';
import { balance } from './balance.ts';
import { growing, promised, release } from './bounty.ts';
import { BOUNDS } from './bounds.ts';
import { earn } from './earning.ts';
import * as instances from './instances.ts';
import * as need from './need.ts';
import { offer, steady } from './offer.ts';
import { learn } from './prices.ts';
import * as queue from './queue.ts';
import * as rent from './rent.ts';
import { started } from './start-time.ts';
import { currentSpec, dropRow, emptyDemand, rebuild } from './state.ts';
import type { Effect, State, StoredRow, Turn } from './state.ts';
import * as versions from './versions.ts';
import * as view from './view.ts';
import * as wake from './wake.ts';

export interface Outcome<T> {
  answer: T;
  effects: Effect[];
}

export class ChuteCore {
  readonly #state: State;
  readonly #bounds: typeof BOUNDS;

  /** `feeBps`: ten-thousandths of a bounty that the platform keeps. */
  constructor(rows: Iterable<StoredRow>, bounds: typeof BOUNDS = BOUNDS, feeBps = 0) {
    this.#state = rebuild(rows, feeBps);
    this.#bounds = bounds;
  }

  // ── the developer ──

  deploy(ask: versions.DeployAsk, now: number): Outcome<versions.DeployAnswer> {
    return this.#turn(now, (turn) => versions.deploy(turn, ask, this.#bounds));
  }

  rollback(version: string, now: number): Outcome<boolean> {
    return this.#turn(now, (turn) => versions.rollback(turn, version));
  }

  /** What the chute asks now and next; false: there is no chute. */
  setPrices(prices: readonly PriceVersion[], now: number): Outcome<boolean> {
    return this.#turn(now, (turn) => {
      if (this.#state.chute === null) return false;
      learn(turn, prices);
      return true;
    });
  }

  /** What is attached to it; false: there is no chute. */
  attach(told: Attached, now: number): Outcome<boolean> {
    return this.#turn(now, (turn) => {
      attach(turn, told);
      return this.#state.chute !== null;
    });
  }

  /** Ends the chute: every instance is stopped, every waiting call refused, every row dropped but the rents to be settled. */
  remove(now: number): Outcome<boolean> {
    return this.#turn(now, (turn) => {
      const { state } = turn;
      if (state.chute === null) return false;
      for (const row of state.instances.values()) {
        release(turn, row, this.#bounds);
        instances.forget(turn, row);
        instances.stop(turn, row, 'deleted', 0);
      }
      for (const key of state.versions.keys()) dropRow(turn, 'version', key);
      for (const key of state.strikes.keys()) dropRow(turn, 'strike', key);
      for (const { id } of state.prices) dropRow(turn, 'price', id);
      dropRow(turn, 'unpaid', 'unpaid');
      dropRow(turn, 'attached', 'attached');
      dropRow(turn, 'demand', state.chute.chute);
      dropRow(turn, 'chute', state.chute.chute);
      turn.effects.push({ do: 'post', chute: state.chute.chute, offer: null, listing: null });
      state.versions.clear();
      state.strikes.clear();
      state.prices = [];
      state.unpaid = null;
      state.attached = NOTHING_ATTACHED;
      state.demand = emptyDemand();
      state.savedDemand = emptyDemand();
      state.chute = null;
      state.snapshot = null;
      state.posted = null;
      state.postingSince = null;
      return true;
    });
  }

  versions(): ReturnType<typeof versions.versionList> {
    return versions.versionList({ state: this.#state });
  }

  describe(now: number): view.ChuteView | null {
    return view.describe(this.#state, now, this.#bounds);
  }

  /** One instance is wanted for so many milliseconds from now, whether or not calls come. */
  warm(forMs: number, now: number): Outcome<void> {
    return this.#turn(now, (turn) => need.warm(turn, forMs, this.#bounds));
  }

  // ── calls ──

  snapshot(now: number): Snapshot | null {
    return view.snapshot(this.#state, now);
  }

  enqueue(ticket: Ticket, now: number): Outcome<QueueAnswer> {
    return this.#turn(now, (turn) => queue.join(turn, ticket, this.#bounds));
  }

  /** Where the call stands in the line; null: it does not wait here. */
  place(call: CallId, now: number): Place | null {
    const ticket = this.#state.tickets.get(call);
    return ticket === undefined ? null : queue.placeOf(this.#state, ticket, now);
  }

  /** The answer if it is known; null: it comes as a `resolve` effect; undefined: this call does not wait here (ask again). */
  wait(call: CallId): WaitAnswer | null | undefined {
    return wake.outcomeOf(this.#state, call);
  }

  leave(call: CallId, now: number): Outcome<void> {
    return this.#turn(now, (turn) => wake.leave(turn, call));
  }

  // ── Miner objects ──

  claim(facts: AgentFacts, version: string, fresh: string, now: number): Outcome<ClaimAnswer> {
    return this.#turn(now, (turn) => {
      // Rather no start than one without its secrets: a login that an older deploy took named no key to seal them for.
      if (this.#state.attached.secrets.length > 0 && facts.sealKey === undefined)
        return { kind: 'refusal', code: 'not_eligible', retryAfterMs: 60_000 };
      return instances.claim(turn, facts, version, fresh, this.#bounds);
    });
  }

  /** The grant could not be handed over: it is as if it was never given. */
  withdraw(instance: string, now: number): Outcome<void> {
    return this.#turn(now, (turn) => {
      const row = this.#state.instances.get(instance);
      if (row?.state === 'granted') instances.forget(turn, row);
    });
  }

  report(facts: AgentFacts, told: InstanceReport, busy: number, now: number): Outcome<ReportAnswer> {
    return this.#turn(now, (turn) => {
      const { answer, becameLive } = instances.report(turn, facts, told, busy, this.#bounds);
      if (becameLive) started(turn, this.#state.instances.get(told.instance));
      const fresh = becameLive && told.version === this.#state.chute?.current;
      // Calls may have waited for it longer than demand is remembered without a look.
      need.feel(turn, 0, this.#bounds);
      balance(turn, fresh, this.#bounds);
      if (answer.known && told.state === 'live') wake.lookAgain(turn, facts.agent);
      return answer;
    });
  }

  load(agent: string, loads: Load[], now: number): Outcome<void> {
    return this.#turn(now, (turn) => {
      for (const { instance, busy, earned = 0 } of loads) {
        const row = this.#state.instances.get(instance);
        if (row === undefined || row.agent !== agent) continue;
        earn(turn, earned);
        if (row.goneAt !== null) continue;
        this.#state.busy.set(instance, Math.min(Math.max(0, busy), row.slots));
        this.#state.snapshot = null;
        need.used(turn);
      }
    });
  }

  freed(agent: string, instance: string, now: number): Outcome<CallId | null> {
    return this.#turn(now, (turn) => wake.freed(turn, agent, instance, this.#bounds));
  }

  gone(agent: string, now: number): Outcome<void> {
    return this.#turn(now, (turn) => instances.gone(turn, agent));
  }

  // ── what came of the effects ──

  watched(agent: string, told: { instance: string; free: number }[] | null, now: number): Outcome<void> {
    return this.#turn(now, (turn) => wake.watched(turn, agent, told));
  }

  unwatched(agent: string, ok: boolean, now: number): Outcome<void> {
    return this.#turn(now, (turn) => wake.unwatched(turn, agent, ok));
  }

  reserved(instance: string, call: CallId, ok: boolean, now: number): Outcome<void> {
    return this.#turn(now, (turn) => wake.reserved(turn, instance, call, ok, this.#bounds));
  }

  stopTold(instance: string, ok: boolean, now: number): Outcome<void> {
    return this.#turn(now, (turn) => instances.stopTold(turn, instance, ok));
  }

  /** Whether the account holds the price of a period; null: it did not answer. */
  rentAnswered(key: string, ok: boolean | null, now: number): Outcome<void> {
    return this.#turn(now, (turn) => rent.answered(turn, key, ok, this.#bounds));
  }

  rentSettled(key: string, ok: boolean, now: number): Outcome<void> {
    return this.#turn(now, (turn) => rent.settled(turn, key, ok, this.#bounds));
  }

  /** Whether the market took the last post; if not, it is sent again. */
  posted(ok: boolean, now: number): Outcome<void> {
    return this.#turn(now, (turn) => {
      turn.state.postingSince = null;
      turn.state.postFailed = !ok;
    });
  }

  alarm(now: number): Outcome<void> {
    this.#state.alarmAt = null;
    return this.#turn(now, () => undefined);
  }

  /** Nano-USD of the bounty that the owner's account holds for the grant of this instance. */
  bountyHeld(instance: string): number {
    return promised(this.#state, instance, true);
  }

  /** The chute's id; null while there is none. */
  get chute(): string | null {
    return this.#state.chute?.chute ?? null;
  }

  /** Sealed secrets and shares. */
  get attached(): Attached {
    return this.#state.attached;
  }

  /** Whose chute it is; null while there is none. */
  get owner(): string | null {
    return this.#state.chute?.owner ?? null;
  }

  /** Whether the agent may write to the log of this instance. */
  owns(agent: string, instance: string): boolean {
    return this.#state.instances.get(instance)?.agent === agent;
  }

  /** One turn: what happened, then everything that follows from it. */
  #turn<T>(now: number, happen: (turn: Turn) => T): Outcome<T> {
    const turn: Turn = { state: this.#state, now, effects: [] };
    earn(turn, 0);
    rent.roll(turn, this.#bounds);
    const answer = happen(turn);
    instances.expire(turn, this.#bounds);
    instances.retryStops(turn, this.#bounds);
    wake.expireTickets(turn, this.#bounds);
    need.feel(turn, 0, this.#bounds);
    balance(turn, false, this.#bounds);
    rent.follow(turn, this.#bounds);
    wake.pump(turn, this.#bounds);
    this.#post(turn);
    this.#arm(turn);
    return { answer, effects: turn.effects };
  }

  /** Tells the market what changed; what grows by itself only every few seconds. */
  #post(turn: Turn): void {
    const { state, now } = turn;
    if (state.chute === null || (state.postingSince !== null && now - state.postingSince < this.#bounds.linkMs)) return;
    const posted = offer(turn, this.#bounds);
    const listing = view.listing(state, now);
    const key = JSON.stringify([steady(posted), listing]);
    const text = `${key}${posted?.urgency ?? ''} ${posted?.bounty_nanousd ?? ''} ${posted?.earning_nanousd_hour ?? ''}`;
    const due = now - state.postedAt >= this.#bounds.postMs;
    const changed = state.posted !== text && (due || !(state.posted ?? '').startsWith(key));
    if (!changed && !(state.postFailed && due)) return;
    state.posted = text;
    state.postedAt = now;
    state.postFailed = false;
    state.postingSince = now;
    turn.effects.push({ do: 'post', chute: state.chute.chute, offer: posted, listing });
  }

  /** One alarm, at the first moment that time alone changes something. It may come early, never late. */
  #arm(turn: Turn): void {
    const { state, now } = turn;
    const times: number[] = [];
    for (const row of state.instances.values()) {
      if (row.deadline !== null) times.push(row.deadline);
      if (row.goneAt !== null) times.push(row.goneAt + this.#bounds.graceMs);
    }
    for (const order of state.stops.values()) times.push(order.next);
    const { prices } = state;
    for (const next of [
      need.nextNeedAt(turn, this.#bounds),
      wake.nextWakeAt(state, this.#bounds),
      rent.nextRentAt(turn, this.#bounds),
      nextChange(prices, now),
    ])
      if (next !== null) times.push(next);
    const urging = state.demand.unmetSince !== null && now - state.demand.unmetSince < 300_000 && currentSpec(state) !== null;
    const postAt = state.postedAt + this.#bounds.postMs;
    if (urging || growing(turn, this.#bounds) || state.postFailed || state.postingSince !== null)
      times.push(postAt > now ? postAt : now + this.#bounds.postMs);
    const at = times.length === 0 ? null : Math.max(now + 1, Math.min(...times));
    if (at === null || (state.alarmAt !== null && state.alarmAt > now && state.alarmAt <= at)) return;
    state.alarmAt = at;
    turn.effects.push({ do: 'alarm', at });
  }
}
