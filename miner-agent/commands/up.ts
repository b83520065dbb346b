/** `ripcord-miner up`: connects, serves, shows it; ends when it is told to. */
import type { Command } from 'commander';
import { Failure } from '../../cli/failure.ts';
import { AgentRefused, runAgent } from '../agent.ts';
import { checkConfig, readConfig } from '../config.ts';
import type { Config, Flags } from '../config.ts';
import type { Desk } from '../control/desk.ts';
import type { Status } from '../control/status.ts';
import { jsonDisplay, liveDisplay, plainDisplay } from '../display.ts';
import type { Display } from '../display.ts';
import { screenLines } from '../display/screen.ts';
import { loadHotkey } from '../identity/hotkey.ts';
import type { Hotkey } from '../identity/hotkey.ts';
import { Outbound } from '../net/outbound.ts';
import { withShared, type Cli } from './cli.ts';
import { readEdgeFacts, type EdgeFacts } from './edge.ts';

const HELP = `
It dials out: no port needs to be open, and it works behind NAT and proxies. It takes what the market wants and pays best,
unless you say otherwise:
  ripcord-miner pin owner/name       rather this
  ripcord-miner forbid owner/name    never this
  ripcord-miner maintenance on       nothing new for now

A chute with an image runs in a container (Docker or Podman, no root needed). One with a command would run with your
rights; nobody's does unless you say whose:
  --allow-account demo               programs of this account
  --allow-code <sha256>              only this code folder, by its hash
An engine that you started yourself (vLLM, llama.cpp, Ollama, …) serves a chute without any of that:
  --url owner/name=http://127.0.0.1:8000

Ctrl-C or SIGTERM lets running calls end, then leaves; a second Ctrl-C leaves at once.
`;

/** Milliseconds between two looks at money and verdicts while a terminal shows them. */
const FACTS_MS = 30_000;

/** As commander gives them: `config` is true where neither `--config` nor `--no-config` stands. */
type Given = Omit<Flags, 'config'> & { json?: boolean; config?: string | boolean };

export function addUp(program: Command, cli: Cli): void {
  withShared(program.command('up'))
    .summary('connect to the edge and serve')
    .description('Connects to the edge and serves. On a terminal it shows devices, instances, calls and money.')
    .option('--region <name>', 'where this machine is, shown to callers')
    .option('--max-instances <n>', 'instances at most (default: 4)')
    .option('--memory-mb <n>', 'MiB one program may have (default: no limit)')
    .option('--drain <seconds>', 'how long calls may run on at the end (default: 30)')
    .option('--maintenance', 'connect, but take no new work')
    .option('--pin <chute>', 'prefer owner/name, whatever it pays (again for more)', collect)
    .option('--forbid <chute>', 'never run owner/name (again for more)', collect)
    .option('--usd-per-kwh <usd>', 'what power costs; subtracted from what an offer pays')
    .option('--min-usd-per-hour <usd>', 'take nothing that is expected to earn less')
    .option('--engine-socket <path>', "socket of the container engine (default: Docker's and Podman's usual places)")
    .option('--runtime <name>', 'OCI runtime of containers, for example runsc')
    .option('--cache <folder>', 'where containers keep models between starts')
    .option('--weights <folder>', 'where models lie that chutes name as [weights]')
    .option('--allow-account <account>', 'run programs of this account with your rights (again for more)', collect)
    .option('--allow-code <sha256>', 'run this code folder with your rights (again for more)', collect)
    .option('--allow-all', "run anybody's programs with your rights; for closed networks only")
    .option('--url <chute=url>', 'serve owner/name with an engine that runs already (again for more)', collect)
    .addHelpText('after', HELP)
    .action((flags: Given) => up(flags, cli));
}

async function up({ json, config: file, ...flags }: Given, cli: Cli): Promise<void> {
  const config = checkConfig(readConfig(file === true || file === undefined ? flags : { ...flags, config: file }));
  const hotkey = loadHotkey(config.hotkeyFile);
  const view = new View(config, hotkey, cli);
  const display: Display = json === true ? jsonDisplay(cli.write) : cli.terminal ? view.display() : plainDisplay(cli.write);
  try {
    const { signal, provers } = cli;
    const desk = (desk: Desk) => view.watch(() => desk.status());
    await runAgent({ config, hotkey, tell: display.tell, signal, desk, ...(provers === undefined ? {} : { provers }) });
  } catch (error) {
    if (error instanceof AgentRefused)
      throw new Failure(1, 'refused', error.message, { hint: 'ripcord-miner doctor looks for what is wrong here.' });
    throw error;
  } finally {
    display.close();
    view.close();
  }
}

/** The live view: the agent's own status, and money and verdicts asked of the edge now and then. */
class View {
  readonly #config: Config;
  readonly #hotkey: Hotkey;
  readonly #cli: Cli;
  #status: () => Status | null = () => null;
  #edge: EdgeFacts | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(config: Config, hotkey: Hotkey, cli: Cli) {
    this.#config = config;
    this.#hotkey = hotkey;
    this.#cli = cli;
  }

  display(): Display {
    const { write, columns, rows, paint } = this.#cli;
    const outbound = new Outbound(this.#config.proxy);
    const look = async () => {
      this.#edge = await readEdgeFacts({ api: this.#config.api, hotkey: this.#hotkey, outbound });
    };
    void look();
    this.#timer = setInterval(() => void look(), FACTS_MS);
    const lines = (news: readonly string[]): string[] => {
      const status = this.#status();
      return status === null ? [...news] : screenLines({ status, edge: this.#edge, news }, paint);
    };
    return liveDisplay({ write, columns, rows, lines });
  }

  watch(status: () => Status): void {
    this.#status = status;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
