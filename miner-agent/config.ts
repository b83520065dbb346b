/**
 * The agent's config in three steps kept apart: `readConfig` gathers what flags and file say, `checkConfig` applies
 * defaults and rules, and the hotkey's secret is loaded elsewhere, so that a config can be printed.
 */
import { readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import * as z from 'zod/mini';
import { firstIssue } from '#protocol';
import type { Allow } from './allow.ts';

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
  allow: Allow;
  engines: Engine[];
  maxInstances: number;
  /** Milliseconds that calls may run on after a signal to end. */
  drainMs: number;
  /** MiB of memory one program may have; 0 for no limit. */
  memoryMb: number;
}

/** Wrong use; the message names the flag or field. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const text = z.string().check(z.minLength(1), z.maxLength(1024));
const rawSchema = z.strictObject({
  api: z.optional(text),
  hotkey: z.optional(text),
  name: z.optional(text),
  data: z.optional(text),
  region: z.optional(z.string().check(z.regex(/^[A-Za-z0-9_-]{1,32}$/))),
  max_instances: z.optional(z.number().check(z.int(), z.gte(1), z.lte(256))),
  drain_seconds: z.optional(z.number().check(z.gte(0), z.lte(3600))),
  memory_mb: z.optional(z.number().check(z.int(), z.gte(0))),
  allow: z.optional(
    z.strictObject({
      accounts: z.optional(z.array(text)),
      code: z.optional(z.array(z.string().check(z.regex(/^[0-9a-f]{64}$/)))),
      all: z.optional(z.boolean()),
    }),
  ),
  engines: z.optional(
    z
      .array(z.strictObject({ chute: text, url: text, slots: z.optional(z.number().check(z.int(), z.gte(1), z.lte(256))) }))
      .check(z.maxLength(64)),
  ),
});
export type RawConfig = z.infer<typeof rawSchema>;

/** Flags as the command line gives them; lists add to what the file says, single values replace it. */
export interface Flags {
  api?: string;
  hotkey?: string;
  name?: string;
  data?: string;
  region?: string;
  maxInstances?: string;
  drain?: string;
  memoryMb?: string;
  allowAccount?: string[];
  allowCode?: string[];
  allowAll?: boolean;
  url?: string[];
  config?: string;
}

export function readConfig(flags: Flags): RawConfig {
  const file = flags.config === undefined ? {} : readFile(flags.config);
  const given = {
    ...file,
    ...present({ api: flags.api, hotkey: flags.hotkey, name: flags.name, data: flags.data, region: flags.region }),
    ...present({
      max_instances: numberOf('--max-instances', flags.maxInstances),
      drain_seconds: numberOf('--drain', flags.drain),
      memory_mb: numberOf('--memory-mb', flags.memoryMb),
    }),
    allow: {
      accounts: [...(file.allow?.accounts ?? []), ...(flags.allowAccount ?? [])],
      code: [...(file.allow?.code ?? []), ...(flags.allowCode ?? [])],
      all: flags.allowAll ?? file.allow?.all ?? false,
    },
    engines: [...(file.engines ?? []), ...(flags.url ?? []).map(engineOf)],
  };
  return validated(given, 'config');
}

export function checkConfig(raw: RawConfig): Config {
  if (raw.api === undefined) throw new ConfigError('--api is missing: the address of the edge, for example --api http://127.0.0.1:8787');
  if (raw.hotkey === undefined)
    throw new ConfigError(
      '--hotkey is missing: a Bittensor hotkey file, for example --hotkey ~/.bittensor/wallets/default/hotkeys/default',
    );
  const name = raw.name ?? slug(hostname());
  if (!/^[a-z0-9-]{1,40}$/.test(name)) throw new ConfigError(`--name must be 1 to 40 of a-z, 0-9 and -, not ${JSON.stringify(name)}`);
  return {
    api: originOf(raw.api),
    hotkeyFile: path(raw.hotkey),
    name,
    dataFolder: path(raw.data ?? join(homedir(), '.ripcord', 'miner', name)),
    region: raw.region ?? 'unknown',
    allow: { accounts: raw.allow?.accounts ?? [], code: raw.allow?.code ?? [], all: raw.allow?.all ?? false },
    engines: (raw.engines ?? []).map((e) => ({ chute: chuteName(e.chute), url: httpUrl('--url', e.url), slots: e.slots ?? null })),
    maxInstances: raw.max_instances ?? 4,
    drainMs: (raw.drain_seconds ?? 30) * 1000,
    memoryMb: raw.memory_mb ?? 0,
  };
}

function readFile(file: string): RawConfig {
  let value: unknown;
  try {
    value = parseToml(readFileSync(path(file), 'utf8'));
  } catch (error) {
    throw new ConfigError(`${file}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'unreadable'}`);
  }
  return validated(value, file);
}

function validated(value: unknown, where: string): RawConfig {
  const parsed = rawSchema.safeParse(value);
  if (!parsed.success) throw new ConfigError(`${where}: ${firstIssue(parsed.error)}`);
  return parsed.data;
}

function engineOf(flag: string): { chute: string; url: string } {
  const at = flag.indexOf('=');
  if (at < 1)
    throw new ConfigError(`--url wants owner/name=URL, for example --url demo/chat=http://127.0.0.1:8000, not ${JSON.stringify(flag)}`);
  return { chute: flag.slice(0, at), url: flag.slice(at + 1) };
}

function chuteName(chute: string): string {
  if (!/^[a-z0-9]+\/[a-z0-9-]+$/.test(chute)) throw new ConfigError(`an engine's chute must be owner/name, not ${JSON.stringify(chute)}`);
  return chute;
}

function originOf(api: string): string {
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

function slug(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return name === '' ? 'miner' : name;
}

function path(value: string): string {
  return resolve(value.startsWith('~/') ? join(homedir(), value.slice(2)) : value);
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
