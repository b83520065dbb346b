#!/usr/bin/env node
/** `ripcord-miner`: the GPU owner's command. */
import { EXIT } from '../cli/failure.ts';
import { paintFor, type Cli } from './commands/cli.ts';
import { run } from './commands/program.ts';

function makeCli(): Cli {
  const { stdout } = process;
  let ending: AbortSignal | null = null;
  // The reader of a pipe went (`ripcord-miner logs -f | head`): nobody is left to tell.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.refused));
  return {
    write: (text) => void stdout.write(text),
    terminal: stdout.isTTY,
    columns: () => stdout.columns,
    rows: () => stdout.rows,
    paint: paintFor(stdout.isTTY, process.env),
    // A command that does not ask for it ends at the first signal, as programs do.
    get signal() {
      return (ending ??= endSignal());
    },
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

process.exitCode = await run(process.argv.slice(2), makeCli());
