/**
 * Wald's sequential test (pure): after every token, are two instances the same model, or is one of them another? Whole numbers, so
 * everybody who has the counts comes to the same end.
 *
 * H0: tokens differ at 0.2 % of the places, as hardware does; H1: at 2 %. A model that is the one it should be is called another in
 * 10⁻⁴ of the tests at most, another one is missed in 10⁻².
 */

/** Millionths of a nat that one place adds: ln(2 % / 0.2 %), and ln(98 % / 99.8 %). */
const DIFFERS = 2_302_585;
const AGREES = -18_201;
/** ln((1 − β) / α) and ln(β / (1 − α)), both away from zero. */
const OTHER_FROM = 9_200_291;
const SAME_FROM = -4_605_071;

/** Places after which a test that is not decided ends; one in a thousand is still open then. */
export const MOST_PLACES = 2_048;

export type Sprt = 'same' | 'other' | 'open' | 'undecided';

export interface Places {
  compared: number;
  differ: number;
}

/** What the counts say so far: `open` wants more, `undecided` never gets an answer. */
export function decide({ compared, differ }: Places): Sprt {
  const ratio = differ * DIFFERS + (compared - differ) * AGREES;
  if (ratio >= OTHER_FROM) return 'other';
  if (ratio <= SAME_FROM) return 'same';
  return compared >= MOST_PLACES ? 'undecided' : 'open';
}

/** Place by place, so that the test ends where it is decided; `counts` is what came before. */
export function follow(counts: Places, places: readonly boolean[]): { counts: Places; sprt: Sprt } {
  let now = counts;
  let sprt = decide(now);
  for (const differs of places) {
    if (sprt !== 'open') break;
    now = { compared: now.compared + 1, differ: now.differ + (differs ? 1 : 0) };
    sprt = decide(now);
  }
  return { counts: now, sprt };
}
