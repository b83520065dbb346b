/** What the containers of one agent have in common: the engine, its limits, the images and caches, and what a crash left. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WHY } from '#protocol';
import type { ChuteConfig } from '#protocol';
import type { Config } from '../../config.ts';
import { StartFailed } from '../runtime.ts';
import type { Runtime, RuntimeContext } from '../runtime.ts';
import { ModelCache } from './cache.ts';
import { WATCH_TIMES, containerRuntime } from './container.ts';
import type { EgressRules } from './egress.ts';
import { ENGINE_TIMES, Engine } from './engine.ts';
import { ownLimits } from './own-limits.ts';
import type { EngineFacts } from './probe.ts';
import { PulledImages } from './pulled.ts';
import { relayImage } from './relay.ts';
import { PROXY_PORT } from './settings.ts';
import type { Limits } from './settings.ts';
import { empty } from './sweep.ts';
import { toolkitSafe } from './toolkit.ts';

export interface ContainersOptions {
  facts: EngineFacts;
  dataFolder: string;
  cacheFolder: string;
  /** GB that model caches may have together. */
  cacheGb: number;
  /** MiB of memory of one container whose chute does not say; 0: most of the machine's. */
  memoryMb: number;
  /** The runtime the engine is to use, `runsc` for gVisor; null: its default. */
  runtime: string | null;
  /** Hosts no container may connect to, whatever its chute says. */
  forbiddenHosts: readonly string[];
  /** Hotkey and name, for people who look at the engine. */
  agent: string;
  /** Version of the NVIDIA container toolkit; null: there is none. */
  toolkit: string | null;
  proxyPort: number;
  egress: Partial<Pick<EgressRules, 'resolve' | 'reachable' | 'ports' | 'limits'>>;
  engineTimes: typeof ENGINE_TIMES;
  watchTimes: typeof WATCH_TIMES;
  /** Bytes free where a folder lies; null where that cannot be told. */
  freeBytes: (folder: string) => Promise<number | null>;
}

export const CONTAINERS_DEFAULTS = {
  cacheGb: 200,
  memoryMb: 0,
  runtime: null,
  forbiddenHosts: [],
  toolkit: null,
  proxyPort: PROXY_PORT,
  egress: {},
  engineTimes: ENGINE_TIMES,
  watchTimes: WATCH_TIMES,
  freeBytes: async (folder: string): Promise<number | null> => {
    const stats = await statfs(folder).catch(() => null);
    return stats === null ? null : stats.bavail * stats.bsize;
  },
} satisfies Partial<ContainersOptions>;

/** GB of disk of an instance whose chute does not say. */
const DISK_GB = 10;
/** Times the engine is asked to remove a container. */
const REMOVE_TRIES = 3;

/** As an agent's config says. */
export function containersOf(config: Config, agent: string, facts: EngineFacts, toolkit: string | null): Containers {
  const { dataFolder, cacheFolder, memoryMb, runtime, forbidHosts: forbiddenHosts } = config;
  return new Containers({ ...CONTAINERS_DEFAULTS, facts, dataFolder, cacheFolder, memoryMb, runtime, forbiddenHosts, agent, toolkit });
}

export class Containers {
  readonly options: ContainersOptions;
  readonly engine: Engine;
  readonly pulled: PulledImages;
  readonly own = ownLimits();
  readonly #cache: ModelCache;
  /** Cache folders by instance. */
  readonly #inUse = new Map<string, string>();
  /** Containers that the engine did not remove; they may run, and have their GPUs. */
  readonly #left = new Set<string>();

  constructor(options: ContainersOptions) {
    this.options = options;
    this.engine = new Engine(options.facts.socket, options.engineTimes);
    this.pulled = new PulledImages(join(options.dataFolder, 'images.json'));
    this.#cache = new ModelCache(options.cacheFolder, options.cacheGb * 1e9);
  }

  runtime(context: RuntimeContext): Runtime {
    return containerRuntime(this, context);
  }

  /** Removes what an agent that crashed left on the engine; returns the instances. Never throws. */
  async reap(): Promise<string[]> {
    const left = await this.engine.withLabel(`ripcord.data=${this.options.dataFolder}`).catch(() => []);
    const instances = new Set<string>();
    // Podman removes no container whose network namespace another one has joined.
    const relaysLast = left.toSorted((a, b) => Number(a.labels['ripcord.part'] === 'relay') - Number(b.labels['ripcord.part'] === 'relay'));
    for (const { id, labels } of relaysLast) {
      await this.removeSurely(id, () => {});
      instances.add(labels['ripcord.instance'] ?? id);
    }
    return [...instances];
  }

  labels(instance: string, part: 'chute' | 'relay'): Record<string, string> {
    const { agent, dataFolder } = this.options;
    return { 'ripcord.agent': agent, 'ripcord.instance': instance, 'ripcord.part': part, 'ripcord.data': dataFolder };
  }

  limitsOf(config: ChuteConfig): Limits {
    const { facts, runtime } = this.options;
    const most = this.options.memoryMb > 0 ? this.options.memoryMb : Math.floor(facts.memoryMb * 0.8);
    const memoryMb = config.memory_mb ?? most;
    const shmMb = config.shm_mb ?? Math.max(1, Math.min(1024, Math.floor(memoryMb / 4)));
    return { memoryMb, cpus: facts.cpus, shmMb, diskGb: config.disk_gb ?? DISK_GB, own: this.own, runtime };
  }

  get toolkitIsSafe(): boolean {
    const { toolkit } = this.options;
    return toolkit !== null && toolkitSafe(toolkit);
  }

  /** The agent's user as the engine counts: without root, the engine's root is the agent's user. */
  get ownUser(): string {
    if (this.options.facts.rootless) return '0:0';
    return `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  }

  /** Looked for each time: somebody may have cleaned the engine up. */
  relayImage(): Promise<string> {
    return relayImage(this.engine);
  }

  async takeCache(instance: string, account: string): Promise<string> {
    const folder = await this.#cache.of(account);
    this.#inUse.set(instance, folder);
    await this.#cache.trim(new Set(this.#inUse.values()), (unused) => empty(this, unused));
    return folder;
  }

  dropCache(instance: string): void {
    this.#inUse.delete(instance);
  }

  /** So many bytes free for images and for the cache; old images of ours go for it. Throws `StartFailed`. */
  async makeRoom(bytes: number): Promise<void> {
    const { facts, cacheFolder, freeBytes } = this.options;
    const short = async (folder: string) => ((await freeBytes(folder)) ?? Infinity) < bytes;
    for (const name of this.pulled.oldestFirst()) {
      if (!(await short(facts.root))) break;
      // One in use stays, and stays noted.
      await this.engine.removeImage(name).then(
        () => this.pulled.forget(name),
        () => {},
      );
    }
    for (const folder of [facts.root, cacheFolder])
      if (await short(folder)) throw new StartFailed(`${WHY.disk_full.text}: ${Math.ceil(bytes / 1e9)} GB where ${folder} lies`);
  }

  async removeSurely(container: string, failed: (text: string) => void): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.engine.remove(container);
      } catch (error) {
        if (tries < REMOVE_TRIES) {
          await sleep(200 * tries);
          continue;
        }
        this.#left.add(container);
        return failed(`the container engine did not remove ${container}; nothing starts before it does (${String(error).slice(0, 200)})`);
      }
    }
  }

  /** What it did not remove before. Throws what the engine says. */
  async removeLeft(): Promise<void> {
    for (const container of this.#left) {
      await this.engine.remove(container);
      this.#left.delete(container);
    }
  }
}
