/** One run of a command: the options all commands have, the profile of the API they talk to, and where the results go. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { KeyfileError, loadHotkey, type Hotkey } from '../miner-agent/identity/hotkey.ts';
import { Client } from './client.ts';
import { defaultConfigPath, readConfigFile, type Profile } from './config-file.ts';
import { usage } from './failure.ts';
import { paint, write, type Io } from './io.ts';

export const DEFAULT_API = 'http://127.0.0.1:8787';

export interface Session {
  io: Io;
  /** `--json`: results are JSON on stdout, and nothing but a failure is said on stderr. */
  json: boolean;
  client: Client;
  /** The config file, absolute. */
  configPath: string;
  profile: Profile;
  hotkey: Hotkey | null;
  /** The secret key in use, from RIPCORD_API_KEY or the config file. */
  key: string | null;
  /** A line of progress for people. */
  note: (text: string) => Promise<void>;
  /** The result: the object with `--json`, the text without. */
  result: (value: unknown, text: string) => Promise<void>;
}

/** `key`: calls take nothing else. `any`: a key, or the hotkey of the profile. */
export type Needs = 'key' | 'any' | 'nothing';

export async function openSession(io: Io, command: Command, needs: Needs, hotkeyFile?: string): Promise<Session> {
  const options: { api?: string; config?: string; json?: boolean } = command.optsWithGlobals();
  const json = options.json === true;
  const configPath = resolve(io.cwd, options.config ?? defaultConfigPath(io.env));
  const { config, open } = await readConfigFile(configPath);
  const api = options.api ?? (io.env['RIPCORD_API'] || (config.api ?? DEFAULT_API));
  const origin = new Client({ api }).origin;
  const profile = config.profiles[origin] ?? {};
  const key = io.env['RIPCORD_API_KEY'] || profile.key || null;
  const file = hotkeyFile ?? profile.hotkey;
  const hotkey =
    file !== undefined && (hotkeyFile !== undefined || (key === null && needs === 'any')) ? readHotkey(resolve(io.cwd, file)) : null;
  if (needs === 'key' && key === null) throw noKey(origin);
  if (needs === 'any' && key === null && hotkey === null) throw noKey(origin);
  const note = (text: string) => (json ? Promise.resolve() : write(io, io.err, `${text}\n`));
  if (open) await note(paint(io, io.err, 'yellow', `${configPath} holds a key and other users can read it; run: chmod 600 ${configPath}`));
  if (key !== null && isExposed(origin))
    await note(paint(io, io.err, 'yellow', `The key goes to ${origin} without encryption; use https.`));
  return {
    io,
    json,
    client: new Client({ api, signal: io.signal, ...(key === null ? {} : { key }), ...(hotkey === null ? {} : { hotkey }) }),
    configPath,
    profile,
    hotkey,
    key,
    note,
    result: (value, text) => write(io, io.out, json ? `${JSON.stringify(value)}\n` : text === '' ? '' : `${text}\n`),
  };
}

/** Reads a hotkey file; a `Failure` (wrong use) says what is wrong with it. */
export function readHotkey(file: string): Hotkey {
  try {
    return loadHotkey(file);
  } catch (error) {
    if (error instanceof KeyfileError) throw usage('invalid_hotkey', `${error.message}.`.replace(/\.\.$/, '.'));
    throw error;
  }
}

/** `owner/name` or an id as the API takes it; a bare name is one of the caller's own. */
export async function chuteName(session: Session, name: string): Promise<string> {
  if (/^cht_\w+$/.test(name)) return name;
  if (!/^([a-z0-9]{3,24}\/)?[a-z0-9][a-z0-9-]{0,39}$/.test(name)) {
    throw usage('invalid_name', `${name} is not the name of a chute.`, {
      hint: 'It is owner/name as demo/chat, a name of your own, or an id that starts with cht_.',
    });
  }
  if (name.includes('/')) return name;
  // A key of the environment may be another account's than the profile's.
  const own = session.key === null || session.key === session.profile.key ? session.profile.handle : undefined;
  const handle = own ?? (await session.client.me()).handle;
  if (handle === null || handle === undefined) throw usage('invalid_name', `Whose chute is ${name}? Give it as owner/name.`);
  return `${handle}/${name}`;
}

function noKey(origin: string) {
  return usage('no_key', `There is no key for ${origin}.`, { hint: 'Run ripcord register HANDLE, or set RIPCORD_API_KEY.' });
}

function isExposed(origin: string): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|.+\.localhost)$/.test(hostname);
}
