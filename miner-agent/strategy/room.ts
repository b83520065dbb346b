/** What of the machine is left as one look goes through the offers. */
import type { Device, WhyCode } from '#protocol';
import type { MarketOffer } from '../market.ts';
import { pack } from './packing.ts';
import type { Refusal } from './packing.ts';
import type { World } from './world.ts';

export class Room {
  readonly #devices: readonly Device[];
  readonly #taken: Set<string>;
  readonly #most: number;
  #instances: number;
  /** MiB of RAM and GB of disk not spoken for; null: unknown. */
  #memoryMb: number | null;
  #diskGb: number | null;

  constructor({ inventory, running, claiming, wishes }: Pick<World, 'inventory' | 'running' | 'claiming' | 'wishes'>) {
    this.#devices = inventory.devices;
    this.#taken = new Set([...running, ...claiming.values()].flatMap((r) => r.devices));
    this.#most = wishes.maxInstances;
    this.#instances = running.length + claiming.size;
    const sum = (of: 'memoryMb' | 'diskGb') => running.reduce((n, r) => n + r[of], 0);
    const ram = inventory.memoryMb ?? inventory.devices.find((d) => d.kind === 'cpu')?.memoryMb;
    this.#memoryMb = ram === undefined ? null : ram - sum('memoryMb');
    this.#diskGb = inventory.diskFreeMb === undefined ? null : Math.floor(inventory.diskFreeMb / 1024) - sum('diskGb');
  }

  isFree = (device: Device): boolean => !this.#taken.has(device.id);

  /** The devices it would get, or why there is no room. */
  place(offer: MarketOffer): Device[] | Refusal {
    const { memory_mb: memoryMb, disk_gb: diskGb } = offer;
    if (this.#instances >= this.#most) return no('full', `${this.#most} instances is the most you allow`);
    if (over(memoryMb, this.#memoryMb)) return no('memory_short', `it needs ${memoryMb} MB of memory; ${this.#memoryMb} MB are left`);
    if (over(diskGb, this.#diskGb)) return no('disk_full', `it needs ${diskGb} GB of disk; ${this.#diskGb} GB are left`);
    return pack(offer.gpu, this.#devices, this.isFree) ?? no('gpu_busy', 'the GPUs that would fit are in use');
  }

  take(offer: MarketOffer, devices: readonly Device[]): void {
    for (const device of devices) this.#taken.add(device.id);
    this.#instances++;
    if (this.#memoryMb !== null) this.#memoryMb -= offer.memory_mb ?? 0;
    if (this.#diskGb !== null) this.#diskGb -= offer.disk_gb ?? 0;
  }
}

function over(need: number | null | undefined, left: number | null): boolean {
  return typeof need === 'number' && left !== null && need > left;
}

function no(code: WhyCode, reason: string): Refusal {
  return { code, reason };
}
