#!/usr/bin/env node
/** `ripcord-miner`: flags in, one agent, an exit code out. */
import { Command, CommanderError } from 'commander';
import { AgentRefused, runAgent } from './agent.ts';
import { ConfigError, checkConfig, readConfig } from './config.ts';
import type { Flags } from './config.ts';
import { jsonDisplay, plainDisplay, tableDisplay } from './display.ts';
import type { Display } from './display.ts';
import { KeyfileError, loadHotkey } from './identity/hotkey.ts';
import { AGENT_VERSION } from './inventory.ts';
import { addMoney } from './money/commands.ts';

const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3, interrupted: 130 } as const;

const HELP = `
Serve calls with this machine. The agent dials out; no port needs to be open.

  First time
    ripcord register alice --hotkey ./hotkey.json   make a hotkey file and an account with it
    ripcord-miner up --api https://edge --hotkey ./hotkey.json

  What it runs is yours to say. Without more it runs nobody's programs and tells you whose it left:
    --allow-account demo                            programs of this account run with your rights
    --allow-code <sha256>                           only this code folder, by its hash
    --url owner/name=http://127.0.0.1:8000          an engine you started yourself (vLLM, llama.cpp, …)

  The same as a file (--config miner.toml):
    api = "https://edge"
    hotkey = "~/.bittensor/wallets/default/hotkeys/default"
    max_instances = 4
    [allow]
    accounts = ["demo"]
    [[engines]]
    chute = "owner/name"
    url = "http://127.0.0.1:8000"
    slots = 8

  What it earned, and where that goes
    ripcord-miner earnings                          pending for 72 hours, then payable
    ripcord-miner payouts --help                    an address, a request, what was paid

  Ctrl-C lets running calls end, then leaves; a second Ctrl-C leaves at once.
  Exit codes: 0 done, 1 refused by the service, 2 wrong use, 3 unreachable, 130 interrupted.
`;

async function main(argv: string[]): Promise<number> {
  const program = new Command('ripcord-miner')
    .description('Ripcord miner agent')
    .version(AGENT_VERSION)
    .addHelpText('after', HELP)
    .exitOverride();
  let code: number = EXIT.done;
  program
    .command('up')
    .description('connect to an edge and serve')
    .option('--api <url>', 'origin of the edge')
    .option('--hotkey <file>', 'Bittensor hotkey file')
    .option('--name <name>', 'this machine within the hotkey (default: the host name)')
    .option('--data <folder>', 'where programs and code lie (default: ~/.ripcord/miner/NAME)')
    .option('--config <file>', 'TOML file with any of these')
    .option('--region <name>', 'where this machine is, shown to callers')
    .option('--max-instances <n>', 'instances at most (default: 4)')
    .option('--memory-mb <n>', 'MiB one program may have (default: no limit)')
    .option('--drain <seconds>', 'how long calls may run on at the end (default: 30)')
    .option('--allow-account <account>', 'run programs of this account (again for more)', collect)
    .option('--allow-code <sha256>', 'run this code folder (again for more)', collect)
    .option('--allow-all', "run anybody's programs with your rights; for closed networks only")
    .option('--url <chute=url>', 'serve owner/name with an engine that runs already (again for more)', collect)
    .option('--json', 'one JSON object a line on stdout')
    .addHelpText('after', HELP)
    .exitOverride()
    .action(async (flags: Flags & { json?: boolean }) => {
      code = await up(flags, flags.json === true);
    });
  addMoney(program, { exit: (ended) => (code = ended), fail, EXIT });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    throw error;
  }
}

async function up(flags: Flags, json: boolean): Promise<number> {
  const { json: _, ...plain } = { json, ...flags };
  let display: Display | null = null;
  try {
    const config = checkConfig(readConfig(plain));
    const hotkey = loadHotkey(config.hotkeyFile);
    display = chooseDisplay(json);
    await runAgent({ config, hotkey, tell: display.tell, signal: endSignal() });
    return EXIT.done;
  } catch (error) {
    if (error instanceof ConfigError || error instanceof KeyfileError)
      return fail(json, 'usage', error.message, 'ripcord-miner up --help', EXIT.usage);
    if (error instanceof AgentRefused) return fail(json, 'refused', error.message, 'see the message', EXIT.refused);
    throw error;
  } finally {
    display?.close();
  }
}

function chooseDisplay(json: boolean): Display {
  const write = (text: string) => void process.stdout.write(text);
  if (json) return jsonDisplay(write);
  return process.stdout.isTTY ? tableDisplay(write, () => process.stdout.columns) : plainDisplay(write);
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

function fail(json: boolean, code: string, message: string, hint: string, exit: number): number {
  process.stderr.write(json ? `${JSON.stringify({ error: { code, message, hint } })}\n` : `ripcord-miner: ${message}\n`);
  return exit;
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

process.exitCode = await main(process.argv.slice(2));
