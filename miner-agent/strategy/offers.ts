/** Every offer with what it would earn here and whether it is taken: what `ripcord-miner offers` shows. */
import type { WhyCode } from '#protocol';
import { choose, look } from './choose.ts';
import { expectedNanoUsdHour, perGpu } from './earnings.ts';
import { pack } from './packing.ts';
import { startOf } from './world.ts';
import type { World } from './world.ts';

export interface Judged {
  chute: string;
  name: string;
  need: number;
  urgency: number;
  /** USD, once. */
  bounty: number;
  /** USD an hour per GPU (of an instance without one: the whole), after power; null: this machine cannot run it. */
  expectedUsdHour: number | null;
  verdict: 'take' | 'skip';
  /** Null for what is taken. */
  code: WhyCode | null;
  reason: string;
}

/** In the order of the market, which is by urgency. */
export function judgeOffers(world: World): Judged[] {
  const actions = choose(world);
  return world.offers.map((offer) => {
    const action = actions.find((a) => a.do !== 'stop' && a.chute === offer.chute);
    const taken = action?.do === 'claim';
    return {
      chute: offer.chute,
      name: offer.name,
      need: offer.need,
      urgency: offer.urgency,
      bounty: offer.bounty_nanousd / 1e9,
      expectedUsdHour: expectedHere(offer, world),
      verdict: taken ? 'take' : 'skip',
      code: action?.do === 'skip' ? action.code : null,
      reason: action?.do === 'skip' || action?.do === 'claim' ? action.reason : '',
    };
  });
}

/** What it would earn whether or not its operator wishes it. */
function expectedHere(offer: World['offers'][number], world: World): number | null {
  const fit = look(offer, world);
  if (!('code' in fit)) return perGpu(fit.expected, offer) / 1e9;
  const devices = pack(offer.gpu, world.inventory.devices, () => true);
  if (devices === null) return null;
  const terms = { usdPerKwh: world.wishes.usdPerKwh, cached: world.cached.has(startOf(offer)) };
  return perGpu(expectedNanoUsdHour(offer, devices, terms), offer) / 1e9;
}
