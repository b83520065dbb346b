/** One chute: the real core, what it asks for done at once, and the calls that come to it. */
import { NO_PRICE, type ChuteConfig, type InstanceReport } from '#protocol';
import type { AgentFacts, CallId, ClaimAnswer } from '../../functions/calls/ports.ts';
import { ChuteCore, type Outcome } from '../../functions/chute/core.ts';
import type { Effect } from '../../functions/chute/state.ts';
import { startOf } from '../../miner-agent/strategy/world.ts';
import { Random } from '../sim/random.ts';
import type { MinerNode, Running } from './miner-node.ts';
import type { Market } from './market.ts';
import { startTime, type Model } from './catalogue.ts';
import { coldCall, type Wake } from './cold.ts';

/** Milliseconds a client waits for a slot, over all its tries. */
const PATIENCE_MS = 900_000;

interface Waiting {
  since: number;
  /** When the best machine would have had it live; null: it did not come to a cold chute. */
  floorAt: number | null;
  forMs: number;
}

export class ChuteNode {
  readonly id: string;
  readonly version: string;
  readonly model: Model;
  readonly core = new ChuteCore([]);
  readonly live = new Set<Running>();
  readonly #market: Market;
  readonly #waiting = new Map<CallId, Waiting>();
  readonly #watched = new Set<MinerNode>();
  #alarmAt = Number.POSITIVE_INFINITY;
  /** The last start that ended a time with nothing live, and when one on the best machine would have; null: it is not cold. */
  #wake: Wake | null = null;
  #floorAt: number | null = null;
  readonly #dice: Random;

  constructor(index: number, model: Model, market: Market) {
    this.id = `cht_${index}`;
    this.version = index.toString(16).padStart(64, '0');
    this.model = model;
    this.#market = market;
    this.#dice = new Random(index);
    const config: ChuteConfig = model.config;
    const spec = { chute: this.id, name: model.name, account: 'acc_lab', version: this.version, config, code: null };
    const price = {
      id: 'p',
      price: config.price ?? NO_PRICE,
      feeBps: 0,
      discountBps: 0,
      startsAt: 0,
      endsAt: null,
      note: '',
      createdAt: 0,
    };
    this.run(this.core.deploy({ spec, slug: `s${index}`, prices: [price] }, market.now));
  }

  // ── calls ──

  /** A call that keeps a slot busy for so long. */
  call(forMs: number): void {
    this.#market.tally.calls++;
    const cold = this.live.size === 0;
    // Where nobody waits any more, what came before had no end, and this is a new beginning.
    if (cold && (this.#floorAt === null || this.#waiting.size === 0)) this.#floorAt = this.#market.now + this.#bestStart();
    if (!this.#serve(forMs)) this.#wait(this.#market.fresh('call'), { since: this.#market.now, floorAt: this.#floorAt, forMs });
  }

  /** On the instance with most room. */
  #serve(forMs: number): boolean {
    let best: Running | null = null;
    for (const r of this.live) if (r.busy + r.kept < r.slots && (best === null || r.busy < best.busy)) best = r;
    if (best === null) return false;
    this.#begin(best, forMs);
    return true;
  }

  #begin(running: Running, forMs: number): void {
    const { clock, tally } = this.#market;
    running.miner.busy(running, 1);
    this.#load(running, 0);
    clock.after(forMs, () => {
      // An instance that went meanwhile took the call with it.
      if (!running.miner.has(running)) return;
      const paid = Math.round(this.model.perSecond * (forMs / 1000));
      tally.paid += paid;
      running.miner.busy(running, -1);
      if (running.state === 'live' && this.#watched.has(running.miner))
        this.run(this.core.freed(running.miner.id, running.instance, clock.now));
      this.#load(running, paid);
      running.miner.quiet(running);
    });
  }

  #load({ miner, instance, busy }: Running, earned: number): void {
    this.run(this.core.load(miner.id, [{ instance, busy, earned }], this.#market.now));
  }

  #wait(call: CallId, waiting: Waiting): void {
    const { clock, now } = this.#market;
    const left = waiting.since + PATIENCE_MS - now;
    if (left <= 0) return this.#lose(waiting);
    this.#waiting.set(call, waiting);
    const ticket = { call, account: `acc_${call.at(-1)}`, since: waiting.since, tried: [], deadlineMs: left };
    const answer = this.run(this.core.enqueue(ticket, now));
    if (answer.kind === 'admitted') return;
    this.#waiting.delete(call);
    if (answer.code === 'not_found') return;
    clock.after(answer.retryAfterMs, () => {
      if (this.#serve(waiting.forMs)) this.#waited(waiting);
      else this.#wait(call, waiting);
    });
  }

  /** Milliseconds on a machine with the model, if any machine that is here has it, whether or not it has room. */
  #bestStart(): number {
    const key = startOf({ chute: this.id, version: this.version });
    const cached = [...this.#market.miners.values()].some((miner) => miner.here && miner.keeps(key));
    return startTime(this.model.config, cached, this.#dice);
  }

  #waited({ since, floorAt }: Waiting): void {
    if (floorAt !== null) this.#market.tally.cold.push(coldCall(since, this.#market.now, this.#wake, floorAt));
  }

  #lose(waiting: Waiting): void {
    this.#market.tally.lost++;
    this.#waited(waiting);
  }

  // ── miners ──

  claim(facts: AgentFacts): ClaimAnswer {
    const { now, tally } = this.#market;
    const before = this.#counted();
    const answer = this.run(this.core.claim(facts, this.version, this.#market.fresh('ins'), now));
    if (answer.kind === 'grant' && (before.need < 1 || before.ids.has(answer.instance))) tally.doubles++;
    return answer;
  }

  #counted(): { need: number; ids: Set<string> } {
    const view = this.core.describe(this.#market.now);
    return { need: view?.need ?? 0, ids: new Set(view?.instances.map((i) => i.instance)) };
  }

  report(running: Running, state: InstanceReport['state']): void {
    if (state === 'live' && this.live.size === 0) {
      this.#wake = { granted: running.granted, live: this.#market.now, cached: running.cached };
      this.#floorAt = null;
    }
    if (state === 'live') this.live.add(running);
    else this.live.delete(running);
    const told = { instance: running.instance, chute: this.id, version: this.version, state, detail: '' };
    this.run(this.core.report(running.miner.facts, told, running.busy, this.#market.now));
  }

  gone(miner: MinerNode): void {
    for (const r of this.live) if (r.miner === miner) this.live.delete(r);
    this.#watched.delete(miner);
    this.run(this.core.gone(miner.id, this.#market.now));
  }

  // ── effects ──

  run<T>({ answer, effects }: Outcome<T>): T {
    for (const effect of effects) this.#do(effect);
    return answer;
  }

  #do(effect: Effect): void {
    const { clock, now } = this.#market;
    switch (effect.do) {
      case 'alarm':
        return this.#alarm(effect.at);
      case 'post':
        this.#market.post(effect.chute, effect.offer);
        clock.after(0, () => this.run(this.core.posted(true, clock.now)));
        return;
      case 'resolve':
        return this.#resolved(effect.call, effect.answer);
      case 'stop': {
        const miner = this.#market.miner(effect.agent);
        clock.after(0, () => {
          this.run(this.core.stopTold(effect.instance, true, now));
          miner.stop(effect.instance);
        });
        return;
      }
      case 'watch':
      case 'unwatch':
      case 'reserve':
        clock.after(0, () => this.#ask(effect));
        return;
      // Rows, logs and rents are not what a market is about; a slot kept in vain is free again by itself.
      case 'put':
      case 'delete':
      case 'note':
      case 'release':
      case 'rent':
      case 'settle':
        return;
    }
  }

  #ask(effect: Extract<Effect, { do: 'watch' | 'unwatch' | 'reserve' }>): void {
    const { now } = this.#market;
    const miner = this.#market.miner(effect.agent);
    if (effect.do === 'unwatch') {
      this.#watched.delete(miner);
      this.run(this.core.unwatched(effect.agent, true, now));
    } else if (effect.do === 'watch') {
      this.#watched.add(miner);
      const free = effect.instances.map((instance) => ({ instance, free: miner.free(instance) }));
      this.run(this.core.watched(effect.agent, free, now));
    } else {
      const ok = miner.free(effect.instance) > 0 && this.#waiting.has(effect.call);
      this.run(this.core.reserved(effect.instance, effect.call, ok, now));
    }
  }

  #resolved(call: CallId, answer: Extract<Effect, { do: 'resolve' }>['answer']): void {
    const waiting = this.#waiting.get(call);
    this.#waiting.delete(call);
    if (waiting === undefined) return;
    if (answer.kind === 'slot') {
      const running = [...this.live].find((r) => r.instance === answer.instance.instance);
      if (running !== undefined && running.busy < running.slots) {
        this.#waited(waiting);
        running.kept++;
        this.#market.clock.after(0, () => {
          running.kept--;
          this.#begin(running, waiting.forMs);
        });
        return;
      }
    }
    if (answer.kind === 'refused' && answer.code === 'not_found') return;
    this.#market.clock.after(1_000, () => this.#wait(call, waiting));
  }

  #alarm(at: number): void {
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    this.#market.clock.at(at, () => {
      if (this.#alarmAt !== at) return;
      this.#alarmAt = Number.POSITIVE_INFINITY;
      this.run(this.core.alarm(this.#market.now));
    });
  }
}
