/** Marks: vectors worked out by hand. */
import { describe, expect, test } from 'vitest';
import { FULL, SCORING } from '../../../validator-cron/score/parameters.ts';
import { callMarks, lineMarks, lowerBound, scaled, testMarks } from '../../../validator-cron/score/rate.ts';

const { zSquared, latency } = SCORING.mainnet;

test.each([
  // Wilson's bound at z = 1.96, as any textbook has it.
  [0, 0, 0],
  [0, 10, 0],
  [1, 1, 206_543],
  [5, 10, 236_589],
  [10, 10, 722_459],
  [99, 100, 945_512],
  [200, 200, 981_154],
])('%i of %i: at least %i millionths', (ok, all, bound) => {
  expect(Math.abs(lowerBound({ ok, all }, all, zSquared) - bound)).toBeLessThanOrEqual(1);
});

describe('marks', () => {
  test.each([
    [0, 0, 0],
    [200, 200, FULL],
    [20_000, 20_000, FULL],
    [20, 20, 855_000],
    [0, 500, 0],
  ])('for tests: %i of %i', (ok, all, marks) => {
    expect(Math.abs(testMarks({ all, ok }, SCORING.mainnet) - marks)).toBeLessThan(1_000);
  });

  test.each([
    [0, 0, FULL],
    [1, 2, FULL / 2],
    [0, 2, 0],
  ])('for calls: %i of %i', (ok, all, marks) => {
    expect(callMarks({ all, ok })).toBe(marks);
  });

  test.each([
    [0, FULL],
    [1_000, FULL],
    [1_001, 999_946],
    [8_000, 625_000],
    [15_000, 250_000],
    [99_999, 250_000],
  ])('for a first byte after %i ms', (ms, marks) => {
    expect(lineMarks(ms, latency.firstByte, latency.floor)).toBe(marks);
  });

  test('a count is scaled down, rounded against it', () => {
    expect(scaled({ all: 3, ok: 2 }, 4)).toEqual({ all: 3, ok: 2 });
    expect(scaled({ all: 1_000, ok: 999 }, 100)).toEqual({ all: 100, ok: 99 });
  });
});
