/** The shell of a chute: feeds the core RPCs, alarms and the clock, keeps its rows, and does what it asks for. */
import { DurableObject } from 'cloudflare:workers';
import type { InstanceReport, LogLine, StopReason } from '#protocol';
import type {
  AccountPort,
  AgentFacts,
  CallId,
  ClaimAnswer,
  Load,
  MinerPort,
  Place,
  QueueAnswer,
  ReportAnswer,
  Snapshot,
  Ticket,
  WaitAnswer,
} from '../calls/ports.ts';
import { feeBps, type Env } from '../env.ts';
import { event } from '../events.ts';
import { makeId } from '../gate/ids.ts';
import type { PriceVersion } from '../prices/history.ts';
import type { Attached } from '../secrets/attached.ts';
import { rewrapped, sealForGrant } from '../secrets/grant.ts';
import { ringOf } from '../secrets/ring.ts';
import { accountStub, marketStub, minerStub } from '../stubs.ts';
import { Tally } from '../why/tally.ts';
import { BOUNDS } from './bounds.ts';
import { ChuteCore } from './core.ts';
import type { Outcome } from './core.ts';
import { Followers } from './followers.ts';
import { LogBook } from './logs.ts';
import type { Appended } from './logs.ts';
import { untold } from './rent.ts';
import { rentAsk, rentCall, rentSettlement } from './rent-call.ts';
import type { Effect, RentRow } from './state.ts';
import { ChuteStore } from './store.ts';
import type { DeployAnswer, DeployAsk, versionList } from './versions.ts';
import type { ChuteView } from './view.ts';

export class ChuteObject extends DurableObject<Env> {
  readonly #store: ChuteStore;
  readonly #core: ChuteCore;
  readonly #logs: LogBook;
  /** Refused claims of the last ten minutes; forgotten with the object. */
  readonly #refusals = new Tally(600_000);
  readonly #followers = new Followers(BOUNDS);
  /** Bounties that an account is asked to hold, by instance. */
  readonly #holds = new Map<string, Promise<void>>();
  /** Workers that wait for a slot, by call; one that asks twice is answered twice. */
  readonly #waiters = new Map<CallId, ((answer: WaitAnswer) => void)[]>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new ChuteStore(ctx.storage.sql);
    this.#core = new ChuteCore(this.#store.rows(), BOUNDS, feeBps(env));
    this.#logs = new LogBook(this.#store.chunks(), BOUNDS);
  }

  // ── the developer; ownership is checked at the door ──

  /** Makes this version the current one. The same version again only moves the pointer. */
  deploy(ask: DeployAsk): DeployAnswer {
    return this.#run(this.#core.deploy(ask, Date.now()));
  }

  /** Makes a kept version the current one; false if it is not kept. */
  rollback(version: string): boolean {
    return this.#run(this.#core.rollback(version, Date.now()));
  }

  /** What the chute asks now and next, as Postgres has it; false: there is no chute. */
  setPrices(prices: PriceVersion[]): boolean {
    return this.#run(this.#core.setPrices(prices, Date.now()));
  }

  /** Secrets and shares, as Postgres has them; false: there is no chute. */
  attach(attached: Attached): boolean {
    return this.#run(this.#core.attach(attached, Date.now()));
  }

  /** Stops and forgets everything; false if there was no chute. Throws while the market cannot be told. */
  async remove(): Promise<boolean> {
    const chute = this.#core.describe(Date.now())?.chute;
    if (chute === undefined) return false;
    // First, because afterwards nobody is left to try again.
    await marketStub(this.env).post(chute, null, null);
    this.#store.clearLogs();
    this.#logs.clear();
    return this.#run(this.#core.remove(Date.now()));
  }

  versions(): ReturnType<typeof versionList> {
    return this.#core.versions();
  }

  describe(): ChuteView | null {
    return this.#core.describe(Date.now());
  }

  /** Asks for one instance for so many milliseconds from now; how it stands then. */
  warm(forMs: number): ChuteView | null {
    this.#run(this.#core.warm(forMs, Date.now()));
    return this.describe();
  }

  /** NDJSON `{instance_id, seq, at, source, text}`; null when too many follow already. */
  followLogs(follow: boolean): ReadableStream<Uint8Array> | null {
    return follow && this.#followers.full ? null : this.#followers.stream(this.#store.logs(), follow);
  }

  // ── calls ──

  snapshot(): Snapshot | null {
    return this.#core.snapshot(Date.now());
  }

  enqueue(ticket: Ticket): QueueAnswer {
    return this.#run(this.#core.enqueue(ticket, Date.now()));
  }

  /** Throws when the call does not wait here (any more): the Worker enqueues it again with the same `since`. */
  wait(call: CallId): Promise<WaitAnswer> {
    const known = this.#core.wait(call);
    if (known === undefined) return Promise.reject(new Error('this call does not wait here'));
    if (known !== null) return Promise.resolve(known);
    return new Promise((resolve) => this.#waiters.set(call, [...(this.#waiters.get(call) ?? []), resolve]));
  }

  /** All that can say why a call waits; null: there is no chute. */
  whyWaits(call: CallId): { view: ChuteView; place: Place | null; refusals: { code: string; count: number }[] } | null {
    const view = this.describe();
    return view === null ? null : { view, place: this.#core.place(call, Date.now()), refusals: this.#refusals.counts(Date.now()) };
  }

  place(call: CallId): Place | null {
    return this.#core.place(call, Date.now());
  }

  leave(call: CallId): void {
    this.#resolve(call, { kind: 'refused', code: 'queue_timeout', retryAfterMs: 1_000 });
    this.#run(this.#core.leave(call, Date.now()));
  }

  // ── Miner objects ──

  async claim(agent: AgentFacts, version: string): Promise<ClaimAnswer> {
    const fresh = await makeId('ins', this.env);
    const answer = await this.#backed(this.#run(this.#core.claim(agent, version, fresh, Date.now())));
    if (answer.kind === 'refusal') this.#refusals.add(answer.code, Date.now());
    if (answer.kind === 'refusal' || this.#core.attached.secrets.length === 0) return answer;
    const sealed = await this.#sealed(agent, answer.instance);
    if (sealed !== null) return { ...answer, sealed };
    this.#run(this.#core.withdraw(answer.instance, Date.now()));
    return { kind: 'refusal', code: 'not_eligible', retryAfterMs: 60_000 };
  }

  /** With the bounty that the owner's account holds by now; of one that it does not, nobody is told. */
  async #backed(answer: ClaimAnswer): Promise<ClaimAnswer> {
    if (answer.kind === 'refusal' || answer.bounty === undefined) return answer;
    const { instance } = answer;
    await Promise.race([this.#holds.get(instance), scheduler.wait(BOUNDS.bountyWaitMs)]);
    return { ...answer, bounty: this.#core.bountyHeld(instance) };
  }

  /** The chute's secrets for this instance of this agent; null: they cannot be opened here, or its key is none. */
  async #sealed({ agent, sealKey = '' }: AgentFacts, instance: string): Promise<string | null> {
    const { attached } = this.#core;
    const of = { owner: this.#core.owner ?? '', chute: this.#name() };
    try {
      const ring = await ringOf(this.env);
      const sealed = await sealForGrant(ring, attached.secrets, { ...of, instance, agent, sealKey });
      const newest = await rewrapped(ring, attached.secrets, of);
      if (newest !== null) this.#run(this.#core.attach({ ...attached, secrets: newest }, Date.now()));
      return sealed;
    } catch (error) {
      event('secrets_not_sealed', { chute: of.chute, agent, why: error instanceof Error ? error.name : 'unknown' });
      return null;
    }
  }

  report(agent: AgentFacts, report: InstanceReport, busy: number): ReportAnswer {
    return this.#run(this.#core.report(agent, report, busy, Date.now()));
  }

  load(agent: string, loads: Load[]): void {
    this.#run(this.#core.load(agent, loads, Date.now()));
  }

  freed(agent: string, instance: string): CallId | null {
    return this.#run(this.#core.freed(agent, instance, Date.now()));
  }

  gone(agent: string): void {
    this.#run(this.#core.gone(agent, Date.now()));
  }

  log(agent: string, instance: string, seq: number, lines: LogLine[]): void {
    if (this.#core.owns(agent, instance)) this.#write(this.#logs.append(instance, seq, lines));
  }

  override alarm(): void {
    this.#run(this.#core.alarm(Date.now()));
  }

  // ── effects ──

  #run<T>(outcome: Outcome<T>): T {
    for (const effect of outcome.effects) this.#do(effect);
    return outcome.answer;
  }

  #do(effect: Effect): void {
    switch (effect.do) {
      case 'put':
        return this.#store.put(effect);
      case 'delete':
        return this.#store.delete(effect.kind, effect.key);
      case 'alarm':
        return this.#later(this.ctx.storage.setAlarm(effect.at), 'alarm');
      case 'resolve':
        return this.#resolve(effect.call, effect.answer);
      case 'note':
        return this.#write(this.#logs.note(effect.instance, effect.at, effect.text));
      case 'watch':
      case 'unwatch':
      case 'reserve':
      case 'release':
      case 'stop':
      case 'rent':
      case 'settle':
      case 'post':
        return this.#later(this.#ask(effect), effect.do);
    }
  }

  /** Asks another object, and tells the core what came of it. */
  async #ask(
    effect: Extract<Effect, { do: 'watch' | 'unwatch' | 'reserve' | 'release' | 'stop' | 'rent' | 'settle' | 'post' }>,
  ): Promise<void> {
    switch (effect.do) {
      case 'watch': {
        const told = await this.#miner(effect.agent).watch(this.#name(), effect.instances).catch(failed('watch', null));
        return this.#run(this.#core.watched(effect.agent, told, Date.now()));
      }
      case 'unwatch': {
        const told = await this.#miner(effect.agent)
          .unwatch(this.#name())
          .then(() => true, failed('unwatch', false));
        return this.#run(this.#core.unwatched(effect.agent, told, Date.now()));
      }
      case 'reserve': {
        const kept = await this.#miner(effect.agent).reserve(effect.instance, effect.call).catch(failed('reserve', false));
        return this.#run(this.#core.reserved(effect.instance, effect.call, kept, Date.now()));
      }
      case 'release':
        // Best effort: a slot kept in vain is offered anew by the Miner object after a few seconds.
        return this.#miner(effect.agent).release(effect.instance, effect.call).catch(failed('release', undefined));
      case 'stop': {
        const told = await this.#stop(effect.agent, effect.instance, effect.reason, effect.noticeMs);
        return this.#run(this.#core.stopTold(effect.instance, told, Date.now()));
      }
      case 'rent': {
        // Without calls nobody looks whether the agent is there and runs it: one that does not loses its rent by this.
        const { instance, agent, bounty } = effect.rent;
        if (bounty === true) return this.#keep(instance, this.#rent(effect));
        if (agent !== '') this.#later(this.#look(effect.rent), 'look');
        return this.#rent(effect);
      }
      case 'settle': {
        const taken = await this.#settle(effect.rent).catch(failed('settle', false));
        return this.#run(this.#core.rentSettled(effect.key, taken, Date.now()));
      }
      case 'post': {
        const posted = await marketStub(this.env)
          .post(effect.chute, effect.offer, effect.listing)
          .then(() => true, failed('post', false));
        return this.#run(this.#core.posted(posted, Date.now()));
      }
    }
  }

  async #rent({ key, rent }: Extract<Effect, { do: 'rent' }>): Promise<void> {
    const ask = rentAsk(rent, await rentCall(rent));
    const held = await this.#account(rent.owner).rent(ask).catch(failed('rent', null));
    this.#run(this.#core.rentAnswered(key, held, Date.now()));
  }

  async #keep(instance: string, hold: Promise<void>): Promise<void> {
    this.#holds.set(instance, hold);
    await hold.finally(() => this.#holds.delete(instance));
  }

  #stop(agent: string, instance: string, reason: StopReason, noticeMs: number): Promise<boolean> {
    return this.#miner(agent)
      .stop(instance, reason, noticeMs)
      .then(() => true, failed('stop', false));
  }

  async #look(rent: RentRow): Promise<void> {
    await this.#miner(rent.agent).ping();
    const agent = await this.#miner(rent.agent).facts();
    const news = untold(rent, agent);
    if (news === 'gone') this.gone(rent.agent);
    else if (news !== null && agent !== null) this.report(agent, news, 0);
  }

  async #settle(rent: RentRow): Promise<boolean> {
    const call = await rentCall(rent);
    const account = this.#account(rent.owner);
    if (rent.end !== rent.start) return (await account.settle([rentSettlement(rent, call)])).includes(`${call}/0`);
    // Nothing came of it: the hold goes back and no miner is named.
    await account.close(call, 0, '');
    return true;
  }

  #account(id: string): AccountPort {
    return accountStub(this.env, id) as unknown as AccountPort;
  }

  /** The stub as its port: RPC turns every answer into a promise, which the stub's own type says less plainly. */
  #miner(agent: string): MinerPort {
    return minerStub(this.env, agent) as unknown as MinerPort;
  }

  /** The chute id, which is what Miner objects know this object by. */
  #name(): string {
    return this.#core.chute ?? '';
  }

  #resolve(call: CallId, answer: WaitAnswer): void {
    for (const resolve of this.#waiters.get(call) ?? []) resolve(answer);
    this.#waiters.delete(call);
  }

  #write(appended: Appended): void {
    for (const chunk of appended.put) {
      this.#store.putChunk(chunk);
      this.#followers.tell(chunk);
    }
    this.#store.dropChunks(appended.drop);
  }

  #later(work: Promise<void>, what: string): void {
    this.ctx.waitUntil(work.catch(failed(what, undefined)));
  }
}

/** A failed request to another object: counted, and answered by what the core takes for "not done". */
function failed<T>(what: string, answer: T): (error: unknown) => T {
  return (error) => {
    event('ask_failed', { what: `chute ${what}`, why: error instanceof Error ? error.name : 'unknown' });
    return answer;
  };
}
