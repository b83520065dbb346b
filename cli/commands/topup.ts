import type { Command } from 'commander';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';

export function addTopup(program: Command, io: Io): void {
  program
    .command('topup')
    .summary('add credit by card')
    .description('Prints the address of a page where credit is paid by card. It is there once the payment is confirmed.')
    .argument('<usd>', 'how much, from 5 to 10000 USD, in whole cents')
    .addHelpText('after', '\nExample:\n  $ ripcord topup 20\n  $ ripcord topup 12.50 --json | jq -r .url')
    .action(async (usd: string, _options: object, command: Command) => {
      if (!/^\d{1,5}(\.\d{1,2})?$/.test(usd))
        throw usage('invalid_amount', `${usd} is not an amount in USD.`, { hint: 'Give it as 20 or 12.50.' });
      const session = await openSession(io, command, 'any');
      const checkout = await session.client.checkout(usd);
      await session.note(`Pay ${usd} USD here:`);
      await session.result(checkout, checkout.url);
    });
}
