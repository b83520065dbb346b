/** Looks at the market, asks the strategy, sends claims and gives up instances, and remembers what did not work. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { IdleMessage, Inventory, RefusalCode, WhyCode } from '#protocol';
import type { Config } from './config.ts';
import type { AgentEvent } from './display.ts';
import { Market } from './market.ts';
import { failureOf, type Outbound } from './net/outbound.ts';
import { UNHEALTHY } from './runtimes/health.ts';
import { choose, coolingMs } from './strategy/choose.ts';
import { idleOf } from './strategy/idle.ts';
import { PARAMETERS } from './strategy/parameters.ts';
import { listed, needOf, startOf } from './strategy/world.ts';
import type { Action, Claim, Running, Stop, Wishes, World } from './strategy/world.ts';

export interface FollowerOptions {
  config: Config;
  outbound: Outbound;
  inventory: Inventory;
  /** This agent's id; empty before the edge told it. */
  agent: () => string;
  wishes: () => Wishes;
  running: () => Running[];
  connected: () => boolean;
  claim: (ref: string, chute: string, version: string) => void;
  stop: (instance: string) => void;
  /** Tells the edge why there is no more work here. */
  say: (message: IdleMessage) => void;
  tell: (event: AgentEvent) => void;
}

/** What a granted claim was made for. */
export type Granted = Pick<Claim, 'devices' | 'expectedNanoUsdHour'>;

const LOOK_MS = 2_000;
const LOOK_IDLE_MS = 1_000;
const LOOK_OFFLINE_MS = 50;
/** A claim without an answer is forgotten after this. */
const CLAIM_MS = 30_000;
/** Least time between two words about idleness. */
const SAY_MS = 5_000;
/** Versions whose failed starts are counted, and versions remembered as having run here. */
const FAILURES = 1_000;
const CACHED = 1_000;
/** Reasons remembered, so that each is told once. */
const TOLD = 1_000;

/** What a refusal means for the operator. */
const WHY_OF: Record<RefusalCode, WhyCode> = {
  no_need: 'taken',
  taken: 'taken',
  not_yet: 'taken',
  stale_version: 'taken',
  cooling_down: 'start_failed',
  not_eligible: 'gpu_kind',
  unknown_chute: 'no_demand',
  unpaid: 'no_demand',
  others_first: 'others_first',
};

export class MarketFollower {
  readonly #options: FollowerOptions;
  readonly #market: Market;
  readonly #claims = new Map<string, Claim & { need: string; at: number }>();
  readonly #cooling = new Map<string, { until: number; code: WhyCode }>();
  /** By `startOf`: starts that failed one after the other, and what the last one came to. */
  readonly #failures = new Map<string, { count: number; code: WhyCode }>();
  readonly #cached = new Set<string>();
  readonly #switches = new Map<string, number[]>();
  readonly #told = new Map<string, string>();
  #idleSince: number | null = null;
  #said = { text: '', at: 0 };
  #claimCount = 0;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#market = new Market(options.config.api, options.outbound);
  }

  /** Returns once the signal is aborted. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const connected = this.#options.connected();
      if (connected) await this.#look(signal);
      const idle = this.#options.running().length === 0;
      const wait = connected ? (idle ? LOOK_IDLE_MS : LOOK_MS) * (0.8 + 0.4 * Math.random()) : LOOK_OFFLINE_MS;
      await sleep(wait, undefined, { signal }).catch(() => {});
    }
  }

  /** What the strategy sees now; what it would do is `choose` of it. */
  world(now: number): World {
    const { agent, inventory, wishes, running } = this.#options;
    const runs = running();
    this.#idleSince = runs.length > 0 ? null : (this.#idleSince ?? now);
    return {
      agent: agent(),
      inventory,
      running: runs,
      offers: this.#market.offers,
      wishes: wishes(),
      claiming: new Map([...this.#claims.values()].map((c) => [c.chute, c])),
      cooling: this.#cooling,
      cached: this.#cached,
      switches: this.#switches,
      idleSince: this.#idleSince,
      now,
      jitter: Math.random(),
    };
  }

  /** What this grant was claimed for; null: nobody here knows of the claim any more. */
  granted(ref: string): Granted | null {
    const claim = this.#claims.get(ref);
    this.#claims.delete(ref);
    return claim ?? null;
  }

  refused(ref: string, code: RefusalCode, retryAfterMs: number, now: number): void {
    const claim = this.#claims.get(ref);
    this.#claims.delete(ref);
    if (claim === undefined) return;
    this.#cool(claim.need, WHY_OF[code], coolingMs(0, retryAfterMs), now);
    this.#options.tell({ event: 'refusal', chute: claim.name, reason: code });
  }

  failed(instance: { chute: string; version: string; detail: string }, now: number): void {
    const start = startOf(instance);
    const count = (this.#failures.get(start)?.count ?? 0) + 1;
    if (this.#failures.size >= FAILURES) this.#failures.clear();
    const code = instance.detail.startsWith(UNHEALTHY) ? 'engine_unhealthy' : 'start_failed';
    this.#failures.set(start, { count, code });
    this.#cool(start, code, coolingMs(count, 0), now);
  }

  /** Of what is on the board: whose last start here failed, whether it is held back now or tried again. */
  failing(): { code: WhyCode; name: string }[] {
    return this.#market.offers.flatMap((offer) => {
      const failed = this.#failures.get(startOf(offer));
      return failed === undefined ? [] : [{ code: failed.code, name: offer.name }];
    });
  }

  lives(instance: { chute: string; version: string }): void {
    const start = startOf(instance);
    this.#failures.delete(start);
    if (this.#cached.size >= CACHED) this.#cached.clear();
    this.#cached.add(start);
  }

  /** Claims die with the connection they were sent on; what was said of idleness is said again on the next. */
  forgetClaims(): void {
    this.#claims.clear();
    this.#said = { text: '', at: 0 };
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      await this.#market.refresh(signal);
    } catch (error) {
      if (!signal.aborted) this.#tellOnce('market', failureOf(error), (detail) => ({ event: 'market', detail }));
      return;
    }
    if (signal.aborted || !this.#options.connected()) return;
    const now = Date.now();
    this.#forget(now);
    const world = this.world(now);
    const actions = choose(world);
    for (const action of actions) this.#follow(action, world, signal);
    this.#say(idleOf(actions, world), now);
  }

  #forget(now: number): void {
    for (const [ref, claim] of this.#claims) if (now - claim.at > claim.afterMs + CLAIM_MS) this.#claims.delete(ref);
    for (const [what, { until }] of this.#cooling) if (until <= now) this.#cooling.delete(what);
    for (const [id, times] of this.#switches) if (times.every((at) => now - at >= PARAMETERS.dayMs)) this.#switches.delete(id);
  }

  #follow(action: Action, world: World, signal: AbortSignal): void {
    switch (action.do) {
      case 'claim':
        return this.#claim(action, signal, world.now);
      case 'stop':
        return this.#giveUp(action, world);
      case 'skip':
        // Waiting times differ at every look; they are one reason.
        if (action.code !== 'claiming')
          this.#tellOnce(action.name, action.reason, (reason) => ({ event: 'skip', chute: action.name, reason }));
    }
  }

  #claim(claim: Claim, signal: AbortSignal, now: number): void {
    const ref = `c${++this.#claimCount}`;
    this.#claims.set(ref, { ...claim, need: needOf(claim), at: now });
    this.#told.delete(claim.name);
    setTimeout(() => {
      if (signal.aborted || !this.#claims.has(ref)) return;
      // The operator may have changed their mind since.
      const { maintenance, forbid } = this.#options.wishes();
      if (maintenance || listed(forbid, claim.name)) return void this.#claims.delete(ref);
      this.#options.tell({ event: 'claim', chute: claim.name, reason: claim.reason });
      this.#options.claim(ref, claim.chute, claim.version);
    }, claim.afterMs);
  }

  #giveUp(stop: Stop, { running, now }: World): void {
    const gone = running.find((r) => r.instance === stop.instance);
    if (gone === undefined) return;
    this.#options.tell({ event: 'skip', chute: gone.name, reason: stop.reason });
    for (const id of stop.counted) this.#switches.set(id, [...(this.#switches.get(id) ?? []), now].slice(-PARAMETERS.switches));
    this.#cool(startOf(gone), 'taken', PARAMETERS.givenUpMs, now);
    this.#options.stop(stop.instance);
  }

  #cool(what: string, code: WhyCode, ms: number, now: number): void {
    this.#cooling.set(what, { until: now + ms, code });
  }

  #say(message: IdleMessage, now: number): void {
    const text = JSON.stringify(message);
    if (text === this.#said.text || now - this.#said.at < SAY_MS) return;
    this.#said = { text, at: now };
    this.#options.say(message);
  }

  #tellOnce(about: string, reason: string, event: (reason: string) => AgentEvent): void {
    const kind = reason.replace(/\d+ s$/, '');
    if (this.#told.get(about) === kind) return;
    if (this.#told.size > TOLD) this.#told.clear();
    this.#told.set(about, kind);
    this.#options.tell(event(reason));
  }
}
