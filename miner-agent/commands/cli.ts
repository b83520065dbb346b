/** What every command has: one set of options, the config behind them, a way to print, and one way to fail. */
import { styleText } from 'node:util';
import type { Command } from 'commander';
import { Failure, usage } from '../../cli/failure.ts';
import { ConfigError, checkConfig, placeOf, proxies, readConfig } from '../config.ts';
import type { Config, Flags } from '../config.ts';
import type { RawConfig } from '../config/file.ts';
import { ControlRefused, NotRunning } from '../control/client.ts';
import { KeyfileError, loadHotkey } from '../identity/hotkey.ts';
import { MoneyRefused, type MoneyEdge } from '../money/edge.ts';
import { Outbound } from '../net/outbound.ts';
import type { Provers } from '../prover/provers.ts';

export type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow', text: string) => string;

export interface Cli {
  readonly write: (text: string) => void;
  /** Whether somebody watches standard output. */
  readonly terminal: boolean;
  readonly columns: () => number;
  readonly rows: () => number;
  paint: Paint;
  /** Aborted by the first Ctrl-C or SIGTERM, for a command that ends in order. */
  readonly signal: AbortSignal;
  /** What proves the devices of `up`; those that come with the agent where nothing is said. */
  readonly provers?: Provers;
}

export interface Shared extends Pick<Flags, 'api' | 'hotkey' | 'data' | 'name' | 'proxy'> {
  /** True where neither `--config` nor `--no-config` stands. */
  config?: string | boolean;
  json?: boolean;
}

/** The options that every command takes. */
export function withShared(command: Command): Command {
  return command
    .option('--api <url>', 'origin of the edge')
    .option('--hotkey <file>', 'Bittensor hotkey file')
    .option('--config <file>', 'TOML file with any of these (default: ~/.ripcord/miner.toml, if there)')
    .option('--no-config', 'not even the file at the default place')
    .option('--data <folder>', 'where the agent keeps its things (default: ~/.ripcord/miner/NAME)')
    .option('--name <name>', 'this machine within the hotkey (default: the host name)')
    .option('--proxy <url>', 'HTTP proxy that leads out (else HTTPS_PROXY)')
    .option('--json', 'JSON on stdout, a failure as {"error":{…}} on stderr')
    .exitOverride();
}

/** The config of one command line, read as far as the command needs it. */
export class Setting {
  readonly json: boolean;
  readonly raw: RawConfig;
  readonly dataFolder: string;
  readonly name: string;
  #outbound: Outbound | null = null;

  /** Throws `ConfigError`. */
  constructor(command: Command) {
    const { api, hotkey, config, data, name, proxy, json } = command.optsWithGlobals<Shared>();
    this.json = json === true;
    this.raw = readConfig(given({ api, hotkey, config: config === true ? undefined : config, data, name, proxy }));
    ({ name: this.name, dataFolder: this.dataFolder } = placeOf(this.raw));
  }

  config(): Config {
    return checkConfig(this.raw);
  }

  outbound(): Outbound {
    return (this.#outbound ??= new Outbound(proxies(this.raw)));
  }

  /** Throws `ConfigError` or `KeyfileError`. */
  edge(): MoneyEdge {
    const { api, hotkeyFile } = this.config();
    return { api, hotkey: loadHotkey(hotkeyFile), outbound: this.outbound() };
  }
}

/** JSON for programs, text for people. */
export function result(cli: Cli, { json }: Pick<Setting, 'json'>, value: unknown, text: string): void {
  cli.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`);
}

export function paintFor(terminal: boolean, env: NodeJS.ProcessEnv): Paint {
  const plain = !terminal || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return (style, text) => (plain ? text : styleText(style, text, { validateStream: false }));
}

/** Every expected way to fail as a code, a cause and the next step; null: a bug. */
export function failureOf(error: unknown): Failure | null {
  if (error instanceof Failure) return error;
  if (error instanceof ConfigError)
    return usage('usage', error.message, { hint: 'ripcord-miner init writes a config; --help shows the options of a command.' });
  if (error instanceof KeyfileError)
    return usage('usage', error.message, {
      hint: 'ripcord-miner init --new-hotkey FILE makes one; ripcord register makes one with an account.',
    });
  if (error instanceof NotRunning)
    return new Failure(3, 'not_running', `${capital(error.message)}.`, {
      hint: 'Start it: ripcord-miner up. With --name or --data it is looked for elsewhere.',
    });
  if (error instanceof ControlRefused) return new Failure(1, error.code, `${capital(error.message)}.`);
  if (error instanceof MoneyRefused)
    return new Failure(error.code === 'unreachable' ? 3 : 1, error.code, error.message, error.hint === '' ? {} : { hint: error.hint });
  return null;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function given(flags: { [F in keyof Flags]: Flags[F] | undefined }): Flags {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}
