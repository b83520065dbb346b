/** `ripcord-miner maintenance on|off`: no new work; what runs goes on. Outlives the agent. */
import { Argument, type Command } from 'commander';
import { NotRunning, askAgent } from '../control/client.ts';
import { keptWishesSchema, mergeWishes, readWishes, writeWishes } from '../control/wishes.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';
import { configured } from './wishes.ts';

export function addMaintenance(program: Command, cli: Cli): void {
  withShared(program.command('maintenance'))
    .summary('take no new work, or take it again')
    .description(
      'On: the agent stays connected and serves what runs, and takes nothing new, also after a restart. Without a word: how it stands.',
    )
    .addArgument(new Argument('[state]').choices(['on', 'off']))
    .action(async (state: 'on' | 'off' | undefined, _: object, command: Command) => {
      const setting = new Setting(command);
      if (state !== undefined) writeWishes(setting.dataFolder, { ...readWishes(setting.dataFolder), maintenance: state === 'on' });
      const { maintenance } = mergeWishes(configured(setting), readWishes(setting.dataFolder));
      const running = state === undefined ? null : await told(setting.dataFolder, state === 'on');
      const inFile = maintenance && state === 'off' ? ' It stays on: the config file says maintenance = true.' : '';
      const text = state === undefined || inFile !== '' ? (maintenance ? 'on' : 'off') : words(maintenance, running === true);
      result(cli, setting, { maintenance, ...(running === null ? {} : { running }) }, `${text}${inFile}`);
    });
}

async function told(dataFolder: string, on: boolean): Promise<boolean> {
  try {
    await askAgent(dataFolder, ['POST', '/maintenance'], keptWishesSchema, { on });
    return true;
  } catch (error) {
    if (error instanceof NotRunning) return false;
    throw error;
  }
}

function words(on: boolean, running: boolean): string {
  const what = on ? 'Maintenance: nothing new is taken; what runs goes on.' : 'Work is taken again.';
  return running ? what : `${what} No agent runs here; it counts from the next start on.`;
}
