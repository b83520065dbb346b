/**
 * The config file: which API to use, and for each API origin a key, a hotkey file and a handle. It holds a secret, so it is
 * written with mode 0600, whole or not at all.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify, TomlError } from 'smol-toml';
import * as z from 'zod/mini';
import { usage } from './failure.ts';

const profileSchema = z.looseObject({
  key: z.optional(z.string()),
  hotkey: z.optional(z.string()),
  handle: z.optional(z.string()),
});
export type Profile = z.infer<typeof profileSchema>;

const configSchema = z.looseObject({
  api: z.optional(z.string()),
  profiles: z._default(z.record(z.string(), profileSchema), {}),
});
export type ConfigFile = z.infer<typeof configSchema>;

/** `$XDG_CONFIG_HOME/ripcord/config.toml`, else `~/.config/ripcord/config.toml`. */
export function defaultConfigPath(env: Record<string, string | undefined>): string {
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'), 'ripcord', 'config.toml');
}

/** The file, or an empty config where there is none. `open`: other users of the machine can read it. */
export async function readConfigFile(file: string): Promise<{ config: ConfigFile; open: boolean }> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT') return { config: { profiles: {} }, open: false };
    throw usage('config_unreadable', `The config file ${file} cannot be read (${code}).`);
  }
  const parsed = configSchema.safeParse(toml(text, file));
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') ?? '';
    throw usage('config_invalid', `The config file ${file} is not valid at ${where}.`, {
      hint: 'Mend it, or move it away and run ripcord register.',
    });
  }
  const { mode } = await stat(file);
  return { config: parsed.data, open: process.platform !== 'win32' && (mode & 0o077) !== 0 };
}

/** Changes one profile and writes the file. Other profiles and fields stay as they are. */
export async function saveProfile(file: string, origin: string, change: Profile): Promise<void> {
  const { config } = await readConfigFile(file);
  const profiles = { ...config.profiles, [origin]: { ...config.profiles[origin], ...change } };
  const next = { ...config, api: config.api ?? origin, profiles };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const part = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(part, `# Written by ripcord. Holds secrets: keep it to yourself.\n${stringify(next)}\n`, { mode: 0o600, flag: 'wx' });
  await chmod(part, 0o600);
  await rename(part, file);
}

function toml(text: string, file: string): unknown {
  try {
    return parse(text, { unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    // The parser's message quotes the line, which may be the one with the key.
    const line = error instanceof TomlError ? `:${error.line}` : '';
    throw usage('config_invalid', `The config file ${file}${line} is not TOML.`);
  }
}
