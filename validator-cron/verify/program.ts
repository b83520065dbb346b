/** `ripcord-verify`: the table of contents. `run` takes arguments and what it may touch, and returns the exit code. */
import { homedir } from 'node:os';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { printable } from '../../cli/io.ts';
import { FileError } from '../epoch.ts';
import { Edge } from './edge.ts';
import { verifyEpoch } from './epoch.ts';
import { Different, EXIT, Missing, type Difference, type ExitCode } from './outcome.ts';
import { show } from './report.ts';
import { showVerdict, verifyTranscript } from './transcript.ts';

const HELP = `
Computes again what a judge says an epoch came to, from what the edge has published. No key, no GPU.

  $ ripcord-verify epoch 1793480400 --api https://edge     every verdict, score and weight of this epoch
  $ ripcord-verify epoch 1793480400 --api … --sample 5     5 % of its challenges, chosen by the beacon
  $ ripcord-verify epoch 1793480400 --api … --window       the earlier epochs of the window too
  $ ripcord-verify epoch 1793480400 --api … --chain https://node
  $ ripcord-verify transcript chl_… --api https://edge     one challenge, and what follows from it

GET /epochs names the epochs. What was downloaded is kept in --cache; a run that was broken off goes on there.
Exit codes: 0 identical, 1 different at …, 2 wrong use, 3 evidence missing, 70 failed itself, 130 interrupted.
`;

export interface Terminal {
  out: (text: string) => void;
  err: (text: string) => void;
  /** Whether somebody watches standard error: then progress is shown there. */
  watched: boolean;
  /** Whether standard output is a terminal: then there is colour. */
  coloured: boolean;
  env: Record<string, string | undefined>;
  signal: AbortSignal;
}

interface Options {
  api: string;
  beacon?: string;
  trustBeacon?: true;
  cache?: string;
  json?: true;
}
interface EpochOptions extends Options {
  judge?: string;
  window?: true;
  sample: number;
  chain?: string;
  netuid?: number;
  genesis?: string;
  threads: number;
}

export async function run(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = EXIT.identical;
  try {
    await programOf(terminal, (ended) => (code = ended)).parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.identical;
    // Commander has printed the help already.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    return fail(error, terminal, argv.includes('--json'));
  }
}

function programOf(terminal: Terminal, end: (code: ExitCode) => void): Command {
  const program = new Command('ripcord-verify')
    .description('Ripcord: verify what judges say')
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, outputError: () => undefined });
  shared(program.command('epoch <n>').description('verify an epoch; n is the Unix second it starts at'))
    .option('--judge <ss58>', 'whose word (default: the first judge of the gate that committed)')
    .option('--window', 'judge the earlier epochs of the scoring window again, too')
    .option('--sample <percent>', 'judge so many of a hundred challenges again', percent, 100)
    .option('--chain <url>', 'a Subtensor node: compare with the weights it has')
    .option('--netuid <n>', 'the subnet on that chain (default: as the edge says)', whole)
    .option('--genesis <hash>', 'hash of block 0 of that chain (default: as the edge says)')
    .option('--threads <n>', 'threads that judge', whole, availableParallelism())
    .action(async (n: string, options: EpochOptions) => end(await epochCommand(whole(n), options, terminal)));
  shared(program.command('transcript <id>').description('judge one challenge again')).action(async (id: string, options: Options) =>
    transcriptCommand(id, options, terminal),
  );
  return program;
}

function shared(command: Command): Command {
  return command
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .requiredOption('--api <url>', 'origin of the edge', process.env['RIPCORD_API'])
    .option('--beacon <url>', 'a host of the beacon (default: those of the network)')
    .option('--trust-beacon', 'hash signatures of the beacon and do not verify them')
    .option('--cache <folder>', 'where downloads are kept')
    .option('--json', 'one JSON object on standard output');
}

async function epochCommand(epoch: number, options: EpochOptions, terminal: Terminal): Promise<ExitCode> {
  const { progress, done } = progressOf(terminal, options.json === true);
  try {
    const report = await verifyEpoch(new Edge(originOf(options.api), terminal.signal), {
      epoch,
      judge: options.judge ?? null,
      window: options.window === true,
      sample: options.sample,
      chain: options.chain === undefined ? null : { url: options.chain, genesis: options.genesis ?? null, netuid: options.netuid ?? null },
      threads: Math.max(1, Math.min(64, options.threads)),
      ...common(options, terminal),
      progress,
    });
    done();
    if (options.json === true) terminal.out(`${JSON.stringify(report)}\n`);
    else terminal.out(`${coloured(show(report).map(printable), report.difference, terminal).join('\n')}\n`);
    return report.outcome === 'identical' ? EXIT.identical : EXIT.different;
  } finally {
    done();
  }
}

async function transcriptCommand(id: string, options: Options, terminal: Terminal): Promise<void> {
  const { transcript, verdict } = await verifyTranscript(new Edge(originOf(options.api), terminal.signal), id, common(options, terminal));
  terminal.out(
    options.json === true ? `${JSON.stringify({ transcript, verdict })}\n` : `${printable(showVerdict(transcript, verdict).join('\n'))}\n`,
  );
}

function common(options: Options, { env, signal }: Terminal) {
  return {
    beacon: options.beacon === undefined ? [] : options.beacon.split(',').map((url) => url.replace(/\/+$/, '')),
    trustBeacon: options.trustBeacon === true,
    cache: options.cache ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ripcord-verify'),
    signal,
  };
}

/** On one line of a terminal, at most ten times a second; nothing elsewhere. */
function progressOf({ watched, err }: Terminal, json: boolean): { progress: (line: string) => void; done: () => void } {
  if (!watched || json) return { progress: () => undefined, done: () => undefined };
  let shown = 0;
  const progress = (line: string): void => {
    if (performance.now() - shown < 100) return;
    shown = performance.now();
    err(`\r\u001b[K${line.slice(0, 78)}`);
  };
  const done = (): void => {
    if (shown > 0) err('\r\u001b[K');
    shown = 0;
  };
  return { progress, done };
}

function coloured(lines: string[], difference: Difference | null, { coloured: on, env }: Terminal): string[] {
  if (!on || env['NO_COLOR'] !== undefined) return lines;
  return lines.map((line, k) => (k === lines.length - 1 ? styleText(difference === null ? 'green' : 'red', line) : line));
}

function fail(error: unknown, terminal: Terminal, json: boolean): ExitCode {
  if (terminal.signal.aborted) return tell(EXIT.interrupted, 'interrupted', 'Interrupted.', '', null);
  if (error instanceof Different)
    return tell(
      EXIT.different,
      'different',
      error.message,
      `due    ${error.difference.due}\ngiven  ${error.difference.given}`,
      error.difference,
    );
  if (error instanceof Missing) return tell(EXIT.missing, 'missing', `evidence missing: ${error.message}`, error.hint, null);
  if (error instanceof FileError)
    return tell(EXIT.missing, 'missing', `evidence missing: ${error.message}.`, 'The file is not as it must be.', null);
  if (error instanceof CommanderError)
    return tell(EXIT.usage, 'usage', error.message.replace(/^error: /, ''), 'Add --help to see how it is used.', null);
  // No word on the epoch: it must not look like `different`.
  const why = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
  return tell(EXIT.failed, 'failed', `this program failed: ${why}`, 'Run it again; if it stays so, it is a fault of this program.', null);

  function tell(code: ExitCode, name: string, message: string, hint: string, difference: Difference | null): ExitCode {
    if (json) terminal.out(`${JSON.stringify({ outcome: name, message, hint, difference })}\n`);
    else terminal.err(printable(`ripcord-verify: ${message}\n${hint === '' ? '' : `${hint}\n`}`));
    return code;
  }
}

function originOf(api: string): string {
  const url = URL.parse(api);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new InvalidArgumentError('--api: an http(s) origin is expected.');
  return url.origin;
}

function whole(text: string): number {
  if (!/^[0-9]{1,11}$/.test(text)) throw new InvalidArgumentError('A whole number is expected.');
  return Number(text);
}

function percent(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 100)) throw new InvalidArgumentError('More than 0 and at most 100 is expected.');
  return value;
}
