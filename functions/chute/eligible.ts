/** Whether an agent has what a chute needs. What it claims to have is proven elsewhere; here only nonsense is kept out. */
import type { ChuteConfig, Device, Inventory } from '#protocol';

/** Share of the named memory a driver must report: a "16 GB" card says 15,360 MiB. */
const MEMORY_TOLERANCE = 0.9375;

/**
 * How many instances of the chute the agent could run at once by its inventory; 0 means not eligible.
 * @param inventory - as the agent declared it
 */
export function capacity(config: ChuteConfig, inventory: Inventory): number {
  if (!runs(config, inventory)) return 0;
  const { gpu } = config;
  if (gpu === undefined) return Number.POSITIVE_INFINITY;
  const fit = inventory.devices.filter(
    (device) =>
      device.kind === 'gpu' && device.memoryMb >= gpu.min_vram_gb * 1024 * MEMORY_TOLERANCE && named(device, gpu.include, gpu.exclude),
  );
  return Math.floor(fit.length / gpu.count);
}

/** `url` stands for an engine that the miner runs itself and vouches for. */
function runs(config: ChuteConfig, inventory: Inventory): boolean {
  if (inventory.runtimes.includes('url') || inventory.runtimes.includes('docker')) return true;
  return config.command !== undefined && inventory.runtimes.includes('process');
}

function named(device: Device, include: string[], exclude: string[]): boolean {
  const name = plain(device.name);
  const has = (word: string): boolean => plain(word) !== '' && name.includes(plain(word));
  return (include.length === 0 || include.some(has)) && !exclude.some(has);
}

/** `NVIDIA H100 80GB` and `h100-80gb` are one name. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}
