/** `node test/cheats/agent.ts CHARACTER up --no-config …`: the miner's command with a prover of another character. */
import { paintFor } from '../../miner-agent/commands/cli.ts';
import { run } from '../../miner-agent/commands/program.ts';
import { Provers } from '../../miner-agent/prover/provers.ts';
import { CHARACTERS, proverOf, type Character } from './provers.ts';

const [character = '', ...args] = process.argv.slice(2);
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());

process.exitCode = await run(args, {
  write: (text) => void process.stdout.write(text),
  terminal: false,
  columns: () => 80,
  rows: () => 24,
  paint: paintFor(false, process.env),
  signal: ending.signal,
  provers: new Provers([proverOf(known(character))]),
});

function known(name: string): Character {
  const found = Object.keys(CHARACTERS).find((one): one is Character => one === name);
  if (found === undefined) throw new Error(`no such character: ${name}`);
  return found;
}
