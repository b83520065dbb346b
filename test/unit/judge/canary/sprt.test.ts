import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decide, follow, MOST_PLACES } from '../../../../validator-cron/canary/sprt.ts';
import { decisions } from '../../../cheats/canaries.ts';

test.for([
  { compared: 0, differ: 0, end: 'open' },
  { compared: 253, differ: 0, end: 'open' },
  { compared: 254, differ: 0, end: 'same' },
  { compared: 3, differ: 3, end: 'open' },
  { compared: 4, differ: 4, end: 'other' },
  { compared: 380, differ: 1, end: 'open' },
  { compared: 381, differ: 1, end: 'same' },
  { compared: MOST_PLACES, differ: 15, end: 'undecided' },
] as const)('$differ of $compared differ: $end', ({ end, ...counts }) => {
  expect(decide(counts)).toBe(end);
});

test('the test ends where it is decided, and its end stands', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 600 }), (places) => {
      const { counts, sprt } = follow({ compared: 0, differ: 0 }, places);
      expect(decide(counts)).toBe(sprt);
      if (sprt !== 'open') expect(follow(counts, [true, false])).toEqual({ counts, sprt });
      else expect(counts.compared).toBe(places.length);
    }),
  );
});

test('errors are within their bounds over many tests of the real code', () => {
  const same = decisions(0.002, 20_000, 1);
  expect(same.other).toBeLessThanOrEqual(6);
  const other = decisions(0.02, 20_000, 2);
  expect(other.same + other.undecided).toBeLessThanOrEqual(270);
});
