/**
 * The agent's config in three steps kept apart: `readConfig` gathers what flags and file say, `checkConfig` applies
 * defaults and rules, and the hotkey's secret is loaded elsewhere, so that a config can be printed.
 */
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import type { Allow } from './allow.ts';
import { ConfigError, pathOf, readNamed, validated } from './config/file.ts';
import type { RawConfig } from './config/file.ts';
import { ProxyProblem, proxySettings, type ProxySettings } from './net/proxy.ts';

export { ConfigError };

interface Engine {
  /** `owner/name`. */
  chute: string;
  url: URL;
  /** Calls at a time; null: what the chute says. */
  slots: number | null;
}

export interface Config {
  /** The edge's origin, without a slash at the end. */
  api: string;
  hotkeyFile: string;
  name: string;
  dataFolder: string;
  region: string;
  /** HTTP proxies that lead out. */
  proxy: ProxySettings;
  allow: Allow;
  engines: Engine[];
  maxInstances: number;
  /** Milliseconds that calls may run on after a signal to end. */
  drainMs: number;
  /** MiB of memory one program may have; 0 for no limit. */
  memoryMb: number;
  /** No new instances, whatever `ripcord-miner maintenance` says. */
  maintenance: boolean;
  /** `owner/name` of chutes to prefer, and of those never to run; the commands `pin` and `forbid` add to them. */
  pin: readonly string[];
  forbid: readonly string[];
  /** USD. What power costs, and what an instance must bring per hour beyond it. */
  usdPerKwh: number;
  minUsdPerHour: number;
  /** Unix socket of the container engine; null: Docker's and Podman's usual places. */
  engineSocket: string | null;
  /** OCI runtime of containers, as the engine knows it (`runsc`); null: the engine's default. */
  runtime: string | null;
  /** Where containers keep models between starts. */
  cacheFolder: string;
  /** Where the operator keeps models that chutes want as `[weights]`; null: nowhere. */
  weightsFolder: string | null;
  /** Hosts, or all under `*.host`, that no container may connect to, whatever its chute says. */
  forbidHosts: readonly string[];
}

/** Flags as the command line gives them; lists add to what the file says, single values replace it. */
export interface Flags {
  api?: string;
  hotkey?: string;
  name?: string;
  data?: string;
  region?: string;
  proxy?: string;
  maxInstances?: string;
  drain?: string;
  memoryMb?: string;
  maintenance?: boolean;
  pin?: string[];
  forbid?: string[];
  usdPerKwh?: string;
  minUsdPerHour?: string;
  engineSocket?: string;
  runtime?: string;
  cache?: string;
  weights?: string;
  allowAccount?: string[];
  allowCode?: string[];
  allowAll?: boolean;
  url?: string[];
  /** False: not even the file at the default place. */
  config?: string | false;
}

export function readConfig(flags: Flags): RawConfig {
  const file = readNamed(flags.config);
  const { api, hotkey, name, data, region, runtime, cache, weights, maintenance } = flags;
  const given = {
    ...file,
    ...present({
      api,
      hotkey,
      name,
      data,
      region,
      runtime,
      cache,
      weights,
      maintenance,
      engine_socket: flags.engineSocket,
      proxy: flags.proxy,
    }),
    ...present({
      max_instances: numberOf('--max-instances', flags.maxInstances),
      drain_seconds: numberOf('--drain', flags.drain),
      memory_mb: numberOf('--memory-mb', flags.memoryMb),
      usd_per_kwh: numberOf('--usd-per-kwh', flags.usdPerKwh),
      min_usd_per_hour: numberOf('--min-usd-per-hour', flags.minUsdPerHour),
    }),
    pin: [...(file.pin ?? []), ...(flags.pin ?? [])],
    forbid: [...(file.forbid ?? []), ...(flags.forbid ?? [])],
    allow: {
      accounts: [...(file.allow?.accounts ?? []), ...(flags.allowAccount ?? [])],
      code: [...(file.allow?.code ?? []), ...(flags.allowCode ?? [])],
      all: flags.allowAll ?? file.allow?.all ?? false,
    },
    engines: [...(file.engines ?? []), ...(flags.url ?? []).map(engineOf)],
  };
  if (flags.proxy !== undefined && /:[^/@]*@/.test(flags.proxy))
    throw new ConfigError('--proxy must not hold a password, which other users could read; write it as proxy = "…" into the config file');
  return validated(given, 'config');
}

/** Where an agent of this config keeps its things; known without an edge or a hotkey. Throws `ConfigError`. */
export function placeOf(raw: RawConfig): { name: string; dataFolder: string } {
  const name = raw.name ?? slug(hostname());
  if (!/^[a-z0-9-]{1,40}$/.test(name)) throw new ConfigError(`--name must be 1 to 40 of a-z, 0-9 and -, not ${JSON.stringify(name)}`);
  return { name, dataFolder: pathOf(raw.data ?? join(homedir(), '.ripcord', 'miner', name)) };
}

export function checkConfig(raw: RawConfig): Config {
  if (raw.api === undefined) throw new ConfigError('--api is missing: the address of the edge, for example --api http://127.0.0.1:8787');
  if (raw.hotkey === undefined)
    throw new ConfigError(
      '--hotkey is missing: a Bittensor hotkey file, for example --hotkey ~/.bittensor/wallets/default/hotkeys/default',
    );
  const { name, dataFolder } = placeOf(raw);
  return {
    api: originOf(raw.api),
    hotkeyFile: pathOf(raw.hotkey),
    name,
    dataFolder,
    region: raw.region ?? 'unknown',
    proxy: proxies(raw),
    allow: { accounts: raw.allow?.accounts ?? [], code: raw.allow?.code ?? [], all: raw.allow?.all ?? false },
    engines: (raw.engines ?? []).map((e) => ({ chute: chuteName(e.chute), url: httpUrl('--url', e.url), slots: e.slots ?? null })),
    maxInstances: raw.max_instances ?? 4,
    drainMs: (raw.drain_seconds ?? 30) * 1000,
    memoryMb: raw.memory_mb ?? 0,
    maintenance: raw.maintenance ?? false,
    pin: raw.pin ?? [],
    forbid: raw.forbid ?? [],
    usdPerKwh: raw.usd_per_kwh ?? 0,
    minUsdPerHour: raw.min_usd_per_hour ?? 0,
    engineSocket: raw.engine_socket === undefined ? null : pathOf(raw.engine_socket.replace(/^unix:\/\//, '')),
    runtime: raw.runtime ?? null,
    cacheFolder: pathOf(raw.cache ?? join(dataFolder, 'cache')),
    weightsFolder: raw.weights === undefined ? null : pathOf(raw.weights),
    forbidHosts: raw.forbid_hosts ?? [],
  };
}

function engineOf(flag: string): { chute: string; url: string } {
  const at = flag.indexOf('=');
  if (at < 1)
    throw new ConfigError(`--url wants owner/name=URL, for example --url demo/chat=http://127.0.0.1:8000, not ${JSON.stringify(flag)}`);
  return { chute: flag.slice(0, at), url: flag.slice(at + 1) };
}

export function chuteName(chute: string, what = "an engine's chute"): string {
  if (!/^[a-z0-9]+\/[a-z0-9-]+$/.test(chute)) throw new ConfigError(`${what} must be owner/name, not ${JSON.stringify(chute)}`);
  return chute;
}

/** An address of an edge, without a slash at the end. Throws `ConfigError`. */
export function originOf(api: string): string {
  const url = httpUrl('--api', api);
  if (url.pathname !== '/' || url.search !== '') throw new ConfigError('--api must be an origin, without a path');
  return url.origin;
}

function httpUrl(flag: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new ConfigError(`${flag} must be an http or https address, not ${JSON.stringify(value)}`);
  if (url.username !== '' || url.password !== '') throw new ConfigError(`${flag} must not hold a password`);
  return url;
}

/** Of the config, else of the environment. Throws `ConfigError`. */
export function proxies(raw: RawConfig): ProxySettings {
  try {
    return proxySettings(raw.proxy ?? null, process.env);
  } catch (error) {
    if (error instanceof ProxyProblem) throw new ConfigError(error.message);
    throw error;
  }
}

function slug(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return name === '' ? 'miner' : name;
}

function numberOf(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) throw new ConfigError(`${flag} must be a number, not ${JSON.stringify(value)}`);
  return number;
}

function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const out: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const key of Object.keys(fields) as (keyof T)[]) {
    const value = fields[key];
    if (value !== undefined) out[key] = value as Exclude<T[typeof key], undefined>;
  }
  return out;
}
