/** A twentieth of `npm run test:long -- --only proofs`: every cheat and an honest agent against the real judge, counted. */
import { expect, it } from 'vitest';
import { CHEATS } from '../../cheats/cheats.ts';
import { count, countHonest } from '../../cheats/count.ts';
import { forgeMm } from '../../cheats/forge.ts';
import { ask, honest, makeAgent } from '../../cheats/stage.ts';

it.each(CHEATS)('$name', (cheat) => {
  const { challenges, passed, most, reasons } = count(cheat, 10);
  expect(challenges).toBeGreaterThanOrEqual(10);
  expect(passed, JSON.stringify(reasons)).toBeLessThanOrEqual(most);
});

it('an honest agent never fails hard, and not softly either', () => {
  expect(countHonest(500).outcomes).toEqual({ pass: 500 });
}, 60_000);

it('a forger with nothing false does the very same work', () => {
  const { work } = ask(makeAgent(1), 'swift', 1);
  expect(forgeMm(work).root).toBe(honest(work).root);
});
