/** `ripcord-miner pin` and `forbid`: lists in the data folder, in force at once where the agent runs. */
import type { Command } from 'commander';
import { usage } from '../../cli/failure.ts';
import { NotRunning, askAgent } from '../control/client.ts';
import { CHUTE, keptWishesSchema, mergeWishes, readWishes, writeWishes } from '../control/wishes.ts';
import type { KeptWishes } from '../control/wishes.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';

type List = 'pin' | 'forbid';

const OTHER: Record<List, List> = { pin: 'forbid', forbid: 'pin' };
const WORDS: Record<List, { summary: string; description: string; none: string; on: string; off: string }> = {
  pin: {
    summary: 'chutes to prefer, whatever they pay',
    description: 'Pinned chutes are taken first, whatever they pay, and not given up for others. Without a name: the list.',
    none: 'Nothing is pinned. ripcord-miner pin owner/name does it.',
    on: 'is pinned',
    off: 'is not pinned any more',
  },
  forbid: {
    summary: 'chutes never to run here',
    description: 'Forbidden chutes are never taken; what runs of them is given up with notice. Without a name: the list.',
    none: 'Nothing is forbidden. ripcord-miner forbid owner/name does it.',
    on: 'is forbidden',
    off: 'is not forbidden any more',
  },
};

export function addWishes(program: Command, cli: Cli): void {
  for (const list of ['pin', 'forbid'] as const) {
    withShared(program.command(list))
      .summary(WORDS[list].summary)
      .description(`${WORDS[list].description}\nIn force at once where the agent runs, and kept for its next start.`)
      .argument('[name]', 'owner/name of a chute, or an owner for all of theirs')
      .option('--remove', 'take it off the list')
      .addHelpText('after', `\nExample:\n  $ ripcord-miner ${list} demo/chat\n  $ ripcord-miner ${list} demo/chat --remove\n`)
      .action(async (name: string | undefined, options: { remove?: boolean }, command: Command) => {
        const setting = new Setting(command);
        const kept = readWishes(setting.dataFolder);
        if (name === undefined) return show(list, mergeWishes(configured(setting), kept), setting, cli);
        const next = changed(kept, list, name, options.remove === true, setting);
        writeWishes(setting.dataFolder, next);
        const running = await toldAgent(setting.dataFolder);
        const word = options.remove === true ? WORDS[list].off : WORDS[list].on;
        const when = running ? '' : '; it counts from the next start on, for no agent runs here';
        result(cli, setting, { ...mergeWishes(configured(setting), next), running }, `${name} ${word}${when}.`);
      });
  }
}

/** What the config file says; the commands only add to it. */
export function configured({ raw }: Setting): KeptWishes {
  return { pin: raw.pin ?? [], forbid: raw.forbid ?? [], maintenance: raw.maintenance ?? false };
}

/** Whoever is on one list is not on the other. */
function changed(kept: KeptWishes, list: List, name: string, remove: boolean, setting: Setting): KeptWishes {
  if (!CHUTE.test(name)) throw usage('invalid_name', `${name} is no chute.`, { hint: 'It is owner/name, or an owner for all of theirs.' });
  const without = (names: readonly string[]) => names.filter((known) => known !== name);
  if (!remove) return { ...kept, [list]: [...without(kept[list]), name], [OTHER[list]]: without(kept[OTHER[list]]) };
  if (configured(setting)[list].includes(name))
    throw usage('in_config', `${name} stands in the config file.`, {
      hint: `Remove it from ${list} = […] there, and start the agent again.`,
    });
  return { ...kept, [list]: without(kept[list]) };
}

/** Whether an agent runs and has heard of it. */
async function toldAgent(dataFolder: string): Promise<boolean> {
  try {
    await askAgent(dataFolder, ['POST', '/wishes/reload'], keptWishesSchema);
    return true;
  } catch (error) {
    if (error instanceof NotRunning) return false;
    throw error;
  }
}

function show(list: List, wishes: KeptWishes, setting: Setting, cli: Cli): void {
  result(cli, setting, wishes, wishes[list].length === 0 ? WORDS[list].none : wishes[list].join('\n'));
}
