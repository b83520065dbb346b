/**
 * What this agent does now: a pure function of what it has, what it runs, what the market wants and what its operator
 * wishes. Offers are taken from the best paid down, as long as there is room; every other one comes with the reason.
 */
import type { Device } from '#protocol';
import type { MarketOffer } from '../market.ts';
import { expectedNanoUsdHour, perGpu, usd } from './earnings.ts';
import { pack } from './packing.ts';
import type { Refusal } from './packing.ts';
import { patience } from './patience.ts';
import { Room } from './room.ts';
import { counted, giveUp } from './switching.ts';
import { unwilling } from './willing.ts';
import { listed, startOf } from './world.ts';
import type { Action, Claim, Skip, World } from './world.ts';

/** An offer this agent could run, if the room is there. */
export interface Fit {
  offer: MarketOffer;
  /** Nano-USD an hour of the instance on the devices that suit it best. */
  expected: number;
  pinned: boolean;
}

export function choose(world: World): Action[] {
  const room = new Room(world);
  const actions: Action[] = forbidden(world);
  const fits: Fit[] = [];
  for (const offer of world.offers) {
    const fit = look(offer, world);
    if ('code' in fit) actions.push(skip(offer, fit));
    else fits.push(fit);
  }
  const leaving = new Set<string>();
  for (const fit of ranked(fits, world)) actions.push(...follow(fit, room, world, leaving));
  return actions;
}

/** What the offer would earn here, or why it is none for this agent. */
export function look(offer: MarketOffer, world: World): Fit | Refusal {
  const refusal = unwilling(offer, world);
  if (refusal !== null) return refusal;
  const { wishes, inventory, cached } = world;
  const best = pack(offer.gpu, inventory.devices, () => true) ?? [];
  const expected = expectedNanoUsdHour(offer, best, { usdPerKwh: wishes.usdPerKwh, cached: cached.has(startOf(offer)) });
  const pinned = listed(wishes.pin, offer.name);
  const least = Math.round(wishes.minUsdPerHour * 1e9);
  if (!pinned && perGpu(expected, offer) < least)
    return { code: 'pays_too_little', reason: `it would earn ${usd(perGpu(expected, offer))} an hour; you ask ${usd(least)}` };
  return { offer, expected, pinned };
}

/** Pinned first, then by what a GPU earns, an urgent need up to twice as much; then most urgent, what runs here least, newest. */
function ranked(fits: readonly Fit[], { running }: World): Fit[] {
  const here = (chute: string) => running.filter((r) => r.chute === chute).length;
  const score = ({ offer, expected }: Fit) => perGpu(expected, offer) * (1 + Math.min(1000, Math.max(0, offer.urgency)) / 1000);
  return fits.toSorted(
    (a, b) =>
      Number(b.pinned) - Number(a.pinned) ||
      score(b) - score(a) ||
      b.offer.urgency - a.offer.urgency ||
      here(a.offer.chute) - here(b.offer.chute) ||
      b.offer.since - a.offer.since ||
      (a.offer.chute < b.offer.chute ? -1 : 1),
  );
}

/** Claims it, or makes room for it, or says why not. `leaving`: instances given up in this look. */
function follow(fit: Fit, room: Room, world: World, leaving: Set<string>): Action[] {
  const { offer, expected } = fit;
  const place = room.place(offer);
  if (!('code' in place)) {
    room.take(offer, place);
    return [claim(fit, place, world)];
  }
  if (place.code !== 'gpu_busy' && place.code !== 'full') return [skip(offer, place)];
  const left = { ...world, running: world.running.filter((r) => !leaving.has(r.instance)) };
  const go = giveUp(offer, expected, left, room.isFree, place.code === 'full');
  if (go.length === 0) return [skip(offer, place)];
  for (const r of go) leaving.add(r.instance);
  return [
    ...go.map((r) => ({
      do: 'stop' as const,
      instance: r.instance,
      counted: counted(r),
      reason: `${r.name} is given up for ${offer.name}: ${usd(expected)} an hour`,
    })),
    skip(offer, { code: place.code, reason: `it is next: ${go.map((r) => r.name).join(', ')} makes room` }),
  ];
}

function claim({ offer, expected, pinned }: Fit, devices: readonly Device[], world: World): Claim {
  const why = pinned ? 'pinned' : `${usd(perGpu(expected, offer))} an hour expected`;
  return {
    do: 'claim',
    chute: offer.chute,
    name: offer.name,
    version: offer.version,
    since: offer.since,
    devices: devices.map((d) => d.id),
    afterMs: patience(offer, devices, world),
    reason: `${why}, needs ${offer.need} more, urgency ${offer.urgency}`,
    expectedNanoUsdHour: expected,
  };
}

/** What runs though its operator forbids it by now. */
function forbidden({ running, wishes }: World): Action[] {
  return running
    .filter((r) => (r.state === 'live' || r.state === 'starting') && listed(wishes.forbid, r.name))
    .map((r) => ({ do: 'stop', instance: r.instance, counted: [], reason: `you forbade ${r.name}` }));
}

function skip({ chute, name }: MarketOffer, { code, reason }: Refusal): Skip {
  return { do: 'skip', chute, name, code, reason };
}

/** Milliseconds to leave a chute alone after a refusal or a failed start. */
export function coolingMs(failures: number, retryAfterMs: number): number {
  return Math.max(retryAfterMs, Math.min(5 * 60_000, 1000 * 2 ** Math.min(failures, 9)));
}
