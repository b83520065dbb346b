/**
 * Two answers to one question, token by token (pure). Both instances were asked the same, so they should think alike: each token as
 * likely here as there. Which of two likely tokens was said may differ between honest machines and is held against nobody, but what
 * follows it cannot be compared any more. Chances are thousandths of a nat, whole.
 */
import type { Token } from './reply.ts';

/** What the chance of one token may differ by: hardware and kernels round differently. */
const TOLERANCE = 200;
/** Chances below this are noise of the rounding itself. */
const FAINT = -12_000;

/**
 * Place by place, whether they differ. A suspect that keeps its chances back differs at every place: it and the referee run the same
 * program. Null: the referee tells no chances, so nothing can be compared.
 */
export function compare(suspect: readonly Token[], referee: readonly Token[]): boolean[] | null {
  if (referee.length === 0) return null;
  const places: boolean[] = [];
  for (const [at, theirs] of referee.entries()) {
    const mine = suspect[at];
    places.push(mine === undefined || strange(mine, theirs));
    if (mine !== undefined && mine.text !== theirs.text) break;
  }
  return places;
}

function strange(mine: Token, theirs: Token): boolean {
  if (mine.top.length !== theirs.top.length) return true;
  if (mine.text === theirs.text && far(mine.chance, theirs.chance)) return true;
  return unlikely(mine, theirs) || unlikely(theirs, mine);
}

/** Whether what one said, or held likeliest, is not as likely for the other. Only the likeliest are named, so the rest has a ceiling. */
function unlikely(one: Token, other: Token): boolean {
  const chances = new Map([...other.top, other].map(({ text, chance }) => [text, chance]));
  const ceiling = Math.min(...other.top.map(({ chance }) => chance));
  return [one, ...one.top.slice(0, 1)].some(({ text, chance }) => {
    const there = chances.get(text);
    return there === undefined ? chance > Math.max(ceiling, FAINT) + TOLERANCE : far(chance, there);
  });
}

function far(a: number, b: number): boolean {
  return Math.max(a, b) > FAINT && Math.abs(a - b) > TOLERANCE;
}
