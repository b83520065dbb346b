/** Who counts as there in a slot (pure): devices of connected agents, what runs on them, and how much of it their chutes want. */
import type { Inventory } from '#protocol';
import { inTurns } from '../protocol/in-turns.ts';

/** An agent as its Miner object tells it. */
export interface Seen {
  agent: string;
  hotkey: string;
  inventory: Pick<Inventory, 'devices'>;
  instances: readonly SeenInstance[];
}

export interface SeenInstance {
  instance: string;
  chute: string;
  version: string;
  state: 'starting' | 'live' | 'draining';
  /** Devices that it runs on, as the agent says; absent: it does not say. */
  devices?: readonly string[];
}

/** How many instances of a chute its calls want, and how many serve it. */
export interface Wanted {
  wanted: number;
  live: number;
}

/** One device (`instance` empty) or one instance that is there. */
export interface Sighting {
  target: string;
  agent: string;
  hotkey: string;
  device: string;
  instance: string;
  body: DeviceFacts | InstanceFacts;
  /** Thousandths of the device that are wanted now. */
  need: number;
  serving: boolean;
}

export interface DeviceFacts {
  kind: 'cpu' | 'gpu';
  name: string;
  memory_mb: number;
}

export interface InstanceFacts {
  chute: string;
  version: string;
}

const WHOLE = 1000;

/** Devices first, each agent's in its own order. */
export function sightings(agents: readonly Seen[], wanted: ReadonlyMap<string, Wanted>): Sighting[] {
  return [...agents.flatMap((agent) => devicesOf(agent, wanted)), ...agents.flatMap(instancesOf)];
}

/** At most so many; where there are more, each hotkey has as many as any other: whoever names the most crowds out nobody else. */
export function shared(seen: readonly Sighting[], most: number): Sighting[] {
  return seen.length <= most ? [...seen] : inTurns(seen, (one) => one.hotkey).slice(0, most);
}

/** Thousandths of one live instance that its chute wants: all are alike, so that it does not matter whose is whose. */
export function needOf({ wanted, live }: Wanted): number {
  if (live <= 0) return 0;
  return Math.min(WHOLE, Math.floor((Math.min(wanted, live) * WHOLE) / live));
}

function devicesOf(seen: Seen, wanted: ReadonlyMap<string, Wanted>): Sighting[] {
  const live = seen.instances.filter((i) => i.state === 'live');
  const ids = new Set<string>();
  return seen.inventory.devices.flatMap((device): Sighting[] => {
    if (ids.has(device.id)) return [];
    ids.add(device.id);
    const own = live.filter((i) => runsOn(i, device.id, seen));
    const need = own.reduce((sum, i) => sum + needOf(wanted.get(i.chute) ?? { wanted: 0, live: 0 }), 0);
    return [
      {
        target: `${seen.agent}/${device.id}`,
        agent: seen.agent,
        hotkey: seen.hotkey,
        device: device.id,
        instance: '',
        body: { kind: device.kind, name: device.name, memory_mb: device.memoryMb },
        need: Math.min(WHOLE, need),
        serving: own.length > 0,
      },
    ];
  });
}

/** An agent that does not say runs its programs on its first device. */
function runsOn(instance: SeenInstance, device: string, { inventory }: Seen): boolean {
  const { devices } = instance;
  return devices === undefined || devices.length === 0 ? inventory.devices[0]?.id === device : devices.includes(device);
}

function instancesOf(seen: Seen): Sighting[] {
  return seen.instances
    .filter((i) => i.state === 'live')
    .map((i) => ({
      target: i.instance,
      agent: seen.agent,
      hotkey: seen.hotkey,
      device: '',
      instance: i.instance,
      body: { chute: i.chute, version: i.version },
      need: 0,
      serving: true,
    }));
}
