import { access, mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { HANDLE } from '#protocol';
import { createHotkeyFile } from '../../miner-agent/identity/hotkey.ts';
import { defaultConfigPath, saveProfile } from '../config-file.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';

/** What the first key may do: all a developer does. */
const SCOPES = ['invoke', 'read', 'write', 'keys'];

interface Options {
  hotkey?: string;
}

export function addRegister(program: Command, io: Io): void {
  program
    .command('register')
    .summary('make an account for a hotkey, and a first key')
    .description(
      'Makes an account for a Bittensor hotkey, and a first key for it.\nReads the hotkey file, or makes one where there is none. The key is kept in the config file (mode 0600).',
    )
    .argument('<handle>', 'your name in owner/name: 3 to 24 lower-case letters and digits')
    .option('--hotkey <file>', 'Bittensor hotkey file (else hotkey.json beside the config file)')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord register alice\n  $ ripcord register alice --hotkey ~/.bittensor/wallets/default/hotkeys/default',
    )
    .action((handle: string, options: Options, command: Command) => register(handle, options, command, io));
}

async function register(handle: string, options: Options, command: Command, io: Io): Promise<void> {
  if (!HANDLE.test(handle))
    throw usage('invalid_handle', `${handle} cannot be a handle.`, { hint: 'It is 3 to 24 lower-case letters and digits.' });
  const { file, made } = await hotkeyFile(options, command, io);
  const session = await openSession(io, command, 'nothing', file);
  if (made) await session.note(`Made a hotkey: ${file}. Keep a copy: it is the only proof that the account is yours.`);
  const account = await session.client.signUp(handle);
  const profile = { handle: account.handle ?? handle, hotkey: file };
  const old = session.profile.key !== undefined && session.profile.handle === profile.handle;
  if (old) await saveProfile(session.configPath, session.client.origin, profile);
  else {
    const key = await session.client.createKey({ name: 'ripcord', scopes: SCOPES }, { as: 'hotkey' });
    await saveProfile(session.configPath, session.client.origin, { ...profile, key: key.secret_key });
  }
  await session.result(
    { account_id: account.account_id, handle: profile.handle, hotkey: session.hotkey?.ss58, hotkey_file: file, config: session.configPath },
    `You are ${profile.handle} at ${session.client.origin}. ${old ? 'The key you had stays' : 'A key lies'} in ${session.configPath}.`,
  );
}

/** The file that was named, the one of the profile, or a new one beside the config file. */
async function hotkeyFile(options: Options, command: Command, io: Io): Promise<{ file: string; made: boolean }> {
  const { profile, configPath } = await openSession(io, command, 'nothing');
  const beside = join(dirname(configPath ?? defaultConfigPath(io.env)), 'hotkey.json');
  const file = resolve(io.cwd, options.hotkey ?? profile.hotkey ?? beside);
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) return { file, made: false };
  if (options.hotkey === undefined && profile.hotkey !== undefined) {
    throw usage('invalid_hotkey', `The hotkey file ${file} of this profile is gone.`, {
      hint: 'Bring it back, or name another by --hotkey.',
    });
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  createHotkeyFile(file);
  return { file, made: true };
}
