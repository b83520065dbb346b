import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';
import { showUsd } from '#protocol/usd.ts';
import { showTime, table } from '../show.ts';

export function addBalance(program: Command, io: Io): void {
  program
    .command('balance')
    .summary('show what the account has left')
    .description('Shows what the account has left, in USD: for the next call, in all, and what running calls hold.')
    .addHelpText('after', '\nExample:\n  $ ripcord balance\n  $ ripcord balance --json | jq -r .available_nanousd')
    .action(async (_options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const balance = await session.client.balance();
      const rows = [
        ['cash', showUsd(balance.cash_nanousd)],
        ['promo', showUsd(balance.promo_nanousd)],
        ['held by running calls', showUsd(balance.held_nanousd)],
        ['spent, not on record yet', showUsd(balance.unbilled_nanousd)],
        ['as of', showTime(balance.as_of)],
      ];
      await session.result(balance, table(['available', showUsd(balance.available_nanousd)], rows));
    });
}
