/** What this machine has, as the kernel, the driver and the container engine say. */
import { arch, cpus, platform, totalmem } from 'node:os';
import { NEWEST_AGENT, type Device, type Inventory } from '#protocol';
import { askProgram } from './inventory/ask.ts';
import { diskFreeMb } from './inventory/disk.ts';
import { parseGpus, parseToolkit, problemOf, QUERY, type Gpus } from './inventory/nvidia.ts';

/** Of the tree it is built from. */
export const AGENT_VERSION = NEWEST_AGENT;

/** In the place of an engine's name: there is one, and it does not answer. It is no runtime then. */
export const SILENT_ENGINE = 'does not answer';

export interface InventoryAsk {
  region: string;
  /** The operator runs engines of their own. */
  hasEngines: boolean;
  /** Where instances keep files. */
  dataFolder: string;
  /** The container engine that answers, `docker 28.2.2`; null: none. */
  engine: string | null;
}

export async function takeInventory({ region, hasEngines, dataFolder, engine }: InventoryAsk): Promise<Inventory> {
  const [gpus, toolkit] = await Promise.all([readGpus(), readToolkit()]);
  const memoryMb = Math.floor(totalmem() / 2 ** 20);
  const cpu: Device = { id: 'cpu0', kind: 'cpu', name: (cpus()[0]?.model ?? 'CPU').slice(0, 128), memoryMb };
  const free = diskFreeMb(dataFolder);
  return {
    agentVersion: AGENT_VERSION,
    platform: `${platform()}-${arch()}`,
    runtimes: ['process', ...(hasEngines ? (['url'] as const) : []), ...(engine === null ? [] : (['docker'] as const))],
    devices: [cpu, ...gpus.devices],
    region,
    cpus: cpus().length,
    memoryMb,
    ...(free === null ? {} : { diskFreeMb: free }),
    ...(engine === null ? {} : { engine: engine.slice(0, 64) }),
    ...(toolkit === null ? {} : { toolkit }),
  };
}

/** Devices, or the reason in one line why there are none; null as a note: there is no NVIDIA driver at all, or nothing to say. */
export async function readGpus(): Promise<Gpus> {
  const said = await askProgram('nvidia-smi', [`--query-gpu=${QUERY.join(',')}`, '--format=csv,noheader,nounits']);
  if (said.problem === null) return parseGpus(said.text);
  const note =
    said.problem === 'missing' ? null : said.problem === 'timeout' ? 'nvidia-smi does not answer; the driver hangs' : problemOf(said.text);
  return { devices: [], note };
}

/** Version of the NVIDIA container toolkit; null: not installed. */
async function readToolkit(): Promise<string | null> {
  const ctk = await askProgram('nvidia-ctk', ['--version']);
  if (ctk.problem === null) return parseToolkit(ctk.text);
  const cli = await askProgram('nvidia-container-cli', ['--version']);
  return cli.problem === null ? parseToolkit(cli.text) : null;
}
