/** Whether an agent has what a chute needs. What it claims to have is proven elsewhere; here only nonsense is kept out. */
import { deviceFits, type ChuteConfig, type Inventory } from '#protocol';

/**
 * How many instances of the chute the agent could run at once by its inventory; 0 means not eligible.
 * @param inventory - as the agent declared it
 */
export function capacity(config: ChuteConfig, inventory: Inventory): number {
  if (!runs(config, inventory)) return 0;
  return Math.min(byGpu(config, inventory), byMemory(config, inventory), byDisk(config, inventory));
}

function byGpu({ gpu }: ChuteConfig, { devices }: Inventory): number {
  if (gpu === undefined) return Number.POSITIVE_INFINITY;
  return Math.floor(devices.filter((device) => deviceFits(gpu, device)).length / gpu.count);
}

/** An agent that does not tell its memory is believed to have enough. */
function byMemory({ memory_mb }: ChuteConfig, { memoryMb }: Inventory): number {
  return memory_mb === undefined || memoryMb === undefined ? Number.POSITIVE_INFINITY : Math.floor(memoryMb / memory_mb);
}

/** What is free already lacks what its other instances fill. */
function byDisk({ disk_gb }: ChuteConfig, { diskFreeMb }: Inventory): number {
  return disk_gb === undefined || diskFreeMb === undefined || diskFreeMb >= disk_gb * 1024 ? Number.POSITIVE_INFINITY : 0;
}

/** `url` stands for an engine that the miner runs itself and vouches for. */
function runs(config: ChuteConfig, inventory: Inventory): boolean {
  if (inventory.runtimes.includes('url') || inventory.runtimes.includes('docker')) return true;
  return config.command !== undefined && inventory.runtimes.includes('process');
}
