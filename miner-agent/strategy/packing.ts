/** Which devices an instance gets: as few and as small as fit, and of one kind where it needs several. */
import { deviceFits, type Device, type GpuNeed, type WhyCode } from '#protocol';

export interface Refusal {
  code: WhyCode;
  reason: string;
}

/** The devices for this need, out of those that are free; null: not enough of one kind are. */
export function pack(need: GpuNeed | null, devices: readonly Device[], free: (device: Device) => boolean): Device[] | null {
  if (need === null) return [];
  const groups = kinds(need, devices)
    .map((kind) => ({ all: kind.length, free: kind.filter(free) }))
    .filter((kind) => kind.free.length >= need.count);
  // Among equals the kind with the fewest left: what is together stays together for a need of several.
  groups.sort((a, b) => size(a.free) - size(b.free) || draw(a.free) - draw(b.free) || a.free.length - b.free.length);
  return groups[0]?.free.slice(0, need.count) ?? null;
}

/** Devices that fit, by name: several for one instance must be of one kind. */
export function kinds(need: GpuNeed, devices: readonly Device[]): Device[][] {
  const byName = new Map<string, Device[]>();
  for (const device of devices) {
    if (!deviceFits(need, device)) continue;
    const kind = byName.get(device.name);
    if (kind === undefined) byName.set(device.name, [device]);
    else kind.push(device);
  }
  return [...byName.values()];
}

/** Why this machine could not run it even if nothing else ran. */
export function misfit(need: GpuNeed, devices: readonly Device[]): Refusal | null {
  if (kinds(need, devices).some((kind) => kind.length >= need.count)) return null;
  const gpus = devices.filter((d) => d.kind === 'gpu');
  if (gpus.length === 0) return { code: 'no_gpu', reason: 'it needs a GPU; this machine shows none' };
  const anyKind = { ...need, include: [], exclude: [] };
  if (kinds(anyKind, devices).some((kind) => kind.length >= need.count)) {
    const named = need.include.length > 0 ? `one of ${need.include.join(', ')}` : `none of ${need.exclude.join(', ')}`;
    return { code: 'gpu_kind', reason: `it wants ${named}; this machine has ${[...new Set(gpus.map((d) => d.name))].join(', ')}` };
  }
  const fit = Math.max(0, ...kinds(anyKind, devices).map((kind) => kind.length));
  return {
    code: 'vram_short',
    reason: `it needs ${need.count} GPU${need.count > 1 ? 's of one kind' : ''} with ${need.min_vram_gb} GB; this machine has ${fit}`,
  };
}

function size(devices: readonly Device[]): number {
  return devices[0]?.memoryMb ?? 0;
}

function draw(devices: readonly Device[]): number {
  return devices[0]?.watts ?? 0;
}
