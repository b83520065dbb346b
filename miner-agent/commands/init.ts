/** `ripcord-miner init`: looks what this machine has and writes a config that fits, every field explained. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir, totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import type { Inventory } from '#protocol';
import { usage } from '../../cli/failure.ts';
import { table } from '../../cli/show.ts';
import { ConfigError } from '../config.ts';
import { defaultFile, pathOf } from '../config/file.ts';
import { sampleConfig } from '../config/sample.ts';
import { many, memory } from '../display/text.ts';
import { createHotkeyFile, loadHotkey } from '../identity/hotkey.ts';
import { readGpus, takeInventory } from '../inventory.ts';
import { askProgram } from '../inventory/ask.ts';
import { findWallets, type WalletHotkey } from '../inventory/wallets.ts';
import { failureOf as netFailure } from '../net/outbound.ts';
import { probeEngine } from '../runtimes/container/probe.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';

const HELP = `
It asks nothing and starts nothing. Without --hotkey it takes the first hotkey of your wallets; without any:
  ripcord register alice                       makes a hotkey, and an account for it
  ripcord-miner init --new-hotkey ./hk.json    makes a hotkey alone

Example:
  $ ripcord-miner init --api https://edge.example
  $ ripcord-miner up
`;

interface Options {
  out?: string;
  force?: boolean;
  newHotkey?: string;
}

/** One row of what was found. */
interface Finding {
  what: string;
  found: string;
}

export function addInit(program: Command, cli: Cli): void {
  withShared(program.command('init'))
    .summary('find GPUs, engine and wallet; write a config')
    .description('Finds GPUs, the container engine, disk, memory and wallets, and writes a config with every field explained.')
    .option('--out <file>', 'where to write it (default: ~/.ripcord/miner.toml)')
    .option('--force', 'overwrite what is there')
    .option('--new-hotkey <file>', 'make a hotkey in this file')
    .option('-y, --yes', 'for scripts; nothing is asked anyway')
    .addHelpText('after', HELP)
    // What stands in an old config is not what this machine has.
    .action((options: Options, command: Command) => init(options, new Setting(command.setOptionValue('config', false)), cli));
}

async function init(options: Options, setting: Setting, cli: Cli): Promise<void> {
  const out = pathOf(options.out ?? defaultFile());
  if (existsSync(out) && options.force !== true)
    throw usage('file_exists', `${out} is there already.`, { hint: 'ripcord-miner up reads it. --force writes it anew, --out another.' });
  const api = setting.raw.api ?? process.env['RIPCORD_API'] ?? null;
  const wallets = findWallets();
  const hotkey = hotkeyOf(options, setting, wallets);
  const [inventory, gpus, engine, network] = await Promise.all([
    takeInventory({ region: 'unknown', dataFolder: setting.dataFolder, hasEngines: false, engine: null }),
    readGpus(),
    probeEngine(setting.raw.engine_socket ?? null),
    reach(api, setting),
  ]);
  const address = hotkey === null ? null : loadHotkey(hotkey).ss58;
  const findings = [
    ...machineFindings(inventory, gpus.note, setting.dataFolder),
    {
      what: 'Containers',
      found:
        engine === null
          ? await withoutEngine()
          : `${engine.name} ${engine.version}${engine.rootless ? ', without root' : ''}  ${engine.socket}`,
    },
    ...(inventory.toolkit === undefined ? [] : [{ what: 'GPU toolkit', found: `NVIDIA container toolkit ${inventory.toolkit}` }]),
    { what: 'Hotkey', found: address === null ? 'none found' : `${address}  ${short(hotkey ?? '')}${others(wallets, hotkey)}` },
    { what: 'Network', found: network },
  ];
  mkdirSync(dirname(out), { recursive: true, mode: 0o700 });
  const summary = findings.slice(0, -1).map(({ what, found }) => `${what}: ${found}`);
  const file = { api, hotkey: hotkey === null ? null : short(hotkey), name: setting.name, engineSocket: engine?.socket ?? null, summary };
  writeFileSync(out, sampleConfig(file), { mode: 0o600 });
  const next = nextOf(api, address, out);
  const value = {
    config: out,
    api,
    hotkey: address,
    hotkey_file: hotkey,
    name: setting.name,
    inventory,
    gpu_note: gpus.note,
    engine,
    wallets,
    next,
  };
  const rows = findings.map(({ what, found }) => [what, found]);
  result(
    cli,
    setting,
    value,
    `${table(['FOUND', ''], rows)}\n\nWrote ${out}, with every field explained.\n\n${cli.paint('bold', 'Next')}\n${next.map((line) => `  ${line}`).join('\n')}`,
  );
}

/** The one that was named, or is to be made, or the first of the wallets; null: there is none. */
function hotkeyOf(options: Options, { raw }: Setting, wallets: readonly WalletHotkey[]): string | null {
  if (options.newHotkey !== undefined) {
    if (raw.hotkey !== undefined) throw new ConfigError('give --hotkey or --new-hotkey, not both');
    const file = pathOf(options.newHotkey);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    createHotkeyFile(file);
    return file;
  }
  return raw.hotkey === undefined ? (wallets[0]?.file ?? null) : pathOf(raw.hotkey);
}

function machineFindings({ devices, cpus, memoryMb, diskFreeMb }: Inventory, note: string | null, data: string): Finding[] {
  const gpus = devices.filter((device) => device.kind === 'gpu');
  const cpu = devices.find((device) => device.kind === 'cpu')?.name ?? 'CPU';
  const [first] = gpus;
  const facts = gpus.map(({ name, memoryMb: mb, pcieGen, pcieLanes, watts }) => {
    const pcie = pcieGen === undefined || pcieLanes === undefined ? '' : `, PCIe ${pcieGen}.0 x${pcieLanes}`;
    return { what: 'GPU', found: `${name}, ${memory(mb)}${pcie}${watts === undefined ? '' : `, ${watts} W`}` };
  });
  return [
    ...(facts.length === 0 ? [{ what: 'GPU', found: note ?? 'none; chutes for CPUs can run here' }] : facts),
    ...(first?.driver === undefined ? [] : [{ what: 'Driver', found: `NVIDIA ${first.driver}${note === null ? '' : `; ${note}`}` }]),
    { what: 'CPU', found: `${cpu}, ${many(cpus ?? 1, 'thread')}` },
    { what: 'Memory', found: memory(memoryMb ?? Math.floor(totalmem() / 2 ** 20)) },
    { what: 'Disk', found: diskFreeMb === undefined ? 'unknown' : `${memory(diskFreeMb)} free for ${short(data)}` },
  ];
}

/** Podman is often installed with nobody listening. */
async function withoutEngine(): Promise<string> {
  const podman = await askProgram('podman', ['--version']);
  return podman.problem === null
    ? 'podman is installed, its service does not run: systemctl --user enable --now podman.socket'
    : 'none; images cannot run here: install Podman (no root needed) or Docker';
}

function others(wallets: readonly WalletHotkey[], chosen: string | null): string {
  const rest = wallets.filter(({ file }) => file !== chosen).length;
  return rest === 0 || chosen === null ? '' : `  (${many(rest, 'other')} under ~/.bittensor/wallets)`;
}

/** Whether the edge answers, and how fast. */
async function reach(api: string | null, setting: Setting): Promise<string> {
  if (api === null) return 'not tried: give --api';
  const started = performance.now();
  try {
    const { status } = await setting.outbound().ask(new URL('/health', api), { timeoutMs: 5_000, maxBytes: 64 * 1024 });
    return `${api} answers in ${Math.round(performance.now() - started)} ms${status === 200 ? '' : ` with ${status}`}`;
  } catch (error) {
    return `${api} does not answer (${netFailure(error)})`;
  }
}

function nextOf(api: string | null, hotkey: string | null, out: string): string[] {
  const config = out === defaultFile() ? '' : ` --config ${short(out)}`;
  const steps = [
    ...(api === null ? [[`edit ${short(out)}`, 'write api = "https://…", the edge to serve']] : []),
    ...(hotkey === null
      ? [
          ['ripcord-miner init --force --new-hotkey ~/.ripcord/hotkey.json', 'a hotkey of its own, or write hotkey = "…"'],
          ['ripcord register NAME', 'or a hotkey with an account'],
        ]
      : []),
    [`ripcord-miner up${config}`, 'joins'],
    [`ripcord-miner doctor${config}`, 'says what is in the way'],
  ];
  return table(steps[0] ?? [], steps.slice(1)).split('\n');
}

function short(path: string): string {
  const home = `${homedir()}/`;
  return path.startsWith(home) ? `~/${path.slice(home.length)}` : path;
}
