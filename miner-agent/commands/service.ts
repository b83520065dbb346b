/** `ripcord-miner service`: the agent as a systemd service, of this user or of the machine. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { Failure, usage } from '../../cli/failure.ts';
import { defaultFile, pathOf } from '../config/file.ts';
import { askProgram } from '../inventory/ask.ts';
import { unitText } from '../service/unit.ts';
import { result, Setting, withShared, type Cli, type Shared } from './cli.ts';

const UNIT = 'ripcord-miner.service';

interface Options {
  system?: boolean;
  print?: boolean;
}

export function addService(program: Command, cli: Cli): void {
  const service = program
    .command('service')
    .summary('run it under systemd: install, uninstall, status')
    .description(
      'Writes a systemd unit that keeps the agent running with the config that up would read. Of this user by default, without root;\n--system writes one for the machine. Nothing is enabled: the commands for it are printed.',
    )
    .exitOverride();
  const options = (command: Command) => withShared(command).option('--system', 'a unit of the machine; needs root');
  options(service.command('install'))
    .description('writes the unit')
    .option('--print', 'only show it')
    .action((given: Options, command: Command) => install(given, command, cli));
  options(service.command('uninstall'))
    .description('removes the unit')
    .action((given: Options, command: Command) => uninstall(given, command, cli));
  options(service.command('status'))
    .description('whether it is installed, enabled and running')
    .action((given: Options, command: Command) => status(given, command, cli));
}

function install({ system = false, print }: Options, command: Command, cli: Cli): void {
  const setting = new Setting(command);
  const config = setting.config();
  const { config: file, ...given } = command.optsWithGlobals<Shared>();
  const named = typeof file === 'string' ? pathOf(file) : file !== false && existsSync(defaultFile()) ? defaultFile() : null;
  if (named === null && (given.api === undefined || given.hotkey === undefined))
    throw usage('no_config', 'There is no config for the service to read.', { hint: 'ripcord-miner init writes one.' });
  const flags = Object.entries({
    api: given.api,
    hotkey: given.hotkey && pathOf(given.hotkey),
    data: given.data && pathOf(given.data),
    name: given.name,
    proxy: given.proxy,
  });
  const text = unitText({
    command: [
      process.execPath,
      process.argv[1] ?? '',
      'up',
      ...(named === null ? ['--no-config'] : ['--config', named]),
      ...flags.flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, value])),
    ],
    writable: [config.dataFolder, config.cacheFolder],
    drainSeconds: config.drainMs / 1000,
    system,
    user: userInfo().username,
    path: `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  });
  if (print === true) return result(cli, setting, { unit: text }, text.trimEnd());
  const unit = place(system);
  write(unit, text);
  // The unit may only write where a folder is.
  for (const folder of [config.dataFolder, config.cacheFolder]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const next = enabling(system);
  result(
    cli,
    setting,
    { file: unit, next },
    `Wrote ${unit}.\n\n${cli.paint('bold', 'Next')}\n${next.map((line) => `  ${line}`).join('\n')}`,
  );
}

function uninstall({ system = false }: Options, command: Command, cli: Cli): void {
  const setting = new Setting(command);
  const unit = place(system);
  if (!existsSync(unit))
    throw new Failure(1, 'not_installed', `${unit} is not there.`, { hint: 'ripcord-miner service install writes it.' });
  rmSync(unit);
  const next = [`${systemctl(system)} disable --now ${UNIT}`, `${systemctl(system)} daemon-reload`];
  result(cli, setting, { file: unit, removed: true, next }, `Removed ${unit}. If it runs:\n${next.map((line) => `  ${line}`).join('\n')}`);
}

async function status({ system = false }: Options, command: Command, cli: Cli): Promise<void> {
  const setting = new Setting(command);
  const unit = place(system);
  const ask = async (word: string): Promise<string> => {
    const said = await askProgram('systemctl', [...(system ? [] : ['--user']), word, UNIT]);
    return said.problem === 'missing' ? 'no systemd here' : (said.text.trim().split('\n')[0] ?? '') || 'unknown';
  };
  const [active, enabled] = await Promise.all([ask('is-active'), ask('is-enabled')]);
  const installed = existsSync(unit);
  const text = installed
    ? `${unit}\nactive: ${active}\nenabled: ${enabled}`
    : `Not installed. ripcord-miner service install writes ${unit}.`;
  result(cli, setting, { file: unit, installed, active, enabled }, text);
}

function place(system: boolean): string {
  const config = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  return system ? join('/etc/systemd/system', UNIT) : join(config, 'systemd', 'user', UNIT);
}

function write(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: 0o644 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw usage('cannot_write', `${file} cannot be written (${code}).`, {
      hint: 'A unit of the machine needs root; without --system it is one of this user.',
    });
  }
}

function systemctl(system: boolean): string {
  return system ? 'sudo systemctl' : 'systemctl --user';
}

function enabling(system: boolean): string[] {
  return [
    `${systemctl(system)} daemon-reload`,
    `${systemctl(system)} enable --now ${UNIT}`,
    ...(system ? [] : ['loginctl enable-linger            keeps it running when you are logged out']),
    `journalctl ${system ? '' : '--user '}-u ${UNIT} -f`,
  ];
}
