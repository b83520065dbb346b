/** The table of contents of `ripcord-miner`. `run` takes arguments and what a command may touch, and returns the exit code. */
import { Command, CommanderError } from 'commander';
import { EXIT, Failure, failureJson, usage } from '../../cli/failure.ts';
import { printable } from '../../cli/io.ts';
import { failureOf, type Cli } from './cli.ts';
import { addDrain } from './drain.ts';
import { addInit } from './init.ts';
import { addLogs } from './logs.ts';
import { addMaintenance } from './maintenance.ts';
import { addOffers } from './offers.ts';
import { addProve } from './prove.ts';
import { addService } from './service.ts';
import { addStatus } from './status.ts';
import { addUp } from './up.ts';
import { addVerdicts } from './verdicts.ts';
import { addWhy } from './why.ts';
import { addWishes } from './wishes.ts';
import { addDoctor } from '../doctor/command.ts';
import { AGENT_VERSION } from '../inventory.ts';
import { addMoney } from '../money/commands.ts';

const HELP = `
Serve calls with this machine and earn. The agent dials out: no open port, no root and no Docker are needed.

  $ ripcord-miner init --api https://edge   finds GPUs, container engine and wallet; writes ~/.ripcord/miner.toml
  $ ripcord-miner up                        joins; shows devices, instances, calls, earnings
  $ ripcord-miner why                       no work? the reason, and what helps
  $ ripcord-miner doctor                    something wrong? a dozen checks, each with what to do
  $ ripcord-miner prove                     what a judge would say of this machine, offline
  $ ripcord-miner verdicts                  what judges said of it, and why
  $ ripcord-miner offers                    what is wanted, and what it would earn here
  $ ripcord-miner service install           keeps it running under systemd

Exit codes: 0 done, 1 refused, 2 wrong use, 3 unreachable or not running, 130 interrupted.
`;

/** `exit` hears the code of a command that ends with another than 0 without having failed. */
export function makeProgram(cli: Cli, exit: (code: number) => void): Command {
  const program = new Command('ripcord-miner')
    .description('Ripcord miner')
    .version(AGENT_VERSION)
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ writeOut: cli.write, outputError: () => undefined });
  addInit(program, cli);
  addUp(program, cli);
  addStatus(program, cli);
  addOffers(program, cli);
  addWhy(program, cli);
  addDoctor(program, cli, exit);
  addProve(program, cli, exit);
  addVerdicts(program, cli);
  addLogs(program, cli);
  addWishes(program, cli);
  addMaintenance(program, cli);
  addDrain(program, cli);
  addMoney(program, cli);
  addService(program, cli);
  return program;
}

export async function run(argv: readonly string[], cli: Cli): Promise<number> {
  let code: number = EXIT.done;
  try {
    await makeProgram(cli, (ended) => (code = ended)).parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    // Commander has printed the help already.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    const failure = error instanceof CommanderError ? wrongUse(error) : failureOf(error);
    if (failure === null) throw error;
    return tell(failure, argv.includes('--json'));
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
