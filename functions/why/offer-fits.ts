/** Why a machine could not run an offer even if nothing else ran on it, by what it says of itself. Pure. */
import { deviceFits, type Device, type GpuNeed, type Inventory, type WhyCode } from '#protocol';
import type { Offer } from '../calls/ports.ts';

/** Of an offer, what a machine must have. */
export type Needs = Pick<Offer, 'gpu' | 'runtime' | 'memory_mb' | 'disk_gb'>;

/** The first thing that is missing; null: it could. What its operator allows only the agent knows. */
export function lack(offer: Needs, inventory: Inventory): WhyCode | null {
  const { runtimes, devices } = inventory;
  // An engine of the miner's own may serve anything; the agent knows what.
  const engine = runtimes.includes('url');
  if (offer.runtime === 'image' && !engine && !runtimes.includes('docker')) return 'no_engine';
  const gpu = offer.gpu === null || offer.gpu === undefined ? null : gpuLack(offer.gpu, devices);
  if (gpu !== null) return gpu;
  const ram = inventory.memoryMb ?? devices.find((device) => device.kind === 'cpu')?.memoryMb;
  if (more(offer.memory_mb, ram)) return 'memory_short';
  return more(offer.disk_gb, inventory.diskFreeMb === undefined ? undefined : Math.floor(inventory.diskFreeMb / 1024)) ? 'disk_full' : null;
}

function gpuLack(need: GpuNeed, devices: readonly Device[]): WhyCode | null {
  if (ofOneKind(need, devices) >= need.count) return null;
  if (!devices.some((device) => device.kind === 'gpu')) return 'no_gpu';
  return ofOneKind({ ...need, include: [], exclude: [] }, devices) >= need.count ? 'gpu_kind' : 'vram_short';
}

/** Several GPUs for one instance must be of one kind. */
function ofOneKind(need: GpuNeed, devices: readonly Device[]): number {
  const kinds = Map.groupBy(
    devices.filter((device) => deviceFits(need, device)),
    (device) => device.name,
  );
  return Math.max(0, ...[...kinds.values()].map((kind) => kind.length));
}

function more(need: number | null | undefined, has: number | undefined): boolean {
  return typeof need === 'number' && has !== undefined && need > has;
}
