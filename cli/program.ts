/** The command's table of contents. `run` takes arguments and a process, and returns the exit code. */
import { Command, CommanderError, Option } from 'commander';
import { addBalance } from './commands/balance.ts';
import { addCall } from './commands/call.ts';
import { addCalls } from './commands/calls.ts';
import { addChutes } from './commands/chutes.ts';
import { addDeploy } from './commands/deploy.ts';
import { addInit } from './commands/init.ts';
import { addKeys } from './commands/keys.ts';
import { addLogs } from './commands/logs.ts';
import { addManifest } from './commands/manifest.ts';
import { addMetrics } from './commands/metrics.ts';
import { addPrice } from './commands/price.ts';
import { addQuote } from './commands/quote.ts';
import { addRegister } from './commands/register.ts';
import { addSecrets } from './commands/secrets.ts';
import { addShare } from './commands/share.ts';
import { addTopup } from './commands/topup.ts';
import { addUsage } from './commands/usage.ts';
import { addWarm } from './commands/warm.ts';
import { addWhoami } from './commands/whoami.ts';
import { addWhy } from './commands/why.ts';
import { EXIT, Failure, failureJson, interrupted, usage } from './failure.ts';
import { paint, printable, type Io } from './io.ts';
import { DEFAULT_API } from './session.ts';

const ABOUT = `Deploy programs and models as chutes, call them, read their logs.

A key comes from RIPCORD_API_KEY or the config file, never from the command line, where other users of the machine can read it.
Exit codes: 0 done, 1 refused by the service, 2 wrong use, 3 unreachable, 130 interrupted.`;

const FIRST_STEPS = `
Example:
  $ ripcord register alice          # an account and a key
  $ ripcord init hello              # hello/chute.toml and a tiny program
  $ ripcord deploy hello            # waits until it is live
  $ ripcord call alice/hello /
  $ ripcord call demo/chat "Why is the sky blue?"`;

export function makeProgram(io: Io): Command {
  const program = new Command('ripcord')
    .description(ABOUT)
    .option('--api <url>', `address of the API (else RIPCORD_API, the config file, ${DEFAULT_API})`)
    .option('--config <file>', 'config file (else ~/.config/ripcord/config.toml)')
    .option('--json', 'results as JSON on stdout, a failure as {"error":{…}} on stderr')
    .addOption(new Option('--key <key>').hideHelp())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
      outputError: () => undefined,
    })
    .addHelpText('after', FIRST_STEPS)
    .hook('preAction', (command) => {
      if (command.opts()['key'] !== undefined) {
        throw usage('key_in_arguments', 'A key is never taken from the command line, where other users of the machine can read it.', {
          hint: 'Set RIPCORD_API_KEY, or run ripcord register. Treat the key you just typed as known to others.',
        });
      }
    });
  for (const add of [
    addRegister,
    addWhoami,
    addKeys,
    addInit,
    addDeploy,
    addChutes,
    addCall,
    addCalls,
    addWhy,
    addWarm,
    addLogs,
    addManifest,
    addSecrets,
    addShare,
    addMetrics,
    addPrice,
    addQuote,
    addBalance,
    addUsage,
    addTopup,
  ])
    add(program, io);
  return program;
}

/** Runs one command line (without `node` and the program's name). */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    await makeProgram(io).parseAsync(argv, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    const failure = toFailure(error, io);
    // Commander printed the help already.
    if (failure.code !== 'commander.help') tell(failure, argv.includes('--json'), io);
    return failure.exit;
  }
}

function toFailure(error: unknown, io: Io): Failure {
  if (error instanceof Failure) return error;
  if (io.signal.aborted) return interrupted();
  if (!(error instanceof CommanderError)) throw error;
  if (error.code === 'commander.help') return usage(error.code, '');
  return usage('usage', error.message.replace(/^error: /, '').replaceAll('\n', ' '), {
    hint: 'Add --help to the command to see how it is used.',
  });
}

function tell(failure: Failure, json: boolean, io: Io): void {
  if (json) io.err.write(`${failureJson(failure)}\n`);
  else if (failure.exit === EXIT.interrupted) io.err.write('\n');
  else {
    const hint = failure.detail.hint === undefined ? '' : `${paint(io, io.err, 'dim', printable(failure.detail.hint))}\n`;
    io.err.write(`${paint(io, io.err, 'red', failure.code)}: ${printable(failure.message)}\n${hint}`);
  }
}
