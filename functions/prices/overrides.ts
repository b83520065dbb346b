/** Prices that an operator made for one account: of one chute, or of all. Pure. */
import type { Price, Terms } from './terms.ts';

export interface Override {
  id: string;
  /** A chute id; `*`: all chutes. */
  chute: string;
  /** Null: the chute's own price, with the larger of the two discounts. */
  price: Price | null;
  discountBps: number;
  feeBps: number;
  /** Unix milliseconds. */
  startsAt: number;
  endsAt: number | null;
}

/** What the account pays: by its price for this chute, else by its price for all, else as everyone. */
export function termsFor(overrides: readonly Override[], chute: string, own: Terms, now: number): Terms {
  const found = inForce(overrides, chute, now) ?? inForce(overrides, '*', now);
  if (found === undefined) return own;
  const version = `${own.version}+${found.id}`;
  if (found.price !== null) return { version, price: found.price, discountBps: found.discountBps, feeBps: found.feeBps };
  return { version, price: own.price, discountBps: Math.max(own.discountBps, found.discountBps), feeBps: found.feeBps };
}

/** Of those for this chute, the one that started last and has not ended; the list is in the order they were made. */
function inForce(overrides: readonly Override[], chute: string, now: number): Override | undefined {
  const running = overrides.filter((o) => o.chute === chute && o.startsAt <= now && (o.endsAt === null || o.endsAt > now));
  return running.toSorted((a, b) => a.startsAt - b.startsAt).at(-1);
}
