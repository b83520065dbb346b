/** One agent: the production connection core in the driver's place, with instances that come up and go in virtual time. */
import type { Down, Grant, InstanceReport, Inventory } from '#protocol';
import { Core } from '../../../miner-agent/connection/core.ts';
import type { CoreEvent, Effect } from '../../../miner-agent/connection/events.ts';
import type { Host } from '../network.ts';
import type { Sim } from '../sim.ts';
import { Wire, type End, type Message } from '../wire.ts';
import { EngineNode } from './engine.ts';

interface Instance {
  chute: string;
  version: string;
  slots: number;
  state: InstanceReport['state'];
  leaving: boolean;
}

const INVENTORY: Inventory = {
  agentVersion: '0.1.0',
  platform: 'sim',
  runtimes: ['process'],
  devices: [{ id: 'cpu', kind: 'cpu', name: 'virtual', memoryMb: 1024 }],
  region: 'sim',
};

/** Milliseconds between two looks at the market, and until a claim counts as lost. */
const LOOK_MS = 1_000;
const CLAIM_MS = 5_000;
const MAX_INSTANCES = 3;

export class AgentNode implements Host, End {
  readonly name: string;
  readonly agent: string;
  life = 0;
  core: Core;
  /** It stays away for good. */
  lost = false;
  readonly instances = new Map<string, Instance>();
  private readonly sim: Sim;
  private engine: EngineNode;
  private wire: Wire | null = null;
  private readonly queue: CoreEvent[] = [];
  private working = false;
  private plannedAt: number | null = null;
  private plans = 0;
  private claimedAt: number | null = null;
  private quietUntil = 0;
  private claims = 0;

  constructor(sim: Sim, agent: string) {
    this.sim = sim;
    this.agent = agent;
    this.name = `agent/${agent}`;
    this.core = this.makeCore();
    this.engine = new EngineNode(sim, this.guarded());
  }

  private makeCore(): Core {
    const { random } = this.sim;
    return new Core({ hasher: () => this.sim.hasher(), sign: () => 'signature', random: random.next, inventory: INVENTORY });
  }

  private guarded(): (event: CoreEvent) => void {
    const { life } = this;
    return (event) => {
      if (this.life === life) this.dispatch(event);
    };
  }

  start(): void {
    this.later(this.sim.random.int(0, 100), () => this.dial());
    this.later(LOOK_MS, () => this.look());
  }

  get connected(): boolean {
    return this.core.ready && this.wire !== null && this.wire.open && !this.wire.halfOpen;
  }

  get socket(): Wire | null {
    return this.wire;
  }

  // ── the driver's part ──

  dispatch(event: CoreEvent): void {
    this.queue.push(event);
    if (this.working) return;
    this.working = true;
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      for (const effect of this.core.step(next, this.sim.now)) this.carryOut(effect);
    }
    this.working = false;
    this.sim.oracle.agentStepped(this);
    this.plan();
  }

  private plan(): void {
    const at = this.core.wakeAt();
    if (at === null || (this.plannedAt !== null && this.plannedAt <= at)) return;
    this.plannedAt = at;
    const number = ++this.plans;
    this.laterAt(at, () => {
      if (this.plans !== number) return;
      this.plannedAt = null;
      this.dispatch({ type: 'wake' });
    });
  }

  private carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        this.wire?.send('agent', effect.message);
        return;
      case 'close':
        this.wire?.close('agent', effect.code);
        this.wire = null;
        return;
      case 'connect':
        this.later(effect.inMs, () => this.dial());
        return;
      case 'over':
        this.sim.fail('agents stay', `${this.name} was sent away with ${effect.code}`);
        return;
      case 'heard':
        this.heard(effect.message);
        return;
      case 'call':
        this.sim.trace.add(this.sim.now, 'engine.call', `${this.agent} ${effect.open.attempt}`);
        this.engine.call(effect.open);
        return;
      case 'write':
        this.engine.write(effect.attempt, effect.bytes);
        return;
      case 'finish':
      case 'pause':
      case 'continue':
      case 'cancel':
        this.engine[effect.type](effect.attempt);
        return;
      case 'served':
      case 'drained':
        return;
      case 'blob':
      case 'blob-end':
      case 'blob-failed':
        this.sim.fail('only what is asked for happens', `effect ${effect.type} of ${this.name}`);
        return;
    }
  }

  private dial(): void {
    const { sim } = this;
    if (this.lost) return;
    const { life } = this;
    const refused = (): void => this.later(sim.network.delay() + 10, () => this.dispatch({ type: 'failed', retryAfterMs: null }));
    if (sim.network.down || sim.faults.take('login_refused', this.name)) return refused();
    const miner = sim.miner(this.agent);
    sim.clock.after(sim.network.delay() + 2, () => {
      if (this.life !== life) return;
      if (sim.network.down) return refused();
      const wire = new Wire(sim.clock, sim.network, this, miner);
      miner.boot();
      miner.login(wire);
      sim.trace.add(sim.now, 'login', this.agent);
      sim.clock.after(sim.network.delay(), () => {
        if (this.life !== life) return wire.cut(0, 50);
        if (!wire.open) return refused();
        this.wire = wire;
        this.dispatch({ type: 'opened' });
      });
    });
  }

  message(wire: Wire, message: Message): void {
    if (wire !== this.wire) return;
    this.dispatch(typeof message === 'string' ? { type: 'text', text: message } : { type: 'message', bytes: message });
  }

  closed(wire: Wire, code: number): void {
    if (wire !== this.wire) return;
    this.wire = null;
    this.claimedAt = null;
    this.dispatch({ type: 'closed', code });
  }

  // ── the market and instances ──

  private look(): void {
    const { sim } = this;
    const offer = sim.chute.offer;
    const claimed = this.claimedAt !== null && sim.now < this.claimedAt + CLAIM_MS;
    if (offer !== null && this.core.ready && !claimed && sim.now >= this.quietUntil && this.wants(offer.version)) {
      this.claimedAt = sim.now;
      this.dispatch({ type: 'say', message: { type: 'claim', ref: `r${this.claims++}`, chute: offer.chute, version: offer.version } });
    }
    this.later(LOOK_MS + sim.random.int(0, 300), () => this.look());
  }

  private wants(version: string): boolean {
    const mine = [...this.instances.values()].filter((i) => i.version === version && !i.leaving);
    return mine.length === 0 && this.instances.size < MAX_INSTANCES;
  }

  private heard(message: Down): void {
    switch (message.type) {
      case 'grant':
        this.claimedAt = null;
        this.startInstance(message);
        return;
      case 'refusal':
        this.claimedAt = null;
        this.quietUntil = this.sim.now + Math.min(message.retryAfterMs, 3_000);
        return;
      case 'stop':
        this.stopInstance(message.instance, message.noticeMs);
        return;
      case 'welcome':
      case 'ping':
      case 'goaway':
      // No judge asks for any here; their way through the object is in test/unit/miner.
      case 'challenge':
      case 'sample':
        return;
    }
  }

  private startInstance(grant: Grant): void {
    const { sim } = this;
    const known = this.instances.get(grant.instance);
    if (known !== undefined) return this.report(grant.instance, known.state);
    const { spec } = grant;
    this.instances.set(grant.instance, {
      chute: spec.chute,
      version: spec.version,
      slots: spec.config.concurrency,
      state: 'starting',
      leaving: false,
    });
    this.report(grant.instance, 'starting');
    const fails = sim.faults.take('start_failed', this.name);
    this.later(sim.random.int(20, 600), () => {
      const instance = this.instances.get(grant.instance);
      if (instance === undefined || instance.leaving) return;
      if (fails) return this.end(grant.instance, 'failed');
      this.dispatch({ type: 'slots', instance: grant.instance, slots: instance.slots });
      this.report(grant.instance, 'live');
    });
  }

  stopInstance(id: string, noticeMs: number): void {
    const instance = this.instances.get(id);
    if (instance === undefined || instance.leaving) return;
    instance.leaving = true;
    this.dispatch({ type: 'slots', instance: id, slots: null });
    if (instance.state === 'live') this.report(id, 'draining');
    const until = this.sim.now + noticeMs;
    const idle = (): void => {
      if (this.core.calls.slots.runningOn(id) > 0 && this.sim.now < until) return this.later(200, idle);
      this.later(this.sim.random.int(5, 100), () => this.end(id, 'stopped'));
    };
    idle();
  }

  end(id: string, state: 'failed' | 'stopped'): void {
    if (!this.instances.has(id)) return;
    this.dispatch({ type: 'slots', instance: id, slots: null });
    this.dispatch({ type: 'abandon', instance: id });
    this.report(id, state);
    this.instances.delete(id);
  }

  private report(id: string, state: InstanceReport['state']): void {
    const instance = this.instances.get(id);
    if (instance === undefined) return;
    instance.state = state;
    if (state === 'live') this.sim.bounties.live(id);
    this.dispatch({ type: 'report', report: { instance: id, chute: instance.chute, version: instance.version, state, detail: '' } });
  }

  live(): string[] {
    return [...this.instances].filter(([, i]) => i.state === 'live' && !i.leaving).map(([id]) => id);
  }

  // ── faults ──

  /** For a while the core says busy (0) or stale (null) to every new call. */
  refuseFor(slots: 0 | null, ms: number): boolean {
    const [id] = this.live();
    if (id === undefined) return false;
    this.dispatch({ type: 'slots', instance: id, slots });
    this.later(ms, () => {
      const instance = this.instances.get(id);
      if (instance !== undefined && !instance.leaving) this.dispatch({ type: 'slots', instance: id, slots: instance.slots });
    });
    return true;
  }

  /** The process ends; `backInMs` null: for good. */
  crash(backInMs: number | null): void {
    this.life++;
    this.wire?.cut(0, this.sim.random.int(0, 500));
    this.wire = null;
    this.engine.clear();
    this.instances.clear();
    this.queue.length = 0;
    this.plannedAt = null;
    this.claimedAt = null;
    this.core = this.makeCore();
    this.engine = new EngineNode(this.sim, this.guarded());
    this.lost = backInMs === null;
    if (backInMs !== null) this.later(backInMs, () => this.start());
  }

  private later(ms: number, what: () => void): void {
    this.laterAt(this.sim.now + Math.max(0, ms), what);
  }

  private laterAt(at: number, what: () => void): void {
    const { life } = this;
    this.sim.clock.at(at, () => {
      if (this.life === life) what();
    });
  }
}
