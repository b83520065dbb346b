/** One miner: its machine, what runs on it, and a policy that decides for it. */
import type { Device, Inventory, WhyCode } from '#protocol';
import type { AgentFacts } from '../../functions/calls/ports.ts';
import { coolingMs } from '../../miner-agent/strategy/choose.ts';
import { PARAMETERS } from '../../miner-agent/strategy/parameters.ts';
import { needOf, startOf } from '../../miner-agent/strategy/world.ts';
import type { Claim, Stop, World } from '../../miner-agent/strategy/world.ts';
import { startTime } from './catalogue.ts';
import type { ChuteNode } from './chute-node.ts';
import type { Market } from './market.ts';
import type { Policy } from './policies.ts';

/** Chutes whose images and models fit on a machine's disk. */
const KEPT = 24;
/** Milliseconds within which an agent looks again. */
const LOOK_MS = 2_000;

export interface Running {
  readonly miner: MinerNode;
  readonly chute: ChuteNode;
  readonly instance: string;
  readonly devices: readonly string[];
  readonly slots: number;
  readonly expected: number;
  readonly granted: number;
  /** The model was on the machine. */
  readonly cached: boolean;
  state: 'starting' | 'live' | 'draining';
  busy: number;
  /** Slots promised to calls that come at once. */
  kept: number;
  since: number;
  lastCallAt: number | null;
}

export class MinerNode {
  readonly id: string;
  readonly facts: AgentFacts;
  readonly devices: readonly Device[];
  readonly running = new Map<string, Running>();
  /** Since when it asks in vain while nothing runs here. */
  hungrySince: number | null = null;
  here = true;
  readonly #inventory: Inventory;
  readonly #market: Market;
  readonly #policy: Policy;
  readonly #chutes: ReadonlyMap<string, ChuteNode>;
  readonly #claiming = new Map<string, Claim>();
  readonly #cooling = new Map<string, { until: number; code: WhyCode }>();
  readonly #cached = new Set<string>();
  readonly #switches = new Map<string, number[]>();
  #idleSince: number | null;
  #looks = false;

  constructor(index: number, devices: readonly Device[], market: Market, policy: Policy, chutes: ReadonlyMap<string, ChuteNode>) {
    this.id = `agt_${index}`;
    this.devices = devices;
    this.#inventory = { agentVersion: '0', platform: 'linux-x64', runtimes: ['docker'], devices: [...devices], region: 'eu' };
    this.facts = { agent: this.id, hotkey: `hot_${index}`, inventory: this.#inventory };
    this.#market = market;
    this.#policy = policy;
    this.#chutes = chutes;
    this.#idleSince = market.now;
  }

  /** GB of the largest device that is free; 0: none is. */
  get room(): number {
    if (!this.here) return 0;
    const taken = new Set([...this.running.values(), ...this.#claiming.values()].flatMap((r) => r.devices));
    return Math.max(0, ...this.devices.map((d) => (taken.has(d.id) ? 0 : d.memoryMb / 1024)));
  }

  /** Something runs here that nobody calls. */
  get idles(): boolean {
    return [...this.running.values()].some((r) => r.state === 'live' && r.busy + r.kept === 0);
  }

  /** Whether image and model of what `startOf` names are here. */
  keeps(start: string): boolean {
    return this.#cached.has(start);
  }

  has(running: Running): boolean {
    return this.running.get(running.instance) === running;
  }

  free(instance: string): number {
    const running = this.running.get(instance);
    return running?.state === 'live' ? running.slots - running.busy - running.kept : 0;
  }

  // ── decides ──

  lookWithin(ms: number): void {
    if (this.#looks) return;
    this.#looks = true;
    this.#market.clock.after(ms * this.#market.random.next(), () => {
      this.#looks = false;
      this.look();
    });
  }

  look(): void {
    if (!this.here) return;
    const { now, random } = this.#market;
    for (const [what, { until }] of this.#cooling) if (until <= now) this.#cooling.delete(what);
    for (const action of this.#policy(this.#world(), random)) {
      if (action.do === 'claim') this.#claim(action);
      else if (action.do === 'stop') this.#giveUp(action);
    }
  }

  #world(): World {
    const { now, offers, random } = this.#market;
    return {
      agent: this.id,
      inventory: this.#inventory,
      running: [...this.running.values()].map((r) => ({
        ...r,
        chute: r.chute.id,
        version: r.chute.version,
        name: r.chute.model.name,
        runtime: 'docker',
        memoryMb: 0,
        diskGb: 0,
      })),
      offers,
      wishes: {
        allow: { accounts: [], code: [], all: false },
        engines: [],
        maxInstances: 64,
        pin: [],
        forbid: [],
        maintenance: false,
        minUsdPerHour: 0,
        usdPerKwh: 0.15,
      },
      claiming: this.#claiming,
      cooling: this.#cooling,
      cached: this.#cached,
      switches: this.#switches,
      idleSince: this.#idleSince,
      now,
      jitter: random.next(),
    };
  }

  #claim(claim: Claim): void {
    const { clock } = this.#market;
    this.#claiming.set(claim.chute, claim);
    if (this.running.size === 0) this.hungrySince ??= clock.now;
    clock.after(claim.afterMs, () => {
      this.#claiming.delete(claim.chute);
      const chute = this.#chutes.get(claim.chute);
      if (!this.here || chute === undefined) return;
      const answer = chute.claim(this.facts);
      if (answer.kind === 'grant') this.#start(chute, answer.instance, claim);
      else {
        this.#cooling.set(needOf(claim), { until: clock.now + coolingMs(0, answer.retryAfterMs), code: 'taken' });
        this.lookWithin(LOOK_MS);
      }
    });
  }

  #giveUp({ instance, counted }: Stop): void {
    const { now, tally } = this.#market;
    const running = this.running.get(instance);
    if (running === undefined) return;
    tally.switches++;
    for (const id of counted) this.#switches.set(id, [...(this.#switches.get(id) ?? []), now].slice(-PARAMETERS.switches));
    this.#cooling.set(startOf({ chute: running.chute.id, version: running.chute.version }), {
      until: now + PARAMETERS.givenUpMs,
      code: 'taken',
    });
    this.stop(instance);
    this.lookWithin(100);
  }

  // ── runs ──

  #start(chute: ChuteNode, instance: string, { devices, expectedNanoUsdHour }: Claim): void {
    const { clock, tally, random } = this.#market;
    if ([...this.running.values()].some((r) => r.devices.some((id) => devices.includes(id)))) tally.doubles++;
    const key = startOf({ chute: chute.id, version: chute.version });
    const cached = this.#cached.has(key);
    const running: Running = {
      miner: this,
      chute,
      instance,
      devices,
      slots: chute.model.config.concurrency,
      expected: expectedNanoUsdHour,
      granted: clock.now,
      cached,
      state: 'starting',
      busy: 0,
      kept: 0,
      since: clock.now,
      lastCallAt: null,
    };
    this.running.set(instance, running);
    this.#fed();
    tally.starts++;
    const ms = startTime(chute.model.config, cached, random);
    chute.report(running, 'starting');
    clock.after(ms, () => {
      if (!this.has(running) || running.state !== 'starting') return;
      running.state = 'live';
      running.since = clock.now;
      this.#cached.delete(key);
      this.#cached.add(key);
      for (const oldest of this.#cached) if (this.#cached.size > KEPT) this.#cached.delete(oldest);
      chute.report(running, 'live');
    });
  }

  #fed(): void {
    const { now, tally } = this.#market;
    if (this.hungrySince !== null) tally.starvedMs = Math.max(tally.starvedMs, now - this.hungrySince);
    this.hungrySince = null;
    this.#idleSince = null;
  }

  busy(running: Running, by: number): void {
    running.busy += by;
    if (by < 0) running.lastCallAt = this.#market.now;
  }

  /** With notice: calls that run are finished. */
  stop(instance: string): void {
    const running = this.running.get(instance);
    if (running === undefined || running.state === 'draining') return;
    running.state = 'draining';
    if (running.busy + running.kept > 0) running.chute.report(running, 'draining');
    this.quiet(running);
  }

  /** A draining instance ends with its last call. */
  quiet(running: Running): void {
    if (running.state !== 'draining' || running.busy + running.kept > 0 || !this.has(running)) return;
    this.running.delete(running.instance);
    running.chute.report(running, 'stopped');
    if (this.running.size === 0) this.#idleSince = this.#market.now;
    this.lookWithin(1_000);
  }

  // ── comes and goes ──

  leave(): void {
    this.here = false;
    this.hungrySince = null;
    const chutes = new Set([...this.running.values()].map((r) => r.chute));
    this.running.clear();
    this.#claiming.clear();
    for (const chute of chutes) chute.gone(this);
  }

  join(): void {
    this.here = true;
    this.#idleSince = this.#market.now;
    this.lookWithin(1_000);
  }
}
