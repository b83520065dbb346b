/** Looks at the market, asks the strategy, sends claims, and remembers what did not work. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Inventory, RefusalCode } from '#protocol';
import type { Config } from './config.ts';
import type { AgentEvent } from './display.ts';
import { Market } from './market.ts';
import { choose, coolingMs, needOf, startOf } from './strategy.ts';
import type { Choice, Running } from './strategy.ts';

export interface FollowerOptions {
  config: Config;
  inventory: Inventory;
  running: () => Running[];
  connected: () => boolean;
  claim: (ref: string, chute: string, version: string) => void;
  tell: (event: AgentEvent) => void;
}

const LOOK_MS = 2_000;
const LOOK_IDLE_MS = 1_000;
const LOOK_OFFLINE_MS = 50;
/** A claim without an answer is forgotten after this. */
const CLAIM_MS = 30_000;
/** Versions whose failed starts are counted. */
const FAILURES = 1_000;
/** Reasons remembered, so that each is told once. */
const TOLD = 1_000;

export class MarketFollower {
  readonly #options: FollowerOptions;
  readonly #market: Market;
  readonly #claims = new Map<string, { chute: string; name: string; need: string; at: number }>();
  readonly #cooling = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #told = new Map<string, string>();
  #claimCount = 0;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#market = new Market(options.config.api);
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

  granted(ref: string): void {
    this.#claims.delete(ref);
  }

  refused(ref: string, code: RefusalCode, retryAfterMs: number, now: number): void {
    const claim = this.#claims.get(ref);
    this.#claims.delete(ref);
    if (claim === undefined) return;
    this.#cool(claim.need, 0, retryAfterMs, now);
    this.#options.tell({ event: 'refusal', chute: claim.name, reason: code });
  }

  failed(instance: { chute: string; version: string }, now: number): void {
    const start = startOf(instance);
    const failures = (this.#failures.get(start) ?? 0) + 1;
    if (this.#failures.size >= FAILURES) this.#failures.clear();
    this.#failures.set(start, failures);
    this.#cool(start, failures, 0, now);
  }

  lives(instance: { chute: string; version: string }): void {
    this.#failures.delete(startOf(instance));
  }

  /** Claims die with the connection they were sent on. */
  forgetClaims(): void {
    this.#claims.clear();
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      await this.#market.refresh(signal);
    } catch (error) {
      if (!signal.aborted)
        this.#tellOnce('market', error instanceof Error ? error.message : 'unreachable', (detail) => ({ event: 'market', detail }));
      return;
    }
    if (signal.aborted || !this.#options.connected()) return;
    const now = Date.now();
    for (const [ref, claim] of this.#claims) if (now - claim.at > CLAIM_MS) this.#claims.delete(ref);
    for (const [what, until] of this.#cooling) if (until <= now) this.#cooling.delete(what);
    for (const choice of this.#choose(now)) this.#follow(choice, signal, now);
  }

  #choose(now: number): Choice[] {
    const { config, inventory, running } = this.#options;
    return choose(
      this.#market.offers,
      { allow: config.allow, engines: config.engines.map((e) => e.chute), maxInstances: config.maxInstances },
      {
        inventory,
        running: running(),
        claiming: new Set([...this.#claims.values()].map((c) => c.chute)),
        cooling: this.#cooling,
        now,
        jitter: Math.random(),
      },
    );
  }

  #follow(choice: Choice, signal: AbortSignal, now: number): void {
    const { chute, name, version } = choice;
    if (!choice.take) {
      // Waiting times differ at every look; they are one reason.
      if (choice.reason !== 'a claim is under way')
        this.#tellOnce(name, choice.reason, (reason) => ({ event: 'skip', chute: name, reason }));
      return;
    }
    const ref = `c${++this.#claimCount}`;
    this.#claims.set(ref, { chute, name, need: needOf(choice), at: now });
    this.#told.delete(name);
    setTimeout(() => {
      if (signal.aborted || !this.#claims.has(ref)) return;
      this.#options.tell({ event: 'claim', chute: name, reason: choice.reason });
      this.#options.claim(ref, chute, version);
    }, choice.afterMs);
  }

  #cool(what: string, failures: number, retryAfterMs: number, now: number): void {
    this.#cooling.set(what, now + coolingMs(failures, retryAfterMs));
  }

  #tellOnce(about: string, reason: string, event: (reason: string) => AgentEvent): void {
    const kind = reason.replace(/\d+ s$/, '');
    if (this.#told.get(about) === kind) return;
    if (this.#told.size > TOLD) this.#told.clear();
    this.#told.set(about, kind);
    this.#options.tell(event(reason));
  }
}
