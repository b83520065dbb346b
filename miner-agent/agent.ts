/**
 * One agent, read from top to bottom: take the data folder, end what a crash left, connect, and from then on follow the
 * market, redeem grants, serve calls; at a signal drain and leave. Everything it decides is in `strategy/`, everything
 * about the wire in `connection/core.ts`.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLOSE, LIMITS } from '#protocol';
import type { Down, Grant, IdleMessage, InstanceReport, Inventory, LogLine, Secrets } from '#protocol';
import { CodeFetch } from './code-fetch.ts';
import type { Config } from './config.ts';
import { Driver } from './connection/driver.ts';
import type { Notice } from './connection/driver.ts';
import { Troubles } from './connection/troubles.ts';
import { Desk, type DeskPort } from './control/desk.ts';
import { ControlServer } from './control/server.ts';
import type { AgentEvent } from './display.ts';
import type { Hotkey } from './identity/hotkey.ts';
import { secretsOf } from './identity/secrets.ts';
import { makeSessionKeys } from './identity/session.ts';
import { Instances } from './instances.ts';
import type { Instance, InstancesPort, Plan } from './instances.ts';
import { AGENT_VERSION, SILENT_ENGINE, takeInventory } from './inventory.ts';
import { diskFreeMb } from './inventory/disk.ts';
import { LogShipper } from './log-shipper.ts';
import { Outbound } from './net/outbound.ts';
import { MarketFollower } from './market-follower.ts';
import type { Granted } from './market-follower.ts';
import { planOf } from './plan.ts';
import { choose } from './strategy/choose.ts';
import { idleOf } from './strategy/idle.ts';
import { judgeOffers } from './strategy/offers.ts';
import { wishesOf } from './strategy/wishes.ts';
import type { Running } from './strategy/world.ts';
import { BlobStore } from './runtimes/blob-store.ts';
import { containersOf } from './runtimes/container/containers.ts';
import type { Containers } from './runtimes/container/containers.ts';
import { engineSockets, probeEngine } from './runtimes/container/probe.ts';
import { PidNotes, releaseFolder } from './runtimes/leftovers.ts';
import { Possession, type Holding } from './possession/possession.ts';
import { Challenges } from './prover/challenges.ts';
import { Provers } from './prover/provers.ts';
import { Uploads } from './prover/upload.ts';
import { removeFolder } from './runtimes/remove-folder.ts';
import { takeOver } from './take-over.ts';

/** The service will not have this agent, or the data folder is another's. */
export class AgentRefused extends Error {
  override readonly name = 'AgentRefused';
}

/** Milliseconds between two shipments of log lines. */
const LOGS_MS = 500;
/** Milliseconds the edge may take to acknowledge the last replies before the agent leaves. */
const LAST_ACKS_MS = 2_000;
const IDLE_POLL_MS = 20;
/** Chutes named per reason; the wire takes no more. */
const NAMED = 5;
/** Milliseconds between two looks at how much disk is free. */
const DISK_MS = 60_000;

export interface AgentOptions {
  config: Config;
  hotkey: Hotkey;
  tell: (event: AgentEvent) => void;
  /** Aborted: drain, then leave. */
  signal: AbortSignal;
  /** Gets the desk once there is one, for a view of what goes on. */
  desk?: (desk: Desk) => void;
  /** What proves its devices; those that come with the agent where nothing is said. */
  provers?: Provers;
}

/** Runs until the signal. Throws `AgentRefused`. */
export async function runAgent({ config, hotkey, tell, signal, desk, provers = new Provers() }: AgentOptions): Promise<void> {
  const work = join(config.dataFolder, 'work');
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const waits = (detail: string) => tell({ event: 'notice', detail });
  const refusal = await takeOver({ dataFolder: config.dataFolder, waits, signal });
  if (refusal !== null) throw new AgentRefused(refusal);
  const notes = new PidNotes(config.dataFolder);
  for (const instance of notes.reap()) tell({ event: 'reaped', instance });
  removeFolder(work);
  mkdirSync(work, { recursive: true, mode: 0o700 });
  // However the process ends, no program of it stays behind.
  const onExit = () => void notes.reap();
  process.once('exit', onExit);
  try {
    const { region, dataFolder, engines } = config;
    const facts = await probeEngine(config.engineSocket);
    const silent = facts === null && engineSockets(config.engineSocket).some(existsSync);
    const engine = facts === null ? null : `${facts.name} ${facts.version}`;
    const taken = await takeInventory({ region, dataFolder, hasEngines: engines.length > 0, engine });
    const inventory = silent ? { ...taken, engine: SILENT_ENGINE } : taken;
    const containers = facts === null ? null : containersOf(config, `${hotkey.ss58}/${config.name}`, facts, inventory.toolkit ?? null);
    for (const instance of (await containers?.reap()) ?? []) tell({ event: 'reaped', instance });
    const agent = new Agent(config, hotkey, tell, notes, work, inventory, containers, provers);
    desk?.(agent.desk);
    await agent.run(signal);
  } finally {
    process.off('exit', onExit);
    releaseFolder(config.dataFolder);
  }
}

class Agent implements InstancesPort {
  readonly desk: Desk;
  readonly #config: Config;
  readonly #inventory: Inventory;
  readonly #tell: (event: AgentEvent) => void;
  readonly #notes: PidNotes;
  readonly #containers: Containers | null;
  readonly #keys = makeSessionKeys();
  readonly #driver: Driver;
  readonly #instances: Instances;
  readonly #fetcher: CodeFetch;
  readonly #market: MarketFollower;
  readonly #logs = new LogShipper();
  readonly #provers: Provers;
  readonly #possession: Possession;
  readonly #challenges: Challenges;
  readonly #ending = new AbortController();
  readonly #troubles = new Troubles();
  /** The edge asked for the reconnect that comes. */
  #goaway = false;
  #refusedBy: string | null = null;
  /** Milliseconds that calls may run on at the end. */
  #drainMs: number;
  /** Unix milliseconds after which no call is waited for. */
  #leaveBy = Number.POSITIVE_INFINITY;
  #onDrained: () => void = () => {};

  constructor(
    config: Config,
    hotkey: Hotkey,
    tell: (event: AgentEvent) => void,
    notes: PidNotes,
    work: string,
    inventory: Inventory,
    containers: Containers | null,
    provers: Provers,
  ) {
    const outbound = new Outbound(config.proxy);
    this.#provers = provers;
    this.#config = config;
    this.#inventory = inventory;
    this.#drainMs = config.drainMs;
    this.desk = new Desk({ hotkey: hotkey.ss58, config, inventory, agent: this.#deskPort(), now: Date.now });
    this.#tell = (event) => {
      this.desk.hear(event);
      tell(event);
    };
    this.#notes = notes;
    this.#containers = containers;
    this.#driver = new Driver({
      api: config.api,
      hotkey,
      name: config.name,
      keys: this.#keys,
      inventory,
      outbound,
      endpointOf: (instance) => this.#instances.endpointOf(instance),
      notice: (notice) => this.#notice(notice),
    });
    this.#instances = new Instances(work, this, (grant, granted) => this.#plan(grant, granted));
    this.#fetcher = new CodeFetch(new BlobStore(join(config.dataFolder, 'blobs')), (event) => this.#driver.dispatch(event));
    this.#possession = new Possession(config.weightsFolder);
    this.#challenges = new Challenges({
      hotkey: hotkey.ss58,
      devices: () => inventory.devices,
      provers: this.#provers,
      possession: this.#possession,
      uploads: new Uploads(config.api, outbound),
      sign: this.#keys.sign,
      say: (message) => this.#driver.dispatch({ type: 'say', message }),
      tell: this.#tell,
    });
    this.#market = new MarketFollower({
      config,
      outbound,
      inventory,
      agent: () => this.#driver.agent,
      wishes: () => ({ ...wishesOf(config), ...this.desk.wishes() }),
      running: () => this.#running(),
      connected: () => this.#driver.core.ready,
      claim: (ref, chute, version) => this.#driver.dispatch({ type: 'say', message: { type: 'claim', ref, chute, version } }),
      // Its calls are finished, however long they may take.
      stop: (instance) => void this.#instances.stop(instance, 'given_up', LIMITS.callMs),
      say: (message) => {
        if (this.#driver.version >= 2) this.#driver.dispatch({ type: 'say', message: this.#troubled(message) });
      },
      tell: this.#tell,
    });
    this.#tell({ event: 'start', hotkey: hotkey.ss58, name: config.name, api: config.api });
  }

  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#ending.abort(), { once: true });
    if (signal.aborted) this.#ending.abort();
    const control = await this.#openControl();
    this.#driver.start();
    const timers = [setInterval(() => this.#shipLogs(), LOGS_MS), setInterval(() => this.#lookAtDisk(), DISK_MS)];
    await this.#market.follow(this.#ending.signal);
    await this.#leave();
    for (const timer of timers) clearInterval(timer);
    this.#challenges.lost();
    await this.#provers.stop();
    this.#driver.stop();
    control?.close();
    if (this.#refusedBy !== null) throw new AgentRefused(this.#refusedBy);
    this.#tell({ event: 'left' });
  }

  /** No new calls; what runs may end; programs stop; the last replies are acknowledged; then the socket closes. */
  async #leave(): Promise<void> {
    const drainMs = this.#drainMs;
    this.#leaveBy = Date.now() + (this.#refusedBy === null ? drainMs : 0);
    const running = this.#instances.list();
    this.#tell({ event: 'drain', instances: running.length, withinMs: drainMs });
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
    this.#driver.dispatch({ type: 'drain', withinMs: drainMs });
    await Promise.all(running.map((instance) => this.#instances.stop(instance.id, 'agent_ends', this.#refusedBy === null ? drainMs : 0)));
    this.#shipLogs();
    if (this.#driver.core.ready) await Promise.race([drained, sleep(LAST_ACKS_MS, undefined, { ref: false })]);
    this.#driver.dispatch({ type: 'leave' });
  }

  // ── What the operator says ──────────────────────────────────────────────────────────────────────────────────────

  /** An agent that nobody on this machine can ask serves all the same. */
  async #openControl(): Promise<ControlServer | null> {
    try {
      const control = new ControlServer(this.#config.dataFolder, this.desk);
      await control.listen();
      return control;
    } catch (error) {
      this.#tell({ event: 'control', detail: error instanceof Error ? error.message : 'unknown error' });
      return null;
    }
  }

  #deskPort(): DeskPort {
    return {
      id: () => this.#driver.agent,
      instances: () => this.#instances.list(),
      busy: (instance) => this.#driver.core.calls.slots.runningOn(instance),
      idle: () => {
        const world = this.#market.world(Date.now());
        return this.#troubled(idleOf(choose(world), world));
      },
      offers: () => judgeOffers(this.#market.world(Date.now())),
      leaving: () => this.#ending.signal.aborted,
      leave: (withinMs) => {
        this.#drainMs = withinMs ?? this.#drainMs;
        this.#ending.abort();
      },
    };
  }

  /** What is wrong with the connection comes first; a start that failed is told while it is tried again, too. */
  #troubled(message: IdleMessage): IdleMessage {
    const told = new Set(message.reasons.map((reason) => reason.code));
    const failing = this.#market.failing().filter(({ code }) => !told.has(code));
    const more = [...Map.groupBy(failing, (f) => f.code)].map(([code, of]) => ({
      code,
      count: of.length,
      chutes: of.map((f) => f.name).slice(0, NAMED),
    }));
    return { ...message, reasons: [...this.#troubles.reasons(Date.now()), ...message.reasons, ...more] };
  }

  /** The next hello carries it, and the strategy sees it at once. */
  #lookAtDisk(): void {
    const free = diskFreeMb(this.#config.dataFolder);
    if (free !== null) this.#inventory.diskFreeMb = free;
  }

  // ── What the wire says ──────────────────────────────────────────────────────────────────────────────────────────

  #notice(notice: Notice): void {
    switch (notice.type) {
      case 'heard':
        return this.#heard(notice.message);
      case 'blob':
        return this.#fetcher.bytes(notice.instance, notice.bytes);
      case 'blob-end':
        return this.#fetcher.end(notice.instance);
      case 'blob-failed':
        return this.#fetcher.failed(notice.instance, notice.message);
      case 'served': {
        const { type: _, ...served } = notice;
        this.#instances.served(served.instance, Date.now());
        return this.#tell({ event: 'served', ...served });
      }
      case 'link':
        if (notice.state === 'down') {
          this.#challenges.lost();
          this.#market.forgetClaims();
          this.#troubles.lost(this.#goaway || this.#ending.signal.aborted, Date.now());
          this.#goaway = false;
        }
        return this.#tell({ event: 'link', state: notice.state, detail: notice.detail });
      case 'drained':
        return this.#onDrained();
      case 'over':
        return this.#giveUp(
          notice.code === CLOSE.superseded
            ? 'a newer agent with this hotkey and name took over; give each machine its own --name'
            : 'the edge speaks no protocol of this agent; update ripcord-miner',
        );
      case 'refused':
        return this.#giveUp(notice.message);
    }
  }

  #heard(message: Down): void {
    switch (message.type) {
      case 'welcome':
        this.#tell({ event: 'link', state: 'up', detail: this.#config.api });
        for (const detail of this.#troubles.welcomed(message, AGENT_VERSION, Date.now())) this.#tell({ event: 'notice', detail });
        return;
      case 'grant':
        void this.#instances.start(message, this.#market.granted(message.ref), Date.now());
        return;
      case 'refusal':
        return this.#market.refused(message.ref, message.code, message.retryAfterMs, Date.now());
      case 'stop':
        void this.#instances.stop(message.instance, message.reason, message.noticeMs);
        return;
      case 'goaway':
        this.#goaway = true;
        return;
      case 'challenge':
        void this.#challenges.challenge(message);
        return;
      case 'sample':
        void this.#challenges.sample(message);
        return;
      case 'ping':
        return;
    }
  }

  #giveUp(why: string): void {
    this.#refusedBy = why;
    this.#ending.abort();
  }

  #plan(grant: Grant, granted: Granted | null): Plan {
    return planOf(grant, granted, {
      config: this.#config,
      inventory: this.#inventory,
      running: this.#instances.list(),
      containers: this.#containers,
      notes: this.#notes,
      leaving: this.#ending.signal.aborted,
    });
  }

  /** Every instance with what the strategy looks at. */
  #running(): Running[] {
    const { slots } = this.#driver.core.calls;
    return this.#instances.list().map((instance) => ({ ...instance, instance: instance.id, busy: slots.runningOn(instance.id) }));
  }

  #shipLogs(): void {
    if (!this.#driver.core.ready) return;
    for (const message of this.#logs.take()) this.#driver.dispatch({ type: 'say', message });
  }

  // ── What instances ask for ──────────────────────────────────────────────────────────────────────────────────────

  report(report: InstanceReport): void {
    this.#driver.dispatch({ type: 'report', report });
    if (report.state === 'failed') this.#market.failed(report, Date.now());
    if (report.state === 'live') this.#market.lives(report);
  }

  slots(instance: string, slots: number | null): void {
    this.#driver.dispatch({ type: 'slots', instance, slots });
  }

  abandon(instance: string): void {
    this.#driver.dispatch({ type: 'abandon', instance });
    this.#possession.forget(instance);
    this.#shipLogs();
    this.#logs.forget(instance);
  }

  async idle(instance: string, limitMs: number): Promise<void> {
    const end = Date.now() + limitMs;
    while (this.#driver.core.calls.slots.runningOn(instance) > 0 && Date.now() < Math.min(end, this.#leaveBy)) await sleep(IDLE_POLL_MS);
  }

  log(instance: string, line: LogLine): void {
    this.#logs.add(instance, line);
    this.#tell({ event: 'log', instance, source: line.source, text: line.text });
  }

  secrets(grant: Grant): Promise<Secrets> {
    return secretsOf(grant, this.#driver.agent, this.#keys);
  }

  code(grant: Grant, signal: AbortSignal, progress: (detail: string) => void): Promise<string> {
    return this.#fetcher.fetch(grant, signal, progress);
  }

  possess(holding: Holding, signal: AbortSignal, progress: (detail: string) => void): Promise<string | null> {
    return this.#possession.take(holding, signal, progress);
  }

  changed(instance: Instance): void {
    this.#tell({ event: 'instance', ...instance });
  }
}
