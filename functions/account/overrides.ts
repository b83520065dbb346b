/** The account's own prices, over those of a chute. Pure. */
import type { Terms } from '../prices/terms.ts';
import type { Override } from './rows.ts';

/** One for the chute goes before one for all; of several the one that started last. */
export function termsFor(list: readonly Override[], chute: string, terms: Terms, now: number): Terms {
  const own = newest(list, chute, now) ?? newest(list, '*', now);
  if (own === null) return terms;
  return {
    ...terms,
    version: `${terms.version}+${own.version}`,
    price: own.price ?? terms.price,
    discountBps: own.discountBps ?? terms.discountBps,
  };
}

function newest(list: readonly Override[], chute: string, now: number): Override | null {
  let found: Override | null = null;
  for (const one of list) {
    const holds = one.chute === chute && one.startsAt <= now && (one.endsAt === null || now < one.endsAt);
    if (holds && (found === null || one.startsAt >= found.startsAt)) found = one;
  }
  return found;
}
