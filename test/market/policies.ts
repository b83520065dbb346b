/** Who decides: the agent's real strategy, and the two it is measured against. All see the same world. */
import { choose, look } from '../../miner-agent/strategy/choose.ts';
import { kinds } from '../../miner-agent/strategy/packing.ts';
import { Room } from '../../miner-agent/strategy/room.ts';
import type { Action, Claim, World } from '../../miner-agent/strategy/world.ts';
import { waveMs, type Device } from '#protocol';
import type { Random } from '../sim/random.ts';

export type Policy = (world: World, random: Random) => Action[];
type Offer = World['offers'][number];

export const POLICIES = { ours: (world) => choose(world), random: atRandom, greedy } satisfies Record<string, Policy>;
export type PolicyName = keyof typeof POLICIES;

/** Any offer that fits, on any devices that fit; gives nothing up. */
function atRandom(world: World, random: Random): Action[] {
  const offers = world.offers.map((offer) => ({ offer, key: random.next() })).sort((a, b) => a.key - b.key);
  return claims(
    world,
    offers.map((o) => o.offer),
    (groups) => random.pick(groups),
  );
}

/** The highest price now, on the first devices that fit; gives up whatever runs no call for any higher price. */
function greedy(world: World): Action[] {
  const price = (offer: Offer) => ((offer.price?.per_second ?? 0) * (offer.concurrency ?? 1)) / (offer.gpu?.count ?? 1);
  const offers = world.offers.toSorted((a, b) => price(b) - price(a));
  const taken = claims(world, offers, ([first = []]) => first);
  const claimed = new Set(taken.map((action) => (action.do === 'claim' ? action.chute : '')));
  const best = offers.find((offer) => !claimed.has(offer.chute) && !('code' in look(offer, world)));
  const idle = world.running.find((r) => r.state === 'live' && r.busy === 0 && best !== undefined && fits(best, world, r.devices));
  if (best === undefined || idle === undefined || best.chute === idle.chute) return taken;
  const now = price(best) * 3600;
  if (now <= idle.expected) return taken;
  return [...taken, { do: 'stop', instance: idle.instance, counted: [...idle.devices], reason: 'a higher price' }];
}

function claims(world: World, offers: readonly Offer[], pick: (groups: Device[][]) => Device[]): Action[] {
  const room = new Room(world);
  return offers.flatMap((offer): Claim[] => {
    if ('code' in look(offer, world) || 'code' in room.place(offer) || offer.gpu === null) return [];
    const { count } = offer.gpu;
    const free = kinds(offer.gpu, world.inventory.devices).map((kind) => kind.filter(room.isFree));
    const devices = pick(free.filter((kind) => kind.length >= count)).slice(0, count);
    room.take(offer, devices);
    const { chute, name, version, since } = offer;
    const price = ((offer.price?.per_second ?? 0) * (offer.concurrency ?? 1) * 3600) / count;
    const afterMs = Math.max(0, waveMs(world.agent, offer) - Math.max(0, world.now - since));
    const ids = devices.map((d) => d.id);
    return [{ do: 'claim', chute, name, version, since, devices: ids, afterMs, reason: '', expectedNanoUsdHour: price }];
  });
}

function fits(offer: Offer, world: World, devices: readonly string[]): boolean {
  const own = world.inventory.devices.filter((d) => devices.includes(d.id));
  return offer.gpu !== null && kinds(offer.gpu, own).some((kind) => kind.length >= (offer.gpu?.count ?? 1));
}
