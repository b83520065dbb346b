import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_PRICE, type Price } from '#protocol';
import {
  PRICE_BOUNDS,
  callTerms,
  deployChanges,
  inForce,
  inOrder,
  nextChange,
  priceFault,
  sameAs,
  stillToCome,
  termsOf,
  timeline,
  type PriceAsk,
  type PriceVersion,
} from '../../../functions/prices/history.ts';
import { FREE, termsAt } from '../../../functions/prices/now.ts';

const NOW = 1_700_000_000_000;
const DAY = 86_400_000;

function version(id: string, startsAt: number, endsAt: number | null = null, part: Partial<PriceVersion> = {}): PriceVersion {
  return { id, price: NO_PRICE, feeBps: 1500, discountBps: 0, startsAt, endsAt, note: '', createdAt: startsAt, ...part };
}
const per = (per_request: number): Price => ({ ...NO_PRICE, per_request });
const at = (versions: PriceVersion[], now: number): string => inForce(versions, now)?.id ?? 'none';

describe('what is in force', () => {
  const regular = version('regular', 100);
  const promo = version('promo', 200, 300);
  const dearer = version('dearer', 250);
  test.each([
    ['before anything starts', [regular], 99, 'none'],
    ['from its start on', [regular], 100, 'regular'],
    ['a promotion', [regular, promo], 200, 'promo'],
    ['its last moment', [regular, promo], 299, 'promo'],
    ['when it ends, the one before', [regular, promo], 300, 'regular'],
    ['one that starts while it runs goes before', [regular, promo, dearer], 250, 'dearer'],
    ['and stays when it ends', [regular, promo, dearer], 300, 'dearer'],
    ['a promotion of nothing ends in nothing', [promo], 300, 'none'],
    [
      'of two with one start the one made later',
      [version('first', 100, null, { createdAt: 1 }), version('second', 100, null, { createdAt: 2 })],
      100,
      'second',
    ],
  ])('%s', (_name, versions, now, id) => {
    expect(at(inOrder(versions.toReversed()), now)).toBe(id);
  });
});

const versions = fc
  .array(
    fc.record({ start: fc.nat({ max: 40 }), length: fc.option(fc.integer({ min: 1, max: 20 }), { nil: null }), made: fc.nat({ max: 3 }) }),
    {
      maxLength: 8,
    },
  )
  .map((all) =>
    inOrder(all.map(({ start, length, made }, k) => version(`v${k}`, start, length === null ? null : start + length, { createdAt: made }))),
  );

describe('whatever the history', () => {
  test('the timeline says at any later time what is in force then, and nothing twice', () => {
    fc.assert(
      fc.property(versions, fc.nat({ max: 50 }), fc.nat({ max: 60 }), (all, now, later) => {
        const line = timeline(all, now);
        expect(termsAt(line, now + later)).toEqual(termsOf(inForce(all, now + later)));
        // A clock that is behind finds what was in force when it was told.
        expect(termsAt(line, Math.max(0, now - 5))).toEqual(termsOf(inForce(all, now)));
        for (const [k, { startsAt, terms }] of line.entries()) {
          const next = line[k + 1];
          if (next !== undefined) expect(next.startsAt > startsAt && next.terms.version !== terms.version).toBe(true);
        }
      }),
    );
  });

  test('what is forgotten is never missed, and nothing changes before the next change', () => {
    fc.assert(
      fc.property(versions, fc.nat({ max: 50 }), fc.nat({ max: 60 }), (all, now, later) => {
        expect(at(stillToCome(all, now), now + later)).toBe(at(all, now + later));
        const next = nextChange(all, now);
        if (next === null || now + later < next) expect(at(all, now + later)).toBe(at(all, now));
        if (next !== null) expect(next).toBeGreaterThan(now);
      }),
    );
  });
});

describe('an order of a price', () => {
  const ask = (part: Partial<PriceAsk> = {}): PriceAsk => ({
    price: per(5),
    discountBps: 0,
    startsAt: null,
    endsAt: null,
    note: '',
    ...part,
  });
  const soon = NOW + PRICE_BOUNDS.noticeMs;
  const full = Array.from({ length: PRICE_BOUNDS.coming }, (_, k) => version(`v${k}`, soon + k));
  test.each([
    ['as soon as may be', ask(), [], null],
    ['the earliest start', ask({ startsAt: soon }), [], null],
    ['a start too early', ask({ startsAt: soon - 1 }), [], 'starts_at'],
    ['a start in the past', ask({ startsAt: NOW - DAY }), [], 'starts_at'],
    ['a start next year', ask({ startsAt: NOW + 364 * DAY }), [], null],
    ['a start too far away', ask({ startsAt: NOW + 367 * DAY }), [], 'starts_at'],
    ['an end before the start', ask({ startsAt: soon + 10, endsAt: soon + 10 }), [], 'ends_at'],
    ['an end before the earliest start', ask({ endsAt: soon }), [], 'ends_at'],
    ['an end too far away', ask({ endsAt: NOW + 367 * DAY }), [], 'ends_at'],
    ['a promotion', ask({ startsAt: soon, endsAt: soon + DAY }), [], null],
    ['too many that wait', ask(), full, 'starts_at'],
    ['many that have started', ask(), full.map((v) => ({ ...v, startsAt: v.startsAt - DAY })), null],
  ])('%s', (_name, asked, known, param) => {
    expect(priceFault(asked, known, NOW)?.param ?? null).toBe(param);
  });

  test('one that says the same again is known', () => {
    const known = inOrder([version('a', NOW - 10, null, { price: per(5) }), version('b', soon, soon + 5, { price: per(1) })]);
    expect(sameAs(ask({ price: per(1), endsAt: soon + 5 }), known)?.id).toBe('b');
    expect(sameAs(ask({ price: per(1), startsAt: soon, endsAt: soon + 5 }), known)?.id).toBe('b');
    expect(sameAs(ask({ price: per(5), startsAt: NOW - 10 }), known)?.id).toBe('a');
    // The last word is the promotion: to say the regular price again is news.
    expect(sameAs(ask(), known)).toBeNull();
    for (const other of [{ discountBps: 1 }, { note: 'x' }, { endsAt: null }, { startsAt: soon + 1 }, { price: per(2) }])
      expect(sameAs(ask({ price: per(1), endsAt: soon + 5, ...other }), known)).toBeNull();
  });
});

test('a deploy changes the price only where it says another than the regular one', () => {
  const regular = version('a', NOW - 10, null, { price: per(5) });
  const promo = version('p', NOW - 5, NOW + 5, { price: per(1) });
  const coming = version('b', NOW + 5, null, { price: per(7) });
  expect(deployChanges(NO_PRICE, [], NOW)).toBe(false);
  expect(deployChanges(per(5), [], NOW)).toBe(true);
  expect(deployChanges(per(5), [regular, promo, coming], NOW)).toBe(false);
  expect(deployChanges(per(1), [regular, promo, coming], NOW)).toBe(true);
  expect(deployChanges(per(7), [regular, promo, coming], NOW)).toBe(false);
  const cached = { ...NO_PRICE, input_per_million: 9 };
  expect(deployChanges({ ...cached, cached_per_million: 9 }, [version('c', 0, null, { price: cached })], NOW)).toBe(false);
  expect(deployChanges({ ...cached, cached_per_million: 3 }, [version('c', 0, null, { price: cached })], NOW)).toBe(true);
});

test('calls of a private chute that pays by instance are free, and keep the id of its price', () => {
  const rented = termsOf(version('r', 0, null, { price: { ...per(5), per_instance_second: 7 } }));
  expect(callTerms(rented, false)).toEqual({ ...rented, price: NO_PRICE });
  expect(callTerms(rented, true)).toEqual(rented);
  const plain = termsOf(version('p', 0, null, { price: per(5) }));
  expect(callTerms(plain, false)).toEqual(plain);
  expect(termsOf(null)).toBe(FREE);
});
