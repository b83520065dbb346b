#!/usr/bin/env node
/** `npm run books`: the operator's way into the ledger. Shows it, checks it, and moves what only an operator may move. */
import { Command, CommanderError, Option } from 'commander';
import { EXIT, Failure, usage } from './books/failure.ts';
import { withBooks } from './books/open.ts';
import { readAccount, readBooks, readMiner } from './books/read.ts';
import { readPayouts, settle } from './books/payouts.ts';
import { showAccount, showBooks, showMiner, showPayouts } from './books/show.ts';
import { parseUsd } from './books/usd.ts';
import { fence, give, refund, setRate, takeEarnings, type Done } from './books/write.ts';
import type { Database } from './client.ts';
import { jsonOf } from './rows.ts';

interface Options {
  data: string;
  json?: true;
  reason: string;
  ref?: string;
  limit: number;
  source: string;
  at: Date;
}

const ABOUT = `Trial balance, invariants, open leases and what waits for the projector.

Amounts are USD, with at most 9 decimals. In JSON they are nano-USD (a billionth) as decimal text.
It speaks to the Postgres of DATABASE_URL, else to that of npm start.
Exit codes: 0 done, 1 an invariant is broken or the ledger refuses, 2 wrong use, 3 no Postgres.`;

const EXAMPLES = `
Examples:
  $ npm run -s books
  $ npm run -s books -- credit alice 25 --reason "invoice 12" --ref invoice-12
  $ npm run -s books -- refund 0192d3f0-7c9e-7000-8000-0123456789ab 0.01 --reason "answer cut short"
  $ npm run -s books -- rate TAO 412.50 --source exchange.example`;

const reason = () => new Option('--reason <text>', 'why; kept for ever').makeOptionMandatory();
const ref = () => new Option('--ref <text>', 'the same ref again does nothing more');
const limit = () => new Option('--limit <n>', 'transfers shown').argParser(wholeOf).default(50);

function makeProgram(): Command {
  const program = new Command('books')
    .description(ABOUT)
    .option('--json', 'one JSON object on stdout, a failure as {"error":{…}} on stderr')
    .option('--data <dir>', 'data folder of npm start', '.ripcord')
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', EXAMPLES)
    .allowExcessArguments(false)
    .action(() => look(readBooks, showBooks, ({ ok }) => ok));

  const look = <T>(read: (db: Database) => Promise<T>, show: (view: T) => string, fine: (view: T) => boolean = () => true) =>
    run(program, read, (view, json) => {
      process.stdout.write(json ? `${jsonOf(view)}\n` : show(view));
      if (!fine(view)) process.exitCode = EXIT.refused;
    });
  const move = (work: (db: Database) => Promise<Done>) =>
    run(program, work, ({ facts, words }, json) => process.stdout.write(`${json ? jsonOf(facts) : words}\n`));

  for (const kind of ['credit', 'promo'] as const) {
    program
      .command(`${kind} <account> <usd>`)
      .description(
        kind === 'credit' ? 'money of the operator into an account, by handle or id' : 'promo credit for an account, by handle or id',
      )
      .addOption(reason())
      .addOption(ref())
      .action((account: string, usd: string, o: Options) => {
        const nanousd = parseUsd(usd);
        return move((db) => give(db, kind, { account, nanousd, reason: o.reason, ref: o.ref }));
      });
  }
  program
    .command('refund <call> [usd]')
    .description('gives back what a call cost, or part of it, at the expense of the platform')
    .addOption(reason())
    .addOption(ref())
    .action((call: string, usd: string | undefined, o: Options) => {
      const nanousd = usd === undefined ? null : parseUsd(usd);
      return move((db) => refund(db, { call, nanousd, reason: o.reason, ref: o.ref }));
    });
  program
    .command('fence <account> <epoch>')
    .description('takes back the credit of a lease whose holder is gone for good; its later calls are refused')
    .action((account: string, epoch: string) => move((db) => fence(db, account, wholeOf(epoch))));
  program
    .command('forfeit <hotkey>')
    .description('takes a cheating miner’s pending and payable earnings; what is in flight stays')
    .addOption(reason())
    .addOption(ref())
    .action((hotkey: string, o: Options) => move((db) => takeEarnings(db, hotkey, o.reason, o.ref)));
  program
    .command('rate <asset> <usd>')
    .description('what one TAO is worth from now on')
    .requiredOption('--source <text>', 'who says so')
    .addOption(new Option('--at <time>', 'ISO time of the rate').argParser(timeOf))
    .action((asset: string, usd: string, o: Options) => {
      const nanousd = parseUsd(usd);
      return move((db) => setRate(db, asset, { nanousd, source: o.source, at: o.at ?? new Date() }));
    });
  program
    .command('account <account>')
    .description('purses, leases and transfers of an account, by handle or id')
    .addOption(limit())
    .action((account: string, o: Options) => look((db) => readAccount(db, account, o.limit), showAccount));
  program
    .command('miner <hotkey>')
    .description('earnings, payouts and transfers of a miner')
    .addOption(limit())
    .action((hotkey: string, o: Options) => look((db) => readMiner(db, hotkey, o.limit), showMiner));
  const payouts = program
    .command('payouts')
    .description('payouts that are not over, those that you pay by hand first')
    .action(() => look(readPayouts, showPayouts));
  payouts
    .command('confirm <payout>')
    .description('one that you paid by hand')
    .addOption(new Option('--reason <text>', 'what proves it, for example a number of your bank; kept for ever').makeOptionMandatory())
    .action((payout: string, o: Options) => move((db) => settle(db, 'confirm', payout, o.reason)));
  payouts
    .command('fail <payout>')
    .description('one that you will not pay by hand, or that was not sent yet: it is payable again')
    .addOption(reason())
    .action((payout: string, o: Options) => move((db) => settle(db, 'fail', payout, o.reason)));
  return program;
}

async function run<T>(program: Command, work: (db: Database) => Promise<T>, tell: (result: T, json: boolean) => void): Promise<void> {
  const { data, json } = program.opts<Options>();
  tell(await withBooks(data, work), json === true);
}

function wholeOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usage(`${JSON.stringify(text)} is no whole number above zero.`);
  return Number(text);
}

function timeOf(text: string): Date {
  const at = new Date(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(at.getTime()))
    throw usage(`${JSON.stringify(text)} is no time like 2026-01-31T12:00:00Z.`);
  return at;
}

function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (!(error instanceof CommanderError)) throw error;
  return usage(`${error.message.replace(/^error: /, '').replaceAll('\n', ' ')}. Add --help to see how it is used.`);
}

// The reader of a pipe went: nobody is left to tell.
process.stdout.on('error', () => process.exit(EXIT.refused));

try {
  await makeProgram().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError && error.exitCode === 0)) {
    const failure = failureOf(error);
    process.exitCode = failure.exit;
    const json = process.argv.includes('--json');
    process.stderr.write(json ? `${JSON.stringify({ error: { message: failure.message } })}\n` : `${failure.message}\n`);
  }
}
