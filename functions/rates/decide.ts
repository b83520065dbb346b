/** What rate follows from what the feeds say, if any: no single one of several can move it far. Pure. */

/** A price, in nano-USD per TAO, and whose it is. */
export interface Quoted {
  name: string;
  nanousd: bigint;
}

export type Decision =
  | { kind: 'rate'; nanousd: bigint; feeds: string[] }
  /** Too few answered, too many are far from the median, or too few speak for a great leap. */
  | { kind: 'none'; why: 'too_few' | 'apart' | 'leap' };

/** Hundredths of the median that a price may be away from it. */
const APART = 5n;
/** Hundredths of the last rate that the next may be away from it, unless so many feeds agree. */
const LEAP = 30n;
const LEAP_FEEDS = 3;

/**
 * `asked`: how many feeds there are; a majority of them must agree. `last`: the last rate that is recent, by whomever; null:
 * there is none.
 */
export function decide(quoted: readonly Quoted[], asked: number, last: bigint | null): Decision {
  const majority = Math.floor(asked / 2) + 1;
  if (quoted.length < majority) return { kind: 'none', why: 'too_few' };
  const middle = median(quoted);
  const agreed = quoted.filter(({ nanousd }) => isWithin(APART, nanousd, middle));
  if (agreed.length < majority) return { kind: 'none', why: 'apart' };
  const nanousd = median(agreed);
  if (last !== null && agreed.length < LEAP_FEEDS && !isWithin(LEAP, nanousd, last)) return { kind: 'none', why: 'leap' };
  return { kind: 'rate', nanousd, feeds: agreed.map(({ name }) => name) };
}

/** Of an even number the lower of the two in the middle: a price that somebody said. */
function median(quoted: readonly Quoted[]): bigint {
  const sorted = quoted.map(({ nanousd }) => nanousd).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0n;
}

function isWithin(hundredths: bigint, price: bigint, of: bigint): boolean {
  const apart = price < of ? of - price : price - of;
  return apart * 100n <= of * hundredths;
}
