/** `npm start`: the whole network on this machine, from nothing to a first answered call, until Ctrl-C. */
import { raiseDemo, type Demo } from './demo.ts';
import { EXIT, lineOf, StartFailure } from './failure.ts';
import { openFolder } from './folder.ts';
import { raiseNetwork, ROOT } from './network.ts';
import { HELP, readOptions, type Options } from './options.ts';
import { workerdVersion } from './workerd.ts';

const ended = endOfRun();

try {
  const options = readOptions(process.argv.slice(2));
  if (options === null) process.stdout.write(HELP);
  else await main(options);
  process.exitCode = EXIT.ok;
} catch (error) {
  // Nothing is wrong when the start was interrupted.
  process.exitCode = ended.aborted ? EXIT.ok : error instanceof StartFailure ? error.exitCode : EXIT.failed;
  if (!ended.aborted) process.stderr.write(`${lineOf(error)}\n`);
}
process.exit();

async function main(options: Options): Promise<void> {
  const say = sayTo(options.json ? process.stderr : process.stdout);
  const folder = openFolder(options.data, { fresh: options.fresh, workerd: workerdVersion(ROOT) });
  say(`Starting; everything is kept in ${folder.path}.`);
  const network = await raiseNetwork({ ...options, chain: { commitReveal: options.commitReveal }, folder, say, signal: ended });
  try {
    const { facts } = await raiseDemo({ network, folder, say, signal: ended });
    network.tick();
    report(options, facts);
    await aborted(ended);
    say('Stopping.');
  } finally {
    await network.stop();
    folder.release();
  }
}

function report({ json }: Options, demo: Demo): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(demo)}\n`);
    return;
  }
  process.stdout.write(`
Everything is live.

  API      ${demo.api}
  Key      ${demo.key}
  Chutes   ${demo.chutes.map(({ name }) => name).join(', ')}
  Chain    ${demo.chain ?? 'none'}

Try it:

  curl -N ${demo.api}/v1/chat/completions -H 'Authorization: Bearer ${demo.key}' -H 'Content-Type: application/json' -d '{"model":"demo/chat","stream":true,"messages":[{"role":"user","content":"What is a ripcord?"}]}'

Ctrl-C stops everything; a second start finds it again.
`);
}

/** Aborts on the first signal, or when the launcher is gone. More signals change nothing: stopping has its own deadlines. */
function endOfRun(): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  process.on('disconnect', end);
  return controller.signal;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });
}

/** Who started this may have closed the pipe; a line that nobody reads is no failure. */
function sayTo(stream: NodeJS.WriteStream): (line: string) => void {
  stream.on('error', () => undefined);
  return (line) => stream.write(`${line}\n`);
}
