/**
 * The operator's desk inside a running agent: it hears what the agent tells, keeps what `status` and `logs` show, and
 * hands wishes on. It decides nothing about instances itself.
 */
import type { IdleMessage, Inventory } from '#protocol';
import type { AgentEvent } from '../display.ts';
import type { Instance } from '../instances.ts';
import { AGENT_VERSION } from '../inventory.ts';
import type { Judged } from '../strategy/offers.ts';
import { LogRings } from './log-rings.ts';
import type { ControlPort } from './server.ts';
import type { Status, StatusInstance } from './status.ts';
import { Tally } from './tally.ts';
import { mergeWishes, readWishes, writeWishes } from './wishes.ts';
import type { KeptWishes } from './wishes.ts';

/** What the desk asks of the agent. */
export interface DeskPort {
  /** Its id at the edge; empty before the first connection. */
  id(): string;
  instances(): Instance[];
  /** Calls running on an instance. */
  busy(instance: string): number;
  /** Why no more is taken, as of the last look at the market. */
  idle(): Pick<IdleMessage, 'offers' | 'reasons'>;
  offers(): Judged[];
  leaving(): boolean;
  /** Null: within the configured time. */
  leave(withinMs: number | null): void;
}

export interface DeskAsk {
  hotkey: string;
  config: { name: string; api: string; dataFolder: string; drainMs: number } & Readonly<{
    pin: readonly string[];
    forbid: readonly string[];
    maintenance: boolean;
  }>;
  inventory: Inventory;
  agent: DeskPort;
  now: () => number;
}

export class Desk implements ControlPort {
  readonly logs = new LogRings();
  readonly #ask: DeskAsk;
  readonly #tally = new Tally();
  readonly #startedAt: number;
  #link: Status['link'];
  #kept: KeptWishes;

  /** Throws `ConfigError` if the kept wishes cannot be read. */
  constructor(ask: DeskAsk) {
    this.#ask = ask;
    this.#startedAt = ask.now();
    this.#link = { state: 'dialling', detail: ask.config.api, since: this.#startedAt };
    this.#kept = readWishes(ask.config.dataFolder);
  }

  /** Config and kept ones together. */
  wishes(): KeptWishes {
    return mergeWishes(this.#ask.config, this.#kept);
  }

  hear(event: AgentEvent): void {
    if (event.event === 'link') {
      const since = event.state === this.#link.state ? this.#link.since : this.#ask.now();
      this.#link = { state: event.state, detail: event.detail, since };
    }
    if (event.event === 'served') this.#tally.add(event);
    if (event.event === 'log') this.logs.add(event.instance, { at: this.#ask.now(), source: event.source, text: event.text });
    if (event.event !== 'instance') return;
    this.logs.name(event.id, event.name);
    if (event.state === 'failed' || event.state === 'stopped') this.#tally.forget(event.id);
  }

  status(): Status {
    const { config, hotkey, inventory, agent, now } = this.#ask;
    const { name, api, dataFolder } = config;
    return {
      at: now(),
      started_at: this.#startedAt,
      ...(agent.id() === '' ? {} : { agent: agent.id() }),
      pid: process.pid,
      version: AGENT_VERSION,
      hotkey,
      name,
      api,
      data: dataFolder,
      link: this.#link,
      draining: agent.leaving(),
      ...this.wishes(),
      inventory,
      instances: agent.instances().map((instance) => this.#instance(instance)),
      served: this.#tally.all(),
      ...agent.idle(),
    };
  }

  drain(withinMs: number | null): { instances: number; within_ms: number } {
    const { agent, config } = this.#ask;
    agent.leave(withinMs);
    return { instances: agent.instances().length, within_ms: withinMs ?? config.drainMs };
  }

  maintenance(on: boolean): KeptWishes {
    this.#kept = { ...readWishes(this.#ask.config.dataFolder), maintenance: on };
    writeWishes(this.#ask.config.dataFolder, this.#kept);
    return this.wishes();
  }

  reloadWishes(): KeptWishes {
    this.#kept = readWishes(this.#ask.config.dataFolder);
    return this.wishes();
  }

  offers(): Judged[] {
    return this.#ask.agent.offers();
  }

  #instance({ id, name, version, runtime, state, detail, devices, slots, since, expected }: Instance): StatusInstance {
    return {
      instance: id,
      name,
      version,
      runtime,
      state,
      detail,
      devices: [...devices],
      slots,
      busy: this.#ask.agent.busy(id),
      ...this.#tally.of(id),
      since,
      expected_usd_hour: expected === 0 ? null : expected / 1e9,
    };
  }
}
