/**
 * When an instance is given up for a better offer. Only one that runs no call, has been quiet or live for long, and only so
 * many times a day per device; the offer must be better by a factor and have stood so long that no free device wants it. Sooner for a
 * chute that nothing serves while calls wait.
 */
import type { Device } from '#protocol';
import type { MarketOffer } from '../market.ts';
import { earnsNow, startMs } from './earnings.ts';
import { kinds, pack } from './packing.ts';
import { PARAMETERS as P } from './parameters.ts';
import { listed, startOf } from './world.ts';
import type { Running, World } from './world.ts';

/** The device that switches of instances without a GPU are counted by. */
const CPU = 'cpu';

/** Whether this one may be given up at all. */
export function mayGo(running: Running, world: Pick<World, 'wishes' | 'now' | 'switches'>, idleMs: number = P.idleMs): boolean {
  const { wishes, now, switches } = world;
  if (running.state !== 'live' || running.busy > 0 || listed(wishes.pin, running.name)) return false;
  if (quietMs(running, now) < idleMs && now - running.since < P.liveMs) return false;
  const spent = (id: string) => (switches.get(id) ?? []).filter((at) => now - at < P.dayMs).length;
  return counted(running).every((id) => spent(id) < P.switches);
}

/** Milliseconds without a call. */
function quietMs({ since, lastCallAt }: Running, now: number): number {
  return now - Math.max(since, lastCallAt ?? 0);
}

/** Device ids that a switch of it is counted by. */
export function counted(running: Pick<Running, 'devices'>): string[] {
  return running.devices.length === 0 ? [CPU] : [...running.devices];
}

/**
 * The instances to give up so that the offer fits; empty: none, it waits. `expected`: nano-USD an hour of the offer here.
 * @param full - there is no room for one more instance, so one must go even where a device is free
 */
export function giveUp(offer: MarketOffer, expected: number, world: World, isFree: (d: Device) => boolean, full: boolean): Running[] {
  const pinned = listed(world.wishes.pin, offer.name);
  const haste = hurries(offer, world);
  const age = world.now - offer.since;
  const worth = new Map<Running, number>();
  for (const r of world.running) {
    // Not one of the same chute: it wants more instances, not another one.
    if (r.chute === offer.chute || !mayGo(r, world, haste ? P.hasteIdleMs : P.idleMs)) continue;
    // Of all machines the one that was quiet for longest comes first, and the others see that the need is met.
    const stood = haste ? P.hasteMs * (1 - quietMs(r, world.now) / P.fadeMs) : P.stoodMs;
    if (pinned || age >= stood) worth.set(r, earnsNow(r, world.now));
  }
  const victims = offer.gpu === null || full ? cheapest(offer, worth, world, isFree) : onOneKind(offer, worth, world, isFree);
  if (victims.length === 0 || pinned) return victims;
  const lost = victims.reduce((sum, r) => sum + (worth.get(r) ?? 0), 0);
  // While it starts, what is given up would have gone on earning.
  const switching = lost * (startMs(offer, world.cached.has(startOf(offer))) / P.stayMs);
  return expected - switching > lost * (haste ? P.hasteBetter : P.better) && expected > 0 ? victims : [];
}

/** Calls wait, nothing serves them, and either it would start much sooner here than elsewhere or nobody took it for long. */
function hurries(offer: MarketOffer, { now, cached }: World): boolean {
  if (offer.cold !== true || offer.urgency < P.hasteUrgency) return false;
  const sooner = startMs(offer, false) - startMs(offer, true);
  return (cached.has(startOf(offer)) && sooner >= P.hasteGainMs) || now - offer.since >= P.hasteLongMs;
}

/** The one that earns least of those whose devices, with the free ones, are what the offer needs. */
function cheapest(
  offer: MarketOffer,
  worth: ReadonlyMap<Running, number>,
  { inventory }: World,
  isFree: (d: Device) => boolean,
): Running[] {
  const fits = (r: Running): boolean =>
    offer.gpu === null || pack(offer.gpu, inventory.devices, (d) => isFree(d) || r.devices.includes(d.id)) !== null;
  return [...worth.keys()]
    .filter(fits)
    .toSorted((a, b) => (worth.get(a) ?? 0) - (worth.get(b) ?? 0))
    .slice(0, 1);
}

/** The least that must go so that enough devices of one kind are free. */
function onOneKind(
  offer: MarketOffer,
  worth: ReadonlyMap<Running, number>,
  { inventory }: World,
  isFree: (d: Device) => boolean,
): Running[] {
  const { gpu } = offer;
  if (gpu === null) return [];
  let best: Running[] = [];
  for (const kind of kinds(gpu, inventory.devices)) {
    const ids = new Set(kind.map((d) => d.id));
    const on = [...worth.keys()].filter((r) => r.devices.some((id) => ids.has(id)));
    on.sort((a, b) => (worth.get(a) ?? 0) - (worth.get(b) ?? 0));
    let open = kind.filter(isFree).length;
    const victims: Running[] = [];
    for (const r of on) {
      if (open >= gpu.count) break;
      victims.push(r);
      open += r.devices.length;
    }
    if (open >= gpu.count && (best.length === 0 || total(victims, worth) < total(best, worth))) best = victims;
  }
  return best;
}

function total(of: readonly Running[], worth: ReadonlyMap<Running, number>): number {
  return of.reduce((sum, r) => sum + (worth.get(r) ?? 0), 0);
}
