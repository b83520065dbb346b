/** Whether an agent has what a chute needs. What it claims to have is proven elsewhere; here only nonsense is kept out. */
import { deviceFits, type ChuteConfig, type Inventory } from '#protocol';

/**
 * How many instances of the chute the agent could run at once by its inventory; 0 means not eligible.
 * @param inventory - as the agent declared it
 */
export function capacity(config: ChuteConfig, inventory: Inventory): number {
  if (!runs(config, inventory)) return 0;
  const { gpu } = config;
  if (gpu === undefined) return Number.POSITIVE_INFINITY;
  const fit = inventory.devices.filter((device) => deviceFits(gpu, device));
  return Math.floor(fit.length / gpu.count);
}

/** `url` stands for an engine that the miner runs itself and vouches for. */
function runs(config: ChuteConfig, inventory: Inventory): boolean {
  if (inventory.runtimes.includes('url') || inventory.runtimes.includes('docker')) return true;
  return config.command !== undefined && inventory.runtimes.includes('process');
}
