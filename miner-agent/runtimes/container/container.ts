/**
 * Runtime `docker`: an image that nobody here trusts, in a container of Docker Engine or Podman. Two containers per instance:
 * the relay holds an empty network namespace, the chute's joins it. `settings.ts` says what a container may do.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WHY } from '#protocol';
import type { Endpoint } from '../endpoint.ts';
import { untilHealthy } from '../health.ts';
import { LineSplitter } from '../log-lines.ts';
import { StartFailed } from '../runtime.ts';
import type { Forward, Runtime, RuntimeContext } from '../runtime.ts';
import { sizeOf } from './cache.ts';
import type { Containers } from './containers.ts';
import { EGRESS_DEFAULTS, Egress } from './egress.ts';
import { EngineError } from './engine.ts';
import type { EngineFacts } from './probe.ts';
import { FrameReader } from './frames.ts';
import { bringImage } from './pull.ts';
import type { Brought } from './pull.ts';
import { startRelay } from './relay.ts';
import type { Relay } from './relay.ts';
import type { ContainerState } from './replies.ts';
import { chuteContainer } from './settings.ts';

/** Milliseconds. */
export const WATCH_TIMES = {
  /** Between two looks at a container that runs; at an engine that failed to answer; at how much disk was filled. */
  lookMs: 15_000,
  againMs: 500,
  diskMs: 15_000,
  /** The output of a program that ended may still come. */
  outputMs: 1_000,
};

/** Failed looks in a row after which the engine counts as gone. */
const MISSES = 5;
/** Times a log stream that broke is taken up again. */
const LOG_TRIES = 8;

export function containerRuntime(host: Containers, context: RuntimeContext): Runtime {
  const { engine, options } = host;
  const { lookMs, againMs, diskMs, outputMs } = options.watchTimes;
  const { config } = context.spec;
  const names = { chute: `ripcord-${context.instance}`, relay: `ripcord-${context.instance}-relay` };
  const gone = new AbortController();
  const signal = AbortSignal.any([context.signal, gone.signal]);
  /** Output is followed for longer than the rest: what a program says at its end is what people look for. */
  const quiet = new AbortController();
  const egress = new Egress({
    ...EGRESS_DEFAULTS,
    ...options.egress,
    hosts: config.egress ?? [],
    forbidden: options.forbiddenHosts,
    refused: (why) => context.log('agent', why),
  });
  let image: Brought = { name: '', volumes: [] };
  let cache = '';
  let relay: Relay | null = null;
  let endpoint: Endpoint | null = null;
  let exit: string | null = null;
  let working: Promise<void> = Promise.resolve();
  let stopping: Promise<void> | null = null;
  let output: Promise<void> = Promise.resolve();
  let lastLine = '';

  async function prepare(): Promise<void> {
    const { gpu } = config;
    if (gpu !== undefined && context.devices.filter((d) => d.kind === 'gpu').length < gpu.count) throw new StartFailed(WHY.gpu_busy.text);
    if (gpu !== undefined && !host.toolkitIsSafe) throw new StartFailed(`${WHY.toolkit_unsafe.text}; ${WHY.toolkit_unsafe.next}`);
    if (gpu !== undefined && !givesGpus(options.facts))
      throw new StartFailed(`Podman ${options.facts.version} gives containers no GPUs by this way; 5.4 or newer does`);
    const { memoryMb } = host.limitsOf(config);
    if (memoryMb > options.facts.memoryMb)
      throw new StartFailed(`${WHY.memory_short.text}: ${memoryMb} MiB of ${options.facts.memoryMb} MiB`);
    await host.removeLeft();
    cache = await host.takeCache(context.instance, context.spec.account);
    await host.makeRoom(host.limitsOf(config).diskGb * 1e9);
    image = await bringImage(host, context, signal);
  }

  async function start(): Promise<void> {
    relay = await startRelay({
      engine,
      image: await host.relayImage(),
      name: names.relay,
      labels: host.labels(context.instance, 'relay'),
      folder: join(context.folder, 's'),
      port: config.port ?? 0,
      forwards: forwards(),
      user: host.ownUser,
      own: host.own,
      signal,
    });
    endpoint = { url: new URL(`http://127.0.0.1:${config.port ?? 0}`), socketPath: relay.socketPath };
    const id = await engine.create(
      names.chute,
      chuteContainer({
        spec: context.spec,
        image: image.name,
        volumes: image.volumes,
        env: context.secrets.env,
        network: relay.id,
        cache,
        weights: context.weights(),
        gpus: context.devices.filter((d) => d.kind === 'gpu').map((d) => d.id),
        engine: options.facts.name,
        proxyPort: options.proxyPort,
        labels: host.labels(context.instance, 'chute'),
        limits: host.limitsOf(config),
      }),
    );
    signal.throwIfAborted();
    await engine.start(id);
    output = follow(id);
    void watch(id, (state) => howItEnded(state));
    void watch(relay.id, () => 'the relay of the instance ended');
    void watchDisk();
  }

  function forwards(): Forward[] {
    const proxy = { port: options.proxyPort, accept: egress.accept.bind(egress) };
    return (config.egress ?? []).length > 0 ? [...context.forwards, proxy] : [...context.forwards];
  }

  async function ready(): Promise<void> {
    try {
      if (endpoint === null) throw new StartFailed('it was not started');
      await untilHealthy(endpoint, config.health, config.start_timeout * 1000, signal, context.progress);
    } catch (error) {
      throw exit === null ? error : new StartFailed(exit);
    }
  }

  /** From the first byte on, through restarts of the engine. */
  async function follow(id: string): Promise<void> {
    const lines = { out: splitter('out'), err: splitter('err') };
    let since = 0;
    for (let tries = 0; tries < LOG_TRIES && !quiet.signal.aborted; tries++) {
      try {
        const frames = new FrameReader((source, bytes) => lines[source].write(bytes));
        for await (const chunk of await engine.logs(id, since, quiet.signal)) if (Buffer.isBuffer(chunk)) frames.write(chunk);
        if (!(await engine.state(id)).running) break;
      } catch {
        // What is wrong with the engine, the watch tells.
      }
      if (signal.aborted || quiet.signal.aborted) break;
      context.log('agent', 'the container engine cut the output; lines may be missing');
      since = Math.floor(Date.now() / 1000);
      await sleep(againMs, undefined, { signal: quiet.signal }).catch(() => {});
    }
    lines.out.end();
    lines.err.end();
  }

  function splitter(source: 'out' | 'err'): LineSplitter {
    return new LineSplitter((text) => {
      if (text.trim() !== '') lastLine = text;
      context.log(source, text);
    });
  }

  /** Tells when a container ended, was taken away, or its engine was. */
  async function watch(id: string, how: (state: ContainerState) => Promise<string> | string): Promise<void> {
    for (let misses = 0; !signal.aborted;) {
      try {
        await engine.wait(id, lookMs, signal);
        const state = await engine.state(id);
        misses = 0;
        if (!state.running) return ended(await how(state));
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof EngineError && error.status === 404) return ended('its container was removed from outside');
        if (++misses >= MISSES) return ended(`the container engine failed: ${messageOf(error)}`);
        await sleep(againMs * misses, undefined, { signal }).catch(() => {});
      }
    }
  }

  async function howItEnded(state: ContainerState): Promise<string> {
    await Promise.race([output, sleep(outputMs)]);
    const limit = `limit ${host.limitsOf(config).memoryMb} MiB`;
    // Podman does not always notice: who is killed and was not told to end, most often took too much memory.
    const why = state.outOfMemory
      ? `out of memory (${limit}), `
      : state.exitCode === 137
        ? `killed, perhaps out of memory (${limit}), `
        : '';
    return [`${why}exit code ${state.exitCode}`, state.error, lastLine.slice(0, 300)].filter((part) => part !== '').join(': ');
  }

  /** An engine does not bound what a container writes to the cache, so the agent looks. */
  async function watchDisk(): Promise<void> {
    const { diskGb } = host.limitsOf(config);
    const before = await sizeOf(cache);
    while (!signal.aborted) {
      if ((await sizeOf(cache)) - before > diskGb * 1e9) return ended(`it filled more than the ${diskGb} GB of disk it may (disk_gb)`);
      await sleep(diskMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  function ended(detail: string): void {
    if (exit !== null || stopping !== null) return;
    exit = detail;
    gone.abort(new StartFailed(detail));
    context.ended(detail);
  }

  async function leave(graceMs: number): Promise<void> {
    gone.abort(new StartFailed('stopped'));
    // A container that is being made cannot be removed yet.
    await working.catch(() => {});
    if (graceMs > 0 && endpoint !== null) await engine.stop(names.chute, graceMs).catch(() => {});
    await Promise.race([output, sleep(outputMs)]);
    quiet.abort();
    for (const name of [names.chute, names.relay]) await host.removeSurely(name, (text) => context.log('agent', text));
    relay?.close();
    egress.close();
    host.dropCache(context.instance);
  }

  /** Runs one step; what the engine says becomes what the owner reads. */
  function step(work: () => Promise<void>): () => Promise<void> {
    return async () => {
      signal.throwIfAborted();
      working = work().catch((error: unknown) => {
        throw error instanceof EngineError ? new StartFailed(messageOf(error)) : error;
      });
      await working;
    };
  }

  return {
    prepare: step(prepare),
    start: step(start),
    ready,
    endpoint: () => endpoint,
    stop: (graceMs) => (stopping ??= leave(graceMs)),
  };
}

/** An older Podman leaves out the GPUs and says nothing. */
function givesGpus({ name, version }: EngineFacts): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return name === 'docker' || major > 5 || (major === 5 && minor >= 4);
}

function messageOf(error: unknown): string {
  if (!(error instanceof EngineError)) return error instanceof Error ? error.message : 'unknown';
  const hint = error.message.includes('container-init') ? ' (install catatonit, which Podman starts containers with)' : '';
  return error.status === null ? error.message : `the container engine says: ${error.message}${hint}`;
}
