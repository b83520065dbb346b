/** `ripcord-miner earnings` and `ripcord-miner payouts`. */
import type { Command } from 'commander';
import { ConfigError, checkConfig, readConfig } from '../config.ts';
import { KeyfileError, loadHotkey } from '../identity/hotkey.ts';
import { Outbound } from '../net/outbound.ts';
import { MoneyRefused, listPayouts, readAddresses, readEarnings, requestPayout, setAddress, type MoneyEdge } from './edge.ts';
import { addressText, earningsText, payoutsText, readUsd, requestedText } from './show.ts';

/** How the program ends, as in `bin.ts`. */
interface Ends {
  exit: (code: number) => void;
  /** Prints the failure and returns its exit code. */
  fail: (json: boolean, code: string, message: string, hint: string, exit: number) => number;
  EXIT: { done: number; refused: number; usage: number; unreachable: number };
}

interface Options {
  api?: string;
  hotkey?: string;
  proxy?: string;
  config?: string;
  json?: boolean;
}

/** What a command prints: JSON for programs, text for people. */
type Work = (edge: MoneyEdge) => Promise<[json: unknown, text: string]>;

export function addMoney(program: Command, ends: Ends): void {
  const run = (work: Work) => async (command: Command) => ends.exit(await perform(work, command.optsWithGlobals<Options>(), ends));
  const earnings = withOptions(program.command('earnings'))
    .description('what this hotkey earned: pending for 72 hours, then payable')
    .addHelpText('after', '\nExample:\n  $ ripcord-miner earnings --api https://edge --hotkey ./hotkey.json\n');
  earnings.action((_: object, command: Command) => run(showEarnings)(command));
  const payouts = withOptions(program.command('payouts'))
    .description('what was paid out, and is being paid out')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord-miner payouts address 5F3sa2TJ…   # where to; a change is in force after 72 hours\n  $ ripcord-miner payouts request 25         # dollars; without an amount all that is payable\n',
    );
  payouts.action((_: object, command: Command) => run(showPayouts)(command));
  withOptions(payouts.command('request'))
    .description('asks for a payout')
    .argument('[usd]', 'dollars, for example 12.50; without it all that is payable')
    .action((amount: string | undefined, _: object, command: Command) => run((edge) => request(edge, amount))(command));
  withOptions(payouts.command('address'))
    .description('shows or sets where to pay to')
    .argument('[address]', 'ss58 address of a wallet of yours')
    .option('--operator <where>', 'paid by the operator by hand instead, and where to')
    .action((address: string | undefined, options: { operator?: string }, command: Command) =>
      run((edge) => bind(edge, address, options.operator))(command),
    );
}

function withOptions(command: Command): Command {
  return command
    .option('--api <url>', 'origin of the edge')
    .option('--hotkey <file>', 'Bittensor hotkey file')
    .option('--proxy <url>', 'HTTP proxy to reach the edge through (default: HTTPS_PROXY)')
    .option('--config <file>', 'TOML file with any of these')
    .option('--json', 'the answer as JSON on stdout')
    .exitOverride();
}

async function perform(work: Work, options: Options, { fail, EXIT }: Ends): Promise<number> {
  const json = options.json === true;
  try {
    const { api, hotkeyFile, proxy } = checkConfig(readConfig(chosen(options)));
    const [value, text] = await work({ api, hotkey: loadHotkey(hotkeyFile), outbound: new Outbound(proxy) });
    process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
    return EXIT.done;
  } catch (error) {
    if (error instanceof ConfigError || error instanceof KeyfileError)
      return fail(json, 'usage', error.message, 'ripcord-miner payouts --help', EXIT.usage);
    if (error instanceof MoneyRefused)
      return fail(json, error.code, error.message, error.hint, error.code === 'unreachable' ? EXIT.unreachable : EXIT.refused);
    throw error;
  }
}

function chosen({ api, hotkey, proxy, config }: Options): Options {
  return {
    ...(api === undefined ? {} : { api }),
    ...(hotkey === undefined ? {} : { hotkey }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(config === undefined ? {} : { config }),
  };
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
