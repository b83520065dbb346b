import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';
import { table } from '../show.ts';

export function addWhoami(program: Command, io: Io): void {
  program
    .command('whoami')
    .summary('tell which account the key acts for')
    .description('Tells which account the key or hotkey acts for.')
    .addHelpText('after', '\nExample:\n  $ ripcord whoami\n  $ RIPCORD_API=https://api.example.com ripcord whoami --json')
    .action(async (_options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const account = await session.client.me();
      const by = session.key === null ? 'hotkey' : io.env['RIPCORD_API_KEY'] ? 'key of RIPCORD_API_KEY' : 'key of the config file';
      const rows = [
        ['handle', account.handle ?? '-'],
        ['account', account.account_id],
        ['hotkey', account.hotkey ?? '-'],
        ['by', by],
      ];
      await session.result(account, table(['api', session.client.origin], rows));
    });
}
