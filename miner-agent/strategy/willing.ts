/** Whether this agent would run an offer at all: what its operator wishes, what the last try came to, what it can run. */
import { WHY } from '#protocol';
import { refusalOf } from '../allow.ts';
import type { MarketOffer } from '../market.ts';
import { toolkitSafe } from '../runtimes/container/toolkit.ts';
import { misfit } from './packing.ts';
import type { Refusal } from './packing.ts';
import { listed, needOf, startOf } from './world.ts';
import type { World } from './world.ts';

export function unwilling(offer: MarketOffer, world: World): Refusal | null {
  const { wishes } = world;
  if (wishes.maintenance) return { code: 'maintenance', reason: WHY.maintenance.text };
  if (listed(wishes.forbid, offer.name)) return { code: 'forbidden', reason: WHY.forbidden.text };
  if (offer.need <= 0) return { code: 'no_demand', reason: 'it has enough instances' };
  if (world.claiming.has(offer.chute)) return { code: 'claiming', reason: WHY.claiming.text };
  return cooling(offer, world) ?? unable(offer, world) ?? (offer.gpu === null ? null : misfit(offer.gpu, world.inventory.devices));
}

function cooling(offer: MarketOffer, { cooling: holds, now }: World): Refusal | null {
  const hold = [holds.get(startOf(offer)), holds.get(needOf(offer))]
    .filter((h) => h !== undefined)
    .toSorted((a, b) => b.until - a.until)[0];
  if (hold === undefined || hold.until <= now) return null;
  return { code: hold.code, reason: `${WHY[hold.code].text}; again in ${Math.ceil((hold.until - now) / 1000)} s` };
}

function unable(offer: MarketOffer, { wishes, running, inventory }: World): Refusal | null {
  if (wishes.engines.includes(offer.name)) {
    const serves = running.some((r) => r.runtime === 'url' && r.name === offer.name);
    return serves ? { code: 'serving', reason: 'your engine serves it already' } : null;
  }
  if (offer.runtime === 'image') {
    if (!inventory.runtimes.includes('docker')) {
      // An engine is named where there is one, even if it does not answer.
      const code = inventory.engine === undefined ? 'no_engine' : 'engine_down';
      return { code, reason: WHY[code].text };
    }
    if (offer.gpu === null || inventory.toolkit === undefined || toolkitSafe(inventory.toolkit)) return null;
    return { code: 'toolkit_unsafe', reason: `${WHY.toolkit_unsafe.text}: version ${inventory.toolkit}` };
  }
  const refusal = refusalOf(wishes.allow, { account: offer.owner, name: offer.name, code: offer.code, config: null });
  return refusal === null ? null : { code: 'not_allowed', reason: refusal };
}
