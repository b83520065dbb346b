/** Prices that an operator made for one account: of one chute, or of all. Pure. */
import type { Price, Terms } from './terms.ts';

/** What it leaves out stays as the chute asks. */
export interface Override {
  /** A chute id; `*`: all chutes. */
  chute: string;
  price?: Price;
  discountBps?: number;
  /** Id of its row. */
  version: string;
  /** Unix milliseconds. */
  startsAt: number;
  endsAt: number | null;
}

/** What the account pays: by its price for this chute, else by its price for all, else as everyone. */
export function termsFor(overrides: readonly Override[], chute: string, own: Terms, now: number): Terms {
  const found = inForce(overrides, chute, now) ?? inForce(overrides, '*', now);
  if (found === undefined) return own;
  return {
    version: `${own.version}+${found.version}`,
    price: found.price ?? own.price,
    discountBps: found.discountBps ?? own.discountBps,
    feeBps: own.feeBps,
  };
}

/** Of those for this chute, the one that started last and has not ended; of two with one start, the one made later. */
function inForce(overrides: readonly Override[], chute: string, now: number): Override | undefined {
  let found: Override | undefined;
  for (const one of overrides) {
    if (one.chute !== chute || one.startsAt > now || (one.endsAt !== null && one.endsAt <= now)) continue;
    if (found === undefined || one.startsAt >= found.startsAt) found = one;
  }
  return found;
}
