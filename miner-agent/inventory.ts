/** What this machine has, as the kernel and the driver say. */
import { execFile } from 'node:child_process';
import { arch, cpus, platform, totalmem } from 'node:os';
import type { Device, Inventory } from '#protocol';

export const AGENT_VERSION = '0.1.0';

export async function takeInventory(region: string, hasEngines: boolean): Promise<Inventory> {
  const cpu: Device = {
    id: 'cpu0',
    kind: 'cpu',
    name: (cpus()[0]?.model ?? 'CPU').slice(0, 128),
    memoryMb: Math.floor(totalmem() / 2 ** 20),
  };
  return {
    agentVersion: AGENT_VERSION,
    platform: `${platform()}-${arch()}`,
    runtimes: hasEngines ? ['process', 'url'] : ['process'],
    devices: [cpu, ...(await gpus())],
    region,
  };
}

function gpus(): Promise<Device[]> {
  const args = ['--query-gpu=uuid,name,memory.total', '--format=csv,noheader,nounits'];
  return new Promise((resolve) => {
    execFile('nvidia-smi', args, { timeout: 5_000, maxBuffer: 64 * 1024 }, (error, stdout) =>
      resolve(error === null ? parseGpus(stdout) : []),
    );
  });
}

/** Lines of `uuid, name, MiB`; at most as many as the wire takes. */
export function parseGpus(text: string): Device[] {
  return text
    .trim()
    .split('\n')
    .slice(0, 63)
    .flatMap((line) => {
      const [id = '', name = '', memory = ''] = line.split(',').map((part) => part.trim());
      const memoryMb = Number(memory);
      if (id === '' || !Number.isSafeInteger(memoryMb) || memoryMb <= 0) return [];
      return [{ id: id.slice(0, 64), kind: 'gpu' as const, name: name.slice(0, 128), memoryMb }];
    });
}
