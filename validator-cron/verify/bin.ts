#!/usr/bin/env node
/** `ripcord-verify`: the outsider's command. */
import { EXIT } from './outcome.ts';
import { run } from './program.ts';

const { stdout, stderr, env } = process;
const controller = new AbortController();
const end = (): void => {
  if (controller.signal.aborted) process.exit(EXIT.interrupted);
  controller.abort();
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
// The reader of a pipe went: nobody is left to tell, and what was found stands.
stdout.on('error', () => process.exit(process.exitCode ?? EXIT.failed));

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => void stdout.write(text),
  err: (text) => void stderr.write(text),
  watched: stderr.isTTY,
  coloured: stdout.isTTY,
  env,
  signal: controller.signal,
});
