/** The shell of a Chute object in the simulator: `functions/chute/object.ts`, effect by effect. Logs are left out. */
import type { InstanceReport, VersionSpec } from '#protocol';
import type {
  AgentFacts,
  ClaimAnswer,
  Load,
  Offer,
  QueueAnswer,
  ReportAnswer,
  Snapshot,
  Ticket,
  WaitAnswer,
} from '../../../functions/calls/ports.ts';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { ChuteCore, type Outcome } from '../../../functions/chute/core.ts';
import { untold } from '../../../functions/chute/rent.ts';
import { rentAsk, rentSettlement } from '../../../functions/chute/rent-call.ts';
import type { Effect, RentRow, StoredRow } from '../../../functions/chute/state.ts';
import type { PriceVersion } from '../../../functions/prices/history.ts';
import { ObjectHost } from '../network.ts';
import type { Sim } from '../sim.ts';

/** Ten-thousandths of a bounty. */
const FEE_BPS = 1_500;

type Asked = Extract<Effect, { do: 'watch' | 'unwatch' | 'reserve' | 'release' | 'stop' }>;

export class ChuteNode extends ObjectHost {
  readonly name = 'chute';
  readonly rows = new Map<string, string>();
  /** What the market shows of it. */
  offer: Offer | null = null;
  /** Calls in the line, with the agents that they do not want. */
  readonly waiting = new Map<string, readonly string[]>();
  private readonly sim: Sim;
  private booted: ChuteCore | null = null;
  private readonly waiters = new Map<string, ((answer: WaitAnswer) => void)[]>();

  constructor(sim: Sim) {
    super(sim.clock, sim.random, sim.faults);
    this.sim = sim;
  }

  get core(): ChuteCore {
    this.boot();
    return this.booted as ChuteCore;
  }

  boot(): void {
    if (this.booted !== null) return;
    this.booted = new ChuteCore(
      [...this.rows.values()].map((json) => JSON.parse(json) as StoredRow),
      BOUNDS,
      FEE_BPS,
    );
  }

  protected forget(): void {
    this.booted = null;
    this.waiters.clear();
    this.waiting.clear();
  }

  protected onAlarm(): void {
    this.run(this.core.alarm(this.sim.now));
  }

  deploy(spec: VersionSpec): void {
    this.run(this.core.deploy({ spec, slug: 'demo-chat' }, this.sim.now));
  }

  price(versions: readonly PriceVersion[]): void {
    this.run(this.core.setPrices(versions, this.sim.now));
  }

  // ── calls ──

  snapshot(): Snapshot | null {
    return structuredClone(this.core.snapshot(this.sim.now));
  }

  enqueue(ticket: Ticket): QueueAnswer {
    const answer = this.run(this.core.enqueue(ticket, this.sim.now));
    if (this.core.wait(ticket.call) === null) this.waiting.set(ticket.call, ticket.tried);
    this.sim.trace.add(this.sim.now, answer.kind === 'admitted' ? 'queue.admitted' : `queue.${answer.code}`, ticket.call);
    return answer;
  }

  /** `rejected`: the call does not wait here. */
  wait(call: string, answer: (answer: WaitAnswer | 'rejected') => void): void {
    const known = this.core.wait(call);
    if (known === undefined) return answer('rejected');
    if (known !== null) return answer(known);
    this.waiters.set(call, [...(this.waiters.get(call) ?? []), answer]);
  }

  leave(call: string): void {
    this.resolve(call, { kind: 'refused', code: 'queue_timeout', retryAfterMs: 1_000 });
    this.run(this.core.leave(call, this.sim.now));
  }

  // ── Miner objects ──

  claim(agent: AgentFacts, version: string): ClaimAnswer {
    const answer = this.run(this.core.claim(agent, version, `ins_${this.sim.random.hex(12)}`, this.sim.now));
    this.sim.bounties.answered(answer);
    this.sim.trace.add(this.sim.now, `claim.${answer.kind === 'grant' ? 'granted' : answer.code}`, agent.agent);
    return structuredClone(answer);
  }

  report(agent: AgentFacts, report: InstanceReport, busy: number): ReportAnswer {
    return this.run(this.core.report(agent, report, busy, this.sim.now));
  }

  load(agent: string, loads: Load[]): void {
    this.run(this.core.load(agent, loads, this.sim.now));
  }

  freed(agent: string, instance: string): string | null {
    return this.run(this.core.freed(agent, instance, this.sim.now));
  }

  gone(agent: string): void {
    this.run(this.core.gone(agent, this.sim.now));
  }

  // ── effects ──

  private run<T>(outcome: Outcome<T>): T {
    for (const effect of outcome.effects) this.carryOut(effect);
    this.sim.oracle.chuteStepped(this);
    return outcome.answer;
  }

  private carryOut(effect: Effect): void {
    switch (effect.do) {
      case 'put':
        this.rows.set(`${effect.kind} ${effect.key}`, JSON.stringify({ kind: effect.kind, key: effect.key, value: effect.value }));
        return;
      case 'delete':
        this.rows.delete(`${effect.kind} ${effect.key}`);
        return;
      case 'alarm':
        this.setAlarm(effect.at);
        return;
      case 'resolve':
        this.resolve(effect.call, effect.answer);
        return;
      case 'note':
        return;
      case 'post':
        this.offer = effect.offer;
        return;
      case 'watch':
      case 'unwatch':
      case 'reserve':
      case 'release':
        this.ask(effect);
        return;
      case 'stop':
        this.sim.bounties.stopped(effect.instance);
        this.ask(effect);
        return;
      case 'rent':
        this.rent(effect.key, effect.rent);
        return;
      case 'settle':
        this.settle(effect.key, effect.rent);
        return;
    }
  }

  /** Without calls nobody else looks whether the agent is still there. */
  private rent(key: string, rent: RentRow): void {
    const { sim, core } = this;
    if (rent.agent !== '' && rent.bounty !== true) this.look(rent);
    const ask = rentAsk(rent, this.idOf(rent));
    const account = sim.account(rent.owner);
    const told = (held: boolean | null): void => this.run(core.rentAnswered(key, held, sim.now));
    sim.network.ask<boolean | null>(
      this,
      account,
      'rent',
      (answer) => account.rent(ask, answer),
      told,
      () => told(null),
    );
  }

  private look(rent: RentRow): void {
    const miner = this.sim.miner(rent.agent);
    type Facts = ReturnType<typeof miner.facts>;
    miner.knock();
    const told = (agent: Facts): void => {
      const news = untold(rent, agent);
      if (news === 'gone') this.gone(rent.agent);
      else if (news !== null && agent !== null) this.report(agent, news, 0);
    };
    this.sim.network.ask<Facts>(
      this,
      miner,
      'facts',
      (answer) => answer(miner.facts()),
      told,
      () => {},
    );
  }

  /** Where nothing came of a period its hold goes back, and no miner is named. */
  private settle(key: string, rent: RentRow): void {
    const { sim, core } = this;
    const id = this.idOf(rent);
    const account = sim.account(rent.owner);
    const settle = (): boolean => {
      if (rent.end !== rent.start) return account.settle([rentSettlement(rent, id)]).includes(`${id}/0`);
      account.close(id, 0, '');
      return true;
    };
    const told = (taken: boolean): void => this.run(core.rentSettled(key, taken, sim.now));
    sim.network.ask<boolean>(
      this,
      account,
      'settle',
      (answer) => answer(settle()),
      told,
      () => told(false),
    );
  }

  /** A UUID that follows from instance and start, or from the instance whose bounty it is. */
  private idOf({ instance, start, bounty }: RentRow): string {
    const hex = [...this.sim.mac(new TextEncoder().encode(`${instance}/${bounty === true ? 'bounty' : start}`))]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('');
    return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join('-');
  }

  private ask(effect: Asked): void {
    const { sim, core } = this;
    const miner = sim.miner(effect.agent);
    const name = core.chute ?? '';
    switch (effect.do) {
      case 'watch': {
        const told = (free: { instance: string; free: number }[] | null): void => this.run(core.watched(effect.agent, free, sim.now));
        sim.network.ask<{ instance: string; free: number }[]>(
          this,
          miner,
          'watch',
          (answer) => answer(miner.watch(name, effect.instances)),
          told,
          () => told(null),
        );
        return;
      }
      case 'unwatch': {
        const told = (ok: boolean): void => this.run(core.unwatched(effect.agent, ok, sim.now));
        sim.network.ask<void>(
          this,
          miner,
          'unwatch',
          (answer) => answer(miner.unwatch(name)),
          () => told(true),
          () => told(false),
        );
        return;
      }
      case 'reserve': {
        const { instance, call } = effect;
        const told = (kept: boolean): void => this.run(core.reserved(instance, call, kept, sim.now));
        sim.network.ask<boolean>(
          this,
          miner,
          'reserve',
          (answer) => answer(miner.reserve(instance, call)),
          told,
          () => told(false),
        );
        return;
      }
      case 'release':
        sim.network.ask<void>(
          this,
          miner,
          'release',
          (answer) => answer(miner.release(effect.instance, effect.call)),
          () => {},
          () => {},
        );
        return;
      case 'stop': {
        const told = (ok: boolean): void => this.run(core.stopTold(effect.instance, ok, sim.now));
        const { instance, reason, noticeMs } = effect;
        sim.network.ask<void>(
          this,
          miner,
          'stop',
          (answer) => answer(miner.stop(instance, reason, noticeMs)),
          () => told(true),
          () => told(false),
        );
        return;
      }
    }
  }

  private resolve(call: string, answer: WaitAnswer): void {
    this.waiting.delete(call);
    if (answer.kind === 'slot') {
      this.sim.trace.add(this.sim.now, 'queue.slot', `${call} ${answer.instance.instance}`);
      this.sim.oracle.slotNamed(call);
    }
    for (const resolve of this.waiters.get(call) ?? []) resolve(structuredClone(answer));
    this.waiters.delete(call);
  }
}
