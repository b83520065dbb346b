/** `ripcord-miner status`: the running agent, its money and its verdicts. */
import type { Command } from 'commander';
import { NotRunning, askAgent } from '../control/client.ts';
import { statusSchema, type Status } from '../control/status.ts';
import { screenLines } from '../display/screen.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';
import { readEdgeFacts, type EdgeFacts } from './edge.ts';
import { watch } from './watch.ts';

/** Milliseconds for which an answer of the edge stands while `--watch` looks. */
const FACTS_MS = 30_000;

const NO_FACTS: EdgeFacts = { earnings: null, miner: null, proofs: null, day: null, problem: null };

export function addStatus(program: Command, cli: Cli): void {
  withShared(program.command('status'))
    .summary('devices, instances, calls, earnings, verdicts')
    .description(
      'What runs here and what it earns: from the agent where it runs, and from the edge.\nWithout a running agent, what the edge knows of the hotkey.',
    )
    .option('-w, --watch', 'look again each second, until Ctrl-C')
    .action(async (options: { watch?: boolean }, command: Command) => {
      const setting = new Setting(command);
      const edge = new Facts(setting);
      const look = async () => {
        const status = await runningStatus(setting.dataFolder);
        const facts = await edge.read(status === null);
        const { earnings, miner, proofs, day, problem } = facts ?? NO_FACTS;
        return {
          value: {
            running: status !== null,
            agent: status,
            earnings,
            day_nanousd: day === null ? null : String(day),
            miner,
            proofs,
            problem,
          },
          text: screenLines({ status, edge: facts, news: [] }, cli.paint).join('\n'),
        };
      };
      if (options.watch === true) return watch(cli, setting, look);
      const { value, text } = await look();
      result(cli, setting, value, text);
    });
}

/** Null: none runs with this data folder. */
export async function runningStatus(dataFolder: string): Promise<Status | null> {
  try {
    return await askAgent(dataFolder, ['GET', '/status'], statusSchema);
  } catch (error) {
    if (error instanceof NotRunning) return null;
    throw error;
  }
}

class Facts {
  readonly #setting: Setting;
  #read: { facts: EdgeFacts; at: number } | null = null;

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  /** `needed`: without an edge and a hotkey there is nothing to show. */
  async read(needed: boolean): Promise<EdgeFacts | null> {
    const { raw } = this.#setting;
    if (!needed && (raw.api === undefined || raw.hotkey === undefined)) return null;
    if (this.#read !== null && Date.now() - this.#read.at < FACTS_MS) return this.#read.facts;
    const facts = await readEdgeFacts(this.#setting.edge());
    this.#read = { facts, at: Date.now() };
    return facts;
  }
}
