/** `ripcord-miner doctor`: gather, judge, let the edge and the running agent correct it, print. Works before there is a config. */
import type { Command } from 'commander';
import { ConfigError, originOf, placeOf, proxies } from '../config.ts';
import { NO_PROXIES } from '../net/proxy.ts';
import { Setting, withShared, type Cli } from '../commands/cli.ts';
import { pathOf } from '../config/file.ts';
import { agree } from './agree.ts';
import { judge } from './checks.ts';
import { gather, type Ask } from './gather.ts';
import { checksText } from './show.ts';

const HELP = `
Looks at config, hotkey, disk, clock, the way to the edge, GPUs, the container engine, and at what the edge and the running
agent say. Nothing is changed; with --deep it logs in for some seconds where no agent runs, and waits longer for a connection to be cut.
Exit code 1 when a check fails. --json prints {"checks":[{"id","status","cause","fix"}]}.
`;

export function addDoctor(program: Command, cli: Cli, exit: (code: 0 | 1) => void): void {
  withShared(program.command('doctor'))
    .summary('what is wrong, and how to mend it')
    .description('Checks this machine, the way to the edge and what the edge says of it.')
    .option('--deep', 'also log in, and hold connections for 40 seconds')
    .addHelpText('after', HELP)
    .action(async ({ deep, json }: { deep?: boolean; json?: boolean }, command: Command) => {
      const facts = await gather({ ...readAsk(command), deep: deep === true });
      const checks = agree(judge(facts), facts);
      const { paint } = cli;
      cli.write(json === true ? `${JSON.stringify({ checks })}\n` : `${checksText(checks, paint)}\n`);
      exit(checks.some((check) => check.status === 'FAIL') ? 1 : 0);
    });
}

/** A config that cannot be read, or lacks something, is a finding and no end. */
function readAsk(command: Command): Pick<Ask, 'config' | 'known'> {
  const nowhere = { api: null, proxy: NO_PROXIES, hotkeyFile: null, engineSocket: null, ...placeOf({}) };
  let setting: Setting;
  try {
    setting = new Setting(command);
  } catch (error) {
    return { config: { problem: problemOf(error) }, known: nowhere };
  }
  const { raw, name, dataFolder } = setting;
  const known = {
    api: raw.api === undefined ? null : readable(originOf, raw.api),
    proxy: readable(proxies, raw) ?? NO_PROXIES,
    name,
    hotkeyFile: raw.hotkey === undefined ? null : pathOf(raw.hotkey),
    dataFolder,
    engineSocket: raw.engine_socket === undefined ? null : pathOf(raw.engine_socket.replace(/^unix:\/\//, '')),
  };
  try {
    return { config: { is: setting.config() }, known };
  } catch (error) {
    return { config: { problem: problemOf(error) }, known };
  }
}

/** What cannot be read is told as the config's problem. */
function readable<I, O>(read: (given: I) => O, given: I): O | null {
  try {
    return read(given);
  } catch (error) {
    problemOf(error);
    return null;
  }
}

function problemOf(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  throw error;
}
