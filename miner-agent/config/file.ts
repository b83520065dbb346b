/** What a miner.toml may hold, and how a wrong one is told: the field, and the name that was probably meant. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import * as z from 'zod/mini';
import { firstIssue } from '#protocol';
import { nearest } from '../../cli/chute-toml/nearest.ts';

/** Wrong use; the message names the flag or field. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const text = z.string().check(z.minLength(1), z.maxLength(1024));
const usd = z.number().check(z.gte(0), z.lte(1000));
/** `owner/name`, or `owner` for all of theirs. */
const chutes = z.array(z.string().check(z.regex(/^[a-z0-9]+(\/[a-z0-9-]+)?$/))).check(z.maxLength(256));

export const rawSchema = z.strictObject({
  api: z.optional(text),
  hotkey: z.optional(text),
  name: z.optional(text),
  data: z.optional(text),
  region: z.optional(z.string().check(z.regex(/^[A-Za-z0-9_-]{1,32}$/))),
  proxy: z.optional(text),
  max_instances: z.optional(z.number().check(z.int(), z.gte(1), z.lte(256))),
  drain_seconds: z.optional(z.number().check(z.gte(0), z.lte(3600))),
  memory_mb: z.optional(z.number().check(z.int(), z.gte(0))),
  maintenance: z.optional(z.boolean()),
  pin: z.optional(chutes),
  forbid: z.optional(chutes),
  usd_per_kwh: z.optional(usd),
  min_usd_per_hour: z.optional(usd),
  engine_socket: z.optional(text),
  runtime: z.optional(z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/))),
  cache: z.optional(text),
  weights: z.optional(text),
  forbid_hosts: z.optional(z.array(z.string().check(z.regex(/^(\*\.)?[a-z0-9.-]{1,250}$/))).check(z.maxLength(256))),
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

const FIELDS = [...Object.keys(rawSchema.shape), 'accounts', 'code', 'all', 'chute', 'url', 'slots'];

/** Where commands look for a config file that nobody named. */
export function defaultFile(): string {
  return join(homedir(), '.ripcord', 'miner.toml');
}

/** The file that was named, or the one at the default place if there is one. `false`: none. */
export function readNamed(file: string | false | undefined): RawConfig {
  if (file === false) return {};
  if (file !== undefined) return readFile(file);
  return existsSync(defaultFile()) ? readFile(defaultFile()) : {};
}

export function validated(value: unknown, where: string): RawConfig {
  const parsed = rawSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const [key = ''] = issue.keys;
    const near = nearest(key, FIELDS);
    throw new ConfigError(`${where}: there is no field ${key}${near === null ? '' : `; did you mean ${near}?`}`);
  }
  throw new ConfigError(`${where}: ${firstIssue(parsed.error)}`);
}

/** As people write paths: `~/` is their home. */
export function pathOf(value: string): string {
  return resolve(value.startsWith('~/') ? join(homedir(), value.slice(2)) : value);
}

function readFile(file: string): RawConfig {
  let value: unknown;
  try {
    value = parseToml(readFileSync(pathOf(file), 'utf8'));
  } catch (error) {
    throw new ConfigError(`${file}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'unreadable'}`);
  }
  return validated(value, file);
}
