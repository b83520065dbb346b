/** `ripcord-miner earnings` and `ripcord-miner payouts`. */
import type { Command } from 'commander';
import { result, Setting, withShared, type Cli } from '../commands/cli.ts';
import { ConfigError } from '../config.ts';
import { listPayouts, readAddresses, readEarnings, requestPayout, setAddress, type MoneyEdge } from './edge.ts';
import { addressText, earningsText, payoutsText, readUsd, requestedText } from './show.ts';

/** What a command prints: JSON for programs, text for people. */
type Work = (edge: MoneyEdge) => Promise<[json: unknown, text: string]>;

export function addMoney(program: Command, cli: Cli): void {
  const run = async (work: Work, command: Command): Promise<void> => {
    const setting = new Setting(command);
    const [value, text] = await work(setting.edge());
    result(cli, setting, value, text);
  };
  withShared(program.command('earnings'))
    .description('what this hotkey earned: pending for 72 hours, then payable')
    .addHelpText('after', '\nExample:\n  $ ripcord-miner earnings --api https://edge --hotkey ./hotkey.json\n')
    .action((_: object, command: Command) => run(showEarnings, command));
  const payouts = withShared(program.command('payouts'))
    .description('what was paid out, and is being paid out')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord-miner payouts address 5F3sa2TJ…   # where to; a change is in force after 72 hours\n  $ ripcord-miner payouts request 25         # dollars; without an amount all that is payable\n',
    )
    .action((_: object, command: Command) => run(showPayouts, command));
  withShared(payouts.command('request'))
    .description('asks for a payout')
    .argument('[usd]', 'dollars, for example 12.50; without it all that is payable')
    .action((amount: string | undefined, _: object, command: Command) => run((edge) => request(edge, amount), command));
  withShared(payouts.command('address'))
    .description('shows or sets where to pay to')
    .argument('[address]', 'ss58 address of a wallet of yours')
    .option('--operator <where>', 'paid by the operator by hand instead, and where to')
    .action((address: string | undefined, options: { operator?: string }, command: Command) =>
      run((edge) => bind(edge, address, options.operator), command),
    );
}

async function showEarnings(edge: MoneyEdge): Promise<[unknown, string]> {
  const earnings = await readEarnings(edge);
  return [earnings, earningsText(earnings)];
}

async function showPayouts(edge: MoneyEdge): Promise<[unknown, string]> {
  const payouts = await listPayouts(edge);
  return [payouts, payoutsText(payouts.items)];
}

async function request(edge: MoneyEdge, amount: string | undefined): Promise<[unknown, string]> {
  const nanousd = amount === undefined ? null : readUsd(amount);
  if (amount !== undefined && nanousd === null) throw new ConfigError(`the amount must be dollars as 12.50, not ${JSON.stringify(amount)}`);
  const payout = await requestPayout(edge, nanousd);
  return [payout, requestedText(payout)];
}

async function bind(edge: MoneyEdge, address: string | undefined, operator: string | undefined): Promise<[unknown, string]> {
  if (address !== undefined && operator !== undefined) throw new ConfigError('give an address or --operator, not both');
  const wish = operator ?? address;
  const bound = wish === undefined ? await readAddresses(edge) : await setAddress(edge, operator === undefined ? 'tao' : 'operator', wish);
  return [bound, addressText(bound)];
}
