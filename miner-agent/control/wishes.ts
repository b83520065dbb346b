/** What the operator wished by `pin`, `forbid` and `maintenance`: `wishes.json` in the data folder, so that it outlives the agent. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { ConfigError } from '../config/file.ts';

/** `owner/name`, or `owner` for all of theirs. */
export const CHUTE = /^[a-z0-9]{1,64}(\/[a-z0-9-]{1,64})?$/;

const names = z.array(z.string().check(z.regex(CHUTE))).check(z.maxLength(256));
export const keptWishesSchema = z.strictObject({ pin: names, forbid: names, maintenance: z.boolean() });
export type KeptWishes = z.infer<typeof keptWishesSchema>;

export const NO_WISHES: KeptWishes = { pin: [], forbid: [], maintenance: false };

/** Throws `ConfigError` if the file is there and is none. */
export function readWishes(dataFolder: string): KeptWishes {
  const file = fileOf(dataFolder);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return NO_WISHES;
    throw new ConfigError(`cannot read ${file}`);
  }
  const parsed = z.safeParse(keptWishesSchema, jsonOf(text));
  if (!parsed.success) throw new ConfigError(`${file} holds something else than wishes; remove it, and pin, forbid or pause again`);
  return parsed.data;
}

/** Whole or not at all, whatever ends the process meanwhile. */
export function writeWishes(dataFolder: string, wishes: KeptWishes): void {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  const aside = `${fileOf(dataFolder)}.${process.pid}`;
  writeFileSync(aside, `${JSON.stringify(wishes)}\n`, { mode: 0o600 });
  renameSync(aside, fileOf(dataFolder));
}

/** What the config says and what was wished since. */
export function mergeWishes(
  config: KeptWishes | Readonly<{ pin: readonly string[]; forbid: readonly string[]; maintenance: boolean }>,
  kept: KeptWishes,
): KeptWishes {
  return {
    pin: [...new Set([...config.pin, ...kept.pin])],
    forbid: [...new Set([...config.forbid, ...kept.forbid])],
    maintenance: config.maintenance || kept.maintenance,
  };
}

function fileOf(dataFolder: string): string {
  return join(dataFolder, 'wishes.json');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
