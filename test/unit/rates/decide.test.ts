/** Which rate follows from what feeds say, and how far some of them can move it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, type Decision } from '../../../functions/rates/decide.ts';
import { LEAST, MOST } from '../../../functions/rates/price.ts';

const named = (prices: readonly bigint[]) => prices.map((nanousd, i) => ({ name: 'abcde'[i] ?? '', nanousd }));
const rate = (nanousd: bigint, feeds: string): Decision => ({ kind: 'rate', nanousd, feeds: feeds.split('') });
const none = (why: 'too_few' | 'apart' | 'leap'): Decision => ({ kind: 'none', why });

test.each<[said: bigint[], asked: number, last: bigint | null, decision: Decision]>([
  [[400n], 1, null, rate(400n, 'a')],
  [[], 1, null, none('too_few')],
  [[400n], 2, null, none('too_few')],
  [[400n, 402n], 2, null, rate(400n, 'ab')],
  [[402n, 400n], 2, null, rate(400n, 'ab')],
  [[400n, 402n], 3, null, rate(400n, 'ab')],
  [[401n, 400n, 402n], 3, null, rate(401n, 'abc')],
  [[400n, 402n], 4, null, none('too_few')],
  [[400n, 401n, 402n, 403n], 4, null, rate(401n, 'abcd')],
  [[400n, 402n], 5, null, none('too_few')],
  // 5 % is within, and the least above it is not.
  [[400n, 420n], 2, null, rate(400n, 'ab')],
  [[400n, 421n], 2, null, none('apart')],
  [[10_000n, 9_500n, 10_500n], 3, null, rate(10_000n, 'abc')],
  [[10_000n, 9_499n, 10_500n], 3, null, rate(10_000n, 'ac')],
  [[10_000n, 9_499n, 10_501n], 3, null, none('apart')],
  // One that lies is left out, however much it lies.
  [[400n, 1n, 401n], 3, null, rate(400n, 'ac')],
  [[400n, 401n, 999_999n], 3, null, rate(400n, 'ab')],
  [[400n, 401n, 800n, 801n], 4, null, none('apart')],
  [[400n, 401n, 700n, 900n, 901n], 5, null, none('apart')],
  [[400n, 401n, 402n, 800n], 5, null, rate(401n, 'abc')],
  // A leap of more than 30 %, up and down.
  [[130n], 1, 100n, rate(130n, 'a')],
  [[131n], 1, 100n, none('leap')],
  [[70n], 1, 100n, rate(70n, 'a')],
  [[69n], 1, 100n, none('leap')],
  [[131n, 131n], 2, 100n, none('leap')],
  [[131n, 131n, 200n], 3, 100n, none('leap')],
  [[131n, 131n, 131n], 3, 100n, rate(131n, 'abc')],
  [[131n], 1, null, rate(131n, 'a')],
])('%s of %i feeds after %s', (said, asked, last, decision) => expect(decide(named(said), asked, last)).toEqual(decision));

describe('whatever they say', () => {
  const price = fc.oneof(
    fc.bigInt({ min: LEAST, max: MOST }),
    fc.bigInt({ min: 400_000n, max: 440_000n }).map((n) => n * LEAST),
  );
  const said = fc.array(price, { maxLength: 5 });
  const last = fc.option(price, { nil: null });

  test('the rate is what one of those it names said, a majority is named, and none of them is over 5 % off the median', () => {
    fc.assert(
      fc.property(said, fc.nat({ max: 5 }), last, (prices, away, before) => {
        const asked = Math.max(1, Math.min(5, prices.length + away));
        const quoted = named(prices);
        const decision = decide(quoted, asked, before);
        if (decision.kind === 'none') return;
        const agreed = quoted.filter(({ name }) => decision.feeds.includes(name)).map(({ nanousd }) => nanousd);
        expect(agreed).toContain(decision.nanousd);
        expect(agreed.length * 2).toBeGreaterThan(asked);
        const below = agreed.filter((p) => p <= decision.nanousd).length;
        const above = agreed.filter((p) => p >= decision.nanousd).length;
        expect(below * 2).toBeGreaterThanOrEqual(agreed.length);
        expect(above * 2).toBeGreaterThan(agreed.length);
        const low = agreed.reduce((a, b) => (a < b ? a : b));
        const high = agreed.reduce((a, b) => (a > b ? a : b));
        expect(high * 95n <= low * 105n).toBe(true);
        if (before !== null && agreed.length < 3) {
          const leap = decision.nanousd > before ? decision.nanousd - before : before - decision.nanousd;
          expect(leap * 100n <= before * 30n).toBe(true);
        }
      }),
    );
  });

  test('the order they come in changes nothing', () => {
    fc.assert(
      fc.property(said, last, (prices, before) => {
        const forth = decide(named(prices), 5, before);
        const back = decide(named(prices).toReversed(), 5, before);
        expect(back).toEqual(forth.kind === 'rate' ? { ...forth, feeds: forth.feeds.toReversed() } : forth);
      }),
    );
  });

  test('honest ones, if most of all, keep the rate within 5 % of what they say', () => {
    const honest = fc.bigInt({ min: 400n * LEAST, max: 410n * LEAST });
    const cast = fc
      .integer({ min: 1, max: 5 })
      .chain((asked) => fc.tuple(fc.constant(asked), fc.integer({ min: Math.floor(asked / 2) + 1, max: asked })))
      .chain(([asked, good]) =>
        fc.tuple(fc.constant(asked), fc.array(honest, { minLength: good, maxLength: good }), fc.array(price, { maxLength: asked - good })),
      );
    fc.assert(
      fc.property(cast, ([asked, good, bad]) => {
        const decision = decide(named([...bad, ...good]), asked, null);
        // They are within 2.5 % of each other, and so never too far from a median that lies among them.
        if (decision.kind !== 'rate') throw new Error(`refused: ${decision.why}`);
        expect(decision.nanousd * 100n >= 400n * LEAST * 95n).toBe(true);
        expect(decision.nanousd * 100n <= 410n * LEAST * 105n).toBe(true);
      }),
    );
  });
});
