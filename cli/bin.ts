#!/usr/bin/env node
/** `ripcord`: the developer's command. Ctrl-C ends what runs in order; a second one at once. */
import { run } from './program.ts';

const stop = new AbortController();
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
});
// The reader of a pipe went (`ripcord logs x | head`): nobody is left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await run(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  out: process.stdout,
  err: process.stderr,
  in: process.stdin,
  signal: stop.signal,
});
