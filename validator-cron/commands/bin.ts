#!/usr/bin/env node
/** `ripcord-validator`: the validator's command. */
import { EXIT } from '../../cli/failure.ts';
import { run } from './program.ts';

const { stdout, stderr, env } = process;
const controller = new AbortController();
const end = (): void => {
  if (controller.signal.aborted) process.exit(EXIT.interrupted);
  controller.abort();
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
// The reader of a pipe went: nobody is left to tell.
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.refused));

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => void stdout.write(text),
  err: (text) => void stderr.write(text),
  coloured: stdout.isTTY,
  env,
  signal: controller.signal,
});
