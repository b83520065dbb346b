#!/usr/bin/env node
/** `ripcord-miner`: its table of contents. Flags in, one command, an exit code out. */
import { Command, CommanderError } from 'commander';
import { EXIT, Failure, failureJson, usage } from '../cli/failure.ts';
import { printable } from '../cli/io.ts';
import { failureOf, paintFor, type Cli } from './commands/cli.ts';
import { addDrain } from './commands/drain.ts';
import { addInit } from './commands/init.ts';
import { addLogs } from './commands/logs.ts';
import { addMaintenance } from './commands/maintenance.ts';
import { addOffers } from './commands/offers.ts';
import { addService } from './commands/service.ts';
import { addStatus } from './commands/status.ts';
import { addUp } from './commands/up.ts';
import { addWhy } from './commands/why.ts';
import { addWishes } from './commands/wishes.ts';
import { addDoctor } from './doctor/command.ts';
import { AGENT_VERSION } from './inventory.ts';
import { addMoney } from './money/commands.ts';

const HELP = `
Serve calls with this machine and earn. The agent dials out: no open port, no root and no Docker are needed.

  $ ripcord-miner init --api https://edge   finds GPUs, container engine and wallet; writes ~/.ripcord/miner.toml
  $ ripcord-miner up                        joins; shows devices, instances, calls, earnings
  $ ripcord-miner why                       no work? the reason, and what helps
  $ ripcord-miner doctor                    something wrong? a dozen checks, each with what to do
  $ ripcord-miner offers                    what is wanted, and what it would earn here
  $ ripcord-miner service install           keeps it running under systemd

Exit codes: 0 done, 1 refused, 2 wrong use, 3 unreachable or not running, 130 interrupted.
`;

async function main(argv: string[]): Promise<number> {
  const cli = makeCli();
  const json = argv.includes('--json');
  let code: number = EXIT.done;
  const program = new Command('ripcord-miner')
    .description('Ripcord miner')
    .version(AGENT_VERSION)
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  addInit(program, cli);
  addUp(program, cli);
  addStatus(program, cli);
  addOffers(program, cli);
  addWhy(program, cli);
  addDoctor(program, cli, (ended) => (code = ended));
  addLogs(program, cli);
  addWishes(program, cli);
  addMaintenance(program, cli);
  addDrain(program, cli);
  addMoney(program, cli);
  addService(program, cli);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    // Commander has printed the help already.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    const failure = error instanceof CommanderError ? wrongUse(error) : failureOf(error);
    if (failure === null) throw error;
    return tell(failure, json);
  }
}

function wrongUse(error: CommanderError): Failure {
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  return usage('usage', message, { hint: 'Add --help to the command to see how it is used.' });
}

function tell(failure: Failure, json: boolean): number {
  const hint = failure.detail.hint === undefined ? '' : `${printable(failure.detail.hint)}\n`;
  process.stderr.write(json ? `${failureJson(failure)}\n` : `ripcord-miner: ${printable(failure.message)}\n${hint}`);
  return failure.exit;
}

function makeCli(): Cli {
  const { stdout } = process;
  // The reader of a pipe went (`ripcord-miner logs -f | head`): nobody is left to tell.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.refused));
  return {
    write: (text) => void stdout.write(text),
    terminal: stdout.isTTY,
    columns: () => stdout.columns,
    rows: () => stdout.rows,
    paint: paintFor(stdout.isTTY, process.env),
    signal: endSignal(),
  };
}

/** Aborted by the first signal; the second one ends the process where it stands. */
function endSignal(): AbortSignal {
  const controller = new AbortController();
  const end = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  return controller.signal;
}

process.exitCode = await main(process.argv.slice(2));
