/** How a grant is run here: by which runtime, on which devices. The offer said what the strategy needed; the grant is checked again, in full. */
import { WHY } from '#protocol';
import type { Device, Grant, Inventory } from '#protocol';
import { refusalOf } from './allow.ts';
import type { Config } from './config.ts';
import type { Instance, Plan, Way } from './instances.ts';
import type { Granted } from './market-follower.ts';
import type { Containers } from './runtimes/container/containers.ts';
import type { PidNotes } from './runtimes/leftovers.ts';
import { processRuntime } from './runtimes/process.ts';
import { StartFailed } from './runtimes/runtime.ts';
import { urlRuntime } from './runtimes/url.ts';
import { pack } from './strategy/packing.ts';

/** What one file and all open files of a program may come to. */
const FILE_MB = 4096;
const OPEN_FILES = 4096;

export interface Here {
  config: Config;
  inventory: Inventory;
  running: readonly Instance[];
  /** Null: no container engine answers. */
  containers: Containers | null;
  notes: PidNotes;
  leaving: boolean;
}

/** Throws `StartFailed` with what the chute's owner may see. `granted`: what the claim was for; null: nobody here knows it any more. */
export function planOf(grant: Grant, granted: Granted | null, here: Here): Plan {
  if (here.leaving) throw new StartFailed('the agent is leaving');
  if (here.running.length >= here.config.maxInstances) throw new StartFailed('no room for another instance');
  return { ...placeOf(grant, granted, here), ...wayOf(grant, here) };
}

function wayOf({ spec }: Grant, { config, containers, notes }: Here): Way {
  const slots = spec.config.concurrency;
  const engine = config.engines.find((e) => e.chute === spec.name);
  if (engine !== undefined) return { runtime: 'url', slots: engine.slots ?? slots, make: (context) => urlRuntime(engine.url, context) };
  if (spec.config.command === undefined) {
    if (containers === null) throw new StartFailed(WHY.no_engine.text);
    return { runtime: 'docker', slots, make: (context) => containers.runtime(context) };
  }
  const { account, name, code } = spec;
  const refusal = refusalOf(config.allow, { account, name, code: code?.sha256 ?? null, config: spec.config });
  if (refusal !== null) throw new StartFailed(`refused by the miner: ${refusal}`);
  const limits = { memoryMb: config.memoryMb, fileMb: FILE_MB, openFiles: OPEN_FILES };
  return { runtime: 'process', slots, make: (context) => processRuntime(context, limits, notes) };
}

/** The devices that the claim was for, if the spec fits them and they are still free; else others. */
function placeOf({ spec }: Grant, granted: Granted | null, { inventory, running }: Here): Pick<Plan, 'devices' | 'expected'> {
  const need = spec.config.gpu ?? null;
  const taken = new Set(running.flatMap((instance) => instance.devices));
  const free = (device: Device): boolean => !taken.has(device.id);
  const claimed = inventory.devices.filter((device) => granted?.devices.includes(device.id));
  const devices = pack(need, claimed, free) ?? pack(need, inventory.devices, free);
  if (devices === null) throw new StartFailed('the GPUs that would fit are in use');
  return { devices, expected: granted?.expectedNanoUsdHour ?? 0 };
}
