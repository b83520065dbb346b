import type { Command } from 'commander';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { chuteName, openSession } from '../session.ts';
import { showTime, table } from '../show.ts';

interface Options {
  with?: string;
  remove?: true;
}

export function addShare(program: Command, io: Io): void {
  program
    .command('share')
    .summary('let another account call a private chute')
    .description(
      'Lets another account call a private chute of yours, or shows who may. They see that it is there and call it; its logs, secrets, code and settings stay yours.',
    )
    .argument('<name>', 'a name of your own, or an id (cht_…)')
    .option('--with <account>', 'who, by handle or id')
    .option('--remove', 'take it back')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord share hello --with bob\n  $ ripcord share hello\n  $ ripcord share hello --with bob --remove',
    )
    .action(async (name: string, options: Options, command: Command) => {
      if (options.remove === true && options.with === undefined)
        throw usage('no_account', 'From whom is it to be taken back?', { hint: `ripcord share ${name} --with ACCOUNT --remove` });
      const session = await openSession(io, command, 'any');
      const chute = await chuteName(session, name);
      if (options.with === undefined) {
        const items = await session.client.shares(chute);
        const rows = items.map((item) => [item.user_name ?? item.user_id, item.user_id, showTime(item.shared_at)]);
        return session.result({ items }, items.length === 0 ? `Only you may call ${chute}.` : table(['WITH', 'ID', 'SINCE'], rows));
      }
      const shared = options.remove !== true;
      const made = await session.client.share({ chute_id_or_name: chute, user_id_or_name: options.with }, shared);
      const text = shared ? `may call ${chute} now.` : `may not call ${chute} any more, in two seconds at the latest.`;
      return session.result(made, `${made.user_name ?? options.with} ${text}`);
    });
}
