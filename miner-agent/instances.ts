/** The instances of this agent, each from grant to stop. A conductor: runtimes do the work, the wire hears what comes of it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Device, Grant, InstanceReport, InstanceState, LogLine, Secrets, StopReason } from '#protocol';
import { adapted } from './adapters/adapted.ts';
import type { Granted } from './market-follower.ts';
import type { Holding } from './possession/possession.ts';
import type { Endpoint } from './runtimes/endpoint.ts';
import { codeFolder } from './runtimes/process.ts';
import { removeFolder } from './runtimes/remove-folder.ts';
import { StartFailed } from './runtimes/runtime.ts';
import type { Runtime, RuntimeContext } from './runtimes/runtime.ts';

export interface Instance {
  readonly id: string;
  readonly chute: string;
  readonly name: string;
  readonly version: string;
  readonly runtime: 'process' | 'url' | 'docker';
  /** Ids of the devices it has. */
  readonly devices: readonly string[];
  /** Nano-USD an hour it was expected to earn when it was taken. */
  readonly expected: number;
  /** MiB of RAM and GB of disk, as its config says; 0: it says nothing. */
  readonly memoryMb: number;
  readonly diskGb: number;
  readonly slots: number;
  state: InstanceState;
  detail: string;
  /** Unix milliseconds: of its state; when its last call ended. */
  since: number;
  lastCallAt: number | null;
}

/** What instances ask of the rest of the agent. */
export interface InstancesPort {
  report(report: InstanceReport): void;
  slots(instance: string, slots: number | null): void;
  /** The instance's program is gone: its calls fail. */
  abandon(instance: string): void;
  /** Resolves once no call of it runs, or after the limit. */
  idle(instance: string, limitMs: number): Promise<void>;
  log(instance: string, line: LogLine): void;
  code(grant: Grant, signal: AbortSignal, progress: (detail: string) => void): Promise<string>;
  /** Makes sure that it has the files its version names, and tells where its weights lie. Throws `StartFailed`. */
  possess(holding: Holding, signal: AbortSignal, progress: (detail: string) => void): Promise<string | null>;
  /** What the grant carries for this agent alone. Throws `StartFailed`. */
  secrets(grant: Grant): Promise<Secrets>;
  changed(instance: Instance): void;
}

/** How a grant would be run. */
export interface Way {
  runtime: 'process' | 'url' | 'docker';
  slots: number;
  make: (context: RuntimeContext) => Runtime;
}

/** How and on what. Made before anything starts, throws `StartFailed` if it may not be. */
export interface Plan extends Way {
  devices: readonly Device[];
  /** Nano-USD an hour. */
  expected: number;
}

interface Entry {
  instance: Instance;
  runtime: Runtime | null;
  aborter: AbortController;
  /** Set once it is on its way out; resolves when nothing of it runs. */
  leaving: Promise<void> | null;
}

/** Milliseconds between two reports of a start without news; keeps the grant from being voided. */
const HEARTBEAT_MS = 3_000;
const INSTANCE_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** Milliseconds a program has between being told to end and being ended. */
const TERM_MS = 5_000;

export class Instances {
  readonly #entries = new Map<string, Entry>();
  readonly #folder: string;
  readonly #port: InstancesPort;
  readonly #plan: (grant: Grant, granted: Granted | null) => Plan;

  constructor(folder: string, port: InstancesPort, plan: (grant: Grant, granted: Granted | null) => Plan) {
    this.#folder = folder;
    this.#port = port;
    this.#plan = plan;
  }

  list(): Instance[] {
    return [...this.#entries.values()].map((e) => e.instance);
  }

  endpointOf(instance: string): Endpoint | null {
    return this.#entries.get(instance)?.runtime?.endpoint() ?? null;
  }

  /** Redeems a grant; a second one of the same instance only gets the state again. */
  async start(grant: Grant, granted: Granted | null, now: number): Promise<void> {
    const known = this.#entries.get(grant.instance);
    if (known !== undefined) return this.#tell(known, known.instance.state, known.instance.detail);
    let plan: Plan;
    try {
      // It names a folder here.
      if (!INSTANCE_ID.test(grant.instance)) throw new StartFailed('the id of the instance is not one');
      plan = this.#plan(grant, granted);
    } catch (error) {
      return this.#refuse(grant, messageOf(error));
    }
    const entry = this.#enter(grant, plan, now);
    this.#tell(entry, 'starting', 'granted');
    const heartbeat = setInterval(() => this.#tell(entry, entry.instance.state, entry.instance.detail), HEARTBEAT_MS);
    try {
      await this.#bringUp(entry, grant, plan);
    } catch (error) {
      if (entry.leaving === null) await this.#leave(entry, 'failed', messageOf(error), 0);
    } finally {
      clearInterval(heartbeat);
    }
  }

  /** A call on it has ended. */
  served(instance: string, now: number): void {
    const entry = this.#entries.get(instance);
    if (entry !== undefined) entry.instance.lastCallAt = now;
  }

  /** Stops one instance with notice. Resolves when nothing of it runs. */
  async stop(instance: string, reason: StopReason | 'agent_ends' | 'given_up', noticeMs: number): Promise<void> {
    const entry = this.#entries.get(instance);
    if (entry === undefined) return;
    await (entry.leaving ?? this.#leave(entry, 'stopped', reason, noticeMs));
  }

  async #bringUp(entry: Entry, grant: Grant, plan: Plan): Promise<void> {
    const folder = join(this.#folder, entry.instance.id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const signal = entry.aborter.signal;
    const progress = (detail: string) => this.#tell(entry, entry.instance.state, detail, true);
    const secrets = await this.#port.secrets(grant);
    signal.throwIfAborted();
    // An engine that runs already answers as its chute says.
    const make = plan.runtime === 'url' ? plan.make : adapted(plan.make);
    let weights: string | null = null;
    const runtime = make({
      instance: entry.instance.id,
      spec: grant.spec,
      devices: plan.devices,
      secrets,
      forwards: [],
      folder,
      signal,
      code: () => this.#port.code(grant, signal, progress),
      weights: () => weights,
      progress,
      log: (source, text) => this.#port.log(entry.instance.id, { at: Date.now(), source, text }),
      ended: (detail) => {
        entry.leaving ??= this.#leave(entry, 'failed', detail, 0);
      },
    });
    entry.runtime = runtime;
    await runtime.prepare();
    signal.throwIfAborted();
    const archive = () => this.#port.code(grant, signal, () => {});
    const code = plan.runtime === 'process' && grant.spec.code !== null ? codeFolder(folder) : null;
    weights = await this.#port.possess({ instance: entry.instance.id, spec: grant.spec, codeFolder: code, archive }, signal, progress);
    for (const step of ['start', 'ready'] as const) {
      await runtime[step]();
      signal.throwIfAborted();
    }
    this.#port.slots(entry.instance.id, plan.slots);
    this.#tell(entry, 'live', `${plan.slots} slots`);
  }

  #enter(grant: Grant, plan: Plan, now: number): Entry {
    const { spec } = grant;
    const entry: Entry = {
      instance: {
        id: grant.instance,
        chute: spec.chute,
        name: spec.name,
        version: spec.version,
        runtime: plan.runtime,
        devices: plan.devices.map((device) => device.id),
        expected: plan.expected,
        memoryMb: spec.config.memory_mb ?? 0,
        diskGb: spec.config.disk_gb ?? 0,
        slots: plan.slots,
        state: 'starting',
        detail: '',
        since: now,
        lastCallAt: null,
      },
      runtime: null,
      aborter: new AbortController(),
      leaving: null,
    };
    this.#entries.set(grant.instance, entry);
    return entry;
  }

  /** Takes it out of service, ends it, removes what it had. The one way out of every instance. */
  #leave(entry: Entry, state: 'failed' | 'stopped', detail: string, noticeMs: number): Promise<void> {
    const { id } = entry.instance;
    const work = async () => {
      this.#port.slots(id, null);
      const served = entry.instance.state === 'live';
      if (state === 'stopped' && served) {
        this.#tell(entry, 'draining', detail);
        await this.#port.idle(id, noticeMs);
      }
      entry.aborter.abort(new StartFailed(detail));
      await entry.runtime?.stop(state === 'failed' ? 0 : TERM_MS);
      this.#port.abandon(id);
      // What stays goes at the agent's next start.
      removeFolder(join(this.#folder, id));
      this.#tell(entry, state, detail);
      this.#entries.delete(id);
    };
    entry.leaving ??= work();
    return entry.leaving;
  }

  #refuse(grant: Grant, detail: string): void {
    this.#port.log(grant.instance, { at: Date.now(), source: 'agent', text: detail });
    this.#port.abandon(grant.instance);
    this.#port.report({
      instance: grant.instance,
      chute: grant.spec.chute,
      version: grant.spec.version,
      state: 'failed',
      detail: cut(detail),
    });
  }

  #tell(entry: Entry, state: InstanceState, detail: string, onlyNews = false): void {
    const { instance } = entry;
    if (onlyNews && instance.state === state && instance.detail === detail) return;
    if (instance.state !== state) instance.since = Date.now();
    instance.state = state;
    instance.detail = detail;
    const { id, chute, version, devices } = instance;
    this.#port.report({ instance: id, chute, version, state, detail: cut(detail), devices: [...devices] });
    this.#port.changed(instance);
  }
}

function cut(detail: string): string {
  return detail.slice(0, 500);
}

function messageOf(error: unknown): string {
  if (error instanceof StartFailed) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : 'unknown error';
}
