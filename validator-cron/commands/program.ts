/** `ripcord-validator`: the table of contents. `run` takes arguments and what it may touch, and returns the exit code. */
import { styleText } from 'node:util';
import { Command, CommanderError } from 'commander';
import { EXIT, Failure, failureJson, type ExitCode } from '../../cli/failure.ts';
import { printable } from '../../cli/io.ts';
import { lineOf, StartFailure } from '../../dev/failure.ts';
import { makeBench } from '../bench.ts';
import { readSettings } from './settings.ts';
import { showStatus, statusOf } from './status.ts';
import { onceTick, runTicks } from './worker.ts';

const HELP = `
Judges miners and posts weights: the same Worker that validator-cron/ deploys, on this machine, with a clock of its own.

  $ ripcord-validator once      one tick, and what it did
  $ ripcord-validator run       a tick every slot, until Ctrl-C
  $ ripcord-validator status    permit, stake, last weights, next epoch, coverage of challenges

Settings come from the environment, as in validator-cron/wrangler.toml:

  API_ORIGIN       the edge                            JUDGE_SEED    64 hex digits: the seed of the hotkey, never a coldkey
  API_KEY          a key that may call: for canaries   CHAIN_URL     nodes of the chain, comma separated
  NETUID           the subnet                          CHAIN_GENESIS, NETWORK, EPOCH_SECONDS, BEACON_URLS, BEACON_CHAIN

A judge that is neither in the edge's set nor has a permit on the chain is refused. docs/validating.md tells more.
Exit codes: 0 done, 1 refused or failed, 2 wrong use, 3 unreachable, 130 interrupted.
`;

export interface Terminal {
  out: (text: string) => void;
  err: (text: string) => void;
  /** Whether standard output is a terminal: then there is colour. */
  coloured: boolean;
  env: Record<string, string | undefined>;
  signal: AbortSignal;
}

interface Options {
  json?: true;
  data?: string;
}

export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    await programOf(terminal).parseAsync(argv, { from: 'user' });
    return terminal.signal.aborted ? EXIT.interrupted : EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    // Commander has printed the help already.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    if (terminal.signal.aborted) return EXIT.interrupted;
    return fail(failureOf(error), terminal, argv.includes('--json'));
  }
}

function programOf(terminal: Terminal): Command {
  const program = new Command('ripcord-validator')
    .description('Ripcord: validate')
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err, outputError: () => undefined });
  const command = (name: string, description: string, isDefault = false): Command =>
    program
      .command(name, { isDefault })
      .description(description)
      .option('--json', 'JSON on stdout, a failure as {"error":{…}} on stderr')
      .exitOverride()
      .configureOutput({ writeOut: terminal.out, outputError: () => undefined });
  const paint = painter(terminal);
  command('status', 'where this judge stands').action(async ({ json }: Options) => {
    const status = await statusOf(makeBench(readSettings(terminal.env).config, null, terminal.signal), Date.now());
    terminal.out(json ? `${JSON.stringify(status)}\n` : showStatus(status, paint));
  });
  command('once', 'one tick')
    .option('--data <folder>', 'where what was signed is kept (default: ~/.ripcord/validator)')
    .action(async ({ json, data }: Options) => onceTick(readSettings(terminal.env, data), { terminal, json: json === true, paint }));
  command('run', 'a tick every slot (what it does where no command is named)', true)
    .option('--data <folder>', 'where what was signed is kept (default: ~/.ripcord/validator)')
    .action(async ({ json, data }: Options) => runTicks(readSettings(terminal.env, data), { terminal, json: json === true, paint }));
  return program;
}

export type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow', text: string) => string;

function painter({ coloured, env }: Terminal): Paint {
  const plain = !coloured || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return (style, text) => (plain ? text : styleText(style, text, { validateStream: false }));
}

function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof CommanderError)
    return new Failure(EXIT.usage, 'usage', error.message.replace(/^error: /, ''), { hint: 'See ripcord-validator --help.' });
  if (error instanceof StartFailure) return new Failure(EXIT.refused, 'start_failed', error.message, { hint: 'Its log tells more.' });
  return new Failure(EXIT.refused, 'failed', lineOf(error));
}

function fail(failure: Failure, terminal: Terminal, json: boolean): ExitCode {
  const hint = failure.detail.hint === undefined ? '' : `${failure.detail.hint}\n`;
  terminal.err(json ? `${failureJson(failure)}\n` : printable(`${failure.message}\n${hint}`));
  return failure.exit;
}
