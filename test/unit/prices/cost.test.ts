import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chargeOf, type Charged } from '../../../functions/prices/charge.ts';
import { DEFAULT_MAX_TOKENS, costOf, quoteLines, quoteOf, rentOf, shareOf } from '../../../functions/prices/cost.ts';
import type { Metered, Price, QuoteFacts, Terms } from '../../../functions/prices/terms.ts';
import { NO_PRICE } from '#protocol';

const POSTGRES_BIGINT = 2n ** 63n - 1n;
const MOST_PRICE = 1e13;

const unitPrice = fc.oneof(fc.constant(0), fc.nat({ max: 1000 }), fc.integer({ min: 0, max: MOST_PRICE }));
const price: fc.Arbitrary<Price> = fc
  .record({
    input_per_million: unitPrice,
    cached_per_million: fc.option(unitPrice, { nil: undefined }),
    output_per_million: unitPrice,
    per_second: unitPrice,
    per_request: unitPrice,
    per_image: unitPrice,
    per_step: unitPrice,
    per_instance_second: unitPrice,
  })
  .map(({ cached_per_million, ...rest }) => (cached_per_million === undefined ? rest : { ...rest, cached_per_million }));
const bps = fc.oneof(fc.constantFrom(0, 1, 9_999, 10_000), fc.integer({ min: 0, max: 10_000 }));
const terms: fc.Arbitrary<Terms> = fc.record({ version: fc.constant('p'), price, discountBps: bps, feeBps: bps });
const count = (max: number) => fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: 0, max }));
const facts: fc.Arbitrary<QuoteFacts> = fc.record({
  requestBytes: count(100 * 2 ** 20),
  maxTokens: fc.option(count(10_000_000), { nil: null }),
  timeoutMs: count(600_000),
  images: count(100),
  steps: count(1_000),
});

/** Facts, and something metered that stays within them. */
const within = facts.chain((f) =>
  fc.record({
    facts: fc.constant(f),
    metered: fc.record({
      tokensIn: fc.option(fc.integer({ min: 0, max: f.requestBytes }), { nil: null }),
      cachedIn: fc.option(count(2 ** 30), { nil: null }),
      tokensOut: fc.option(fc.integer({ min: 0, max: f.maxTokens ?? DEFAULT_MAX_TOKENS }), { nil: null }),
      ms: fc.integer({ min: 0, max: f.timeoutMs }),
    }),
  }),
);

describe('whatever the price and the call', () => {
  test('the quote covers everything that stays within the facts, and both fit a bigint of Postgres', () => {
    fc.assert(
      fc.property(terms, within, (t, { facts: f, metered }) => {
        const [cost, quote] = [costOf(t, f, metered), quoteOf(t, f)];
        expect(cost).toBeGreaterThanOrEqual(0n);
        expect(cost).toBeLessThanOrEqual(quote);
        expect(quote).toBeLessThanOrEqual(POSTGRES_BIGINT);
      }),
      { numRuns: 2_000 },
    );
  });

  test('more of anything never costs less', () => {
    const more = fc.constantFrom('tokensIn', 'tokensOut', 'ms', 'images', 'steps');
    fc.assert(
      fc.property(terms, within, more, fc.nat({ max: 2_000_000 }), (t, { facts: f, metered }, what, plus) => {
        const grow = <T extends object>(of: T): T => (what in of ? { ...of, [what]: (of[what as keyof T] as number) + plus } : of);
        expect(costOf(t, grow(f), grow(metered))).toBeGreaterThanOrEqual(costOf(t, f, metered));
      }),
    );
  });

  test('a dearer price never costs less, and a larger discount never more', () => {
    const names = Object.keys(NO_PRICE) as (keyof typeof NO_PRICE)[];
    fc.assert(
      fc.property(terms, within, fc.constantFrom(...names), fc.nat({ max: 1e9 }), (t, { facts: f, metered }, name, plus) => {
        const dearer: Terms = { ...t, price: { ...t.price, [name]: (t.price[name] ?? 0) + plus } };
        expect(costOf(dearer, f, metered)).toBeGreaterThanOrEqual(costOf(t, f, metered));
        expect(quoteOf(dearer, f)).toBeGreaterThanOrEqual(quoteOf(t, f));
        expect(rentOf(dearer, metered.ms)).toBeGreaterThanOrEqual(rentOf(t, metered.ms));
        const cheaper: Terms = { ...t, discountBps: Math.min(10_000, t.discountBps + (plus % 10_000)) };
        expect(costOf(cheaper, f, metered)).toBeLessThanOrEqual(costOf(t, f, metered));
      }),
    );
  });

  test('input from the cache costs as it says, at most one nano-USD off by the second rounding', () => {
    fc.assert(
      fc.property(terms, within, (t, { facts: f, metered }) => {
        const cheap: Terms = { ...t, price: { ...t.price, cached_per_million: Math.floor(t.price.input_per_million / 2) } };
        expect(costOf(cheap, f, metered)).toBeLessThanOrEqual(costOf(cheap, f, { ...metered, cachedIn: 0 }) + 1n);
        const { cached_per_million: _, ...plain } = t.price;
        const same = { ...t, price: { ...plain, cached_per_million: plain.input_per_million } };
        expect(costOf({ ...t, price: plain }, f, metered)).toBe(costOf(same, f, metered));
      }),
    );
  });

  test('every line is rounded up by less than one nano-USD, the discount by less than one more', () => {
    fc.assert(
      fc.property(terms, within, (t, { facts: f, metered }) => {
        const { price: p } = t;
        const tokensIn = BigInt(metered.tokensIn ?? 0);
        const cached = BigInt(Math.min(metered.cachedIn ?? 0, metered.tokensIn ?? 0));
        // The exact cost in units of 1e-10 nano-USD: millions of tokens times ten thousandths of discount.
        const exact =
          (BigInt(p.per_request) + BigInt(f.images) * (BigInt(p.per_image) + BigInt(f.steps) * BigInt(p.per_step))) * 1_000_000n +
          (tokensIn - cached) * BigInt(p.input_per_million) +
          cached * BigInt(p.cached_per_million ?? p.input_per_million) +
          BigInt(metered.tokensOut ?? 0) * BigInt(p.output_per_million) +
          BigInt(metered.ms) * BigInt(p.per_second) * 1000n;
        const over = costOf(t, f, metered) * 10_000_000_000n - exact * BigInt(10_000 - t.discountBps);
        expect(over).toBeGreaterThanOrEqual(0n);
        expect(over).toBeLessThan(5n * 10_000_000_000n);
      }),
    );
  });

  test('share and fee are the cost, the share rounded down', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: POSTGRES_BIGINT }), bps, (cost, feeBps) => {
        const share = shareOf(cost, feeBps);
        expect(share).toBeGreaterThanOrEqual(0n);
        expect(share).toBeLessThanOrEqual(cost);
        const exact = cost * BigInt(10_000 - feeBps);
        expect(exact - share * 10_000n).toBeGreaterThanOrEqual(0n);
        expect(exact - share * 10_000n).toBeLessThan(10_000n);
      }),
    );
  });

  test('the lines of a quote are the quote before its discount', () => {
    fc.assert(
      fc.property(terms, facts, (t, f) => {
        const sum = quoteLines(t, f).reduce((all, line) => all + line.nanousd, 0n);
        expect(sum).toBe(quoteOf({ ...t, discountBps: 0 }, f));
        expect(quoteOf({ ...t, discountBps: 10_000 }, f)).toBe(0n);
      }),
    );
  });

  test('numbers that count nothing are never charged, and none throws', () => {
    const odd = fc.oneof(fc.double(), fc.constantFrom(-1, -0.5, 1.5, Number.NaN, Infinity, -Infinity, Number.MAX_VALUE));
    const fields = fc.record({ requestBytes: odd, maxTokens: odd, timeoutMs: odd, images: odd, steps: odd });
    fc.assert(
      fc.property(terms, fields, fc.record({ tokensIn: odd, cachedIn: odd, tokensOut: odd, ms: odd }), (t, f, metered) => {
        expect(quoteOf(t, f)).toBeGreaterThanOrEqual(0n);
        expect(costOf(t, f, metered)).toBeGreaterThanOrEqual(0n);
        expect(rentOf(t, metered.ms)).toBeGreaterThanOrEqual(0n);
      }),
    );
  });
});

describe('an attempt', () => {
  const outcome = fc.constantFrom('completed', 'cancelled', 'failed') as fc.Arbitrary<Charged['outcome']>;
  const status = fc.option(fc.constantFrom(200, 201, 301, 399, 400, 404, 500), { nil: null });
  test('costs nothing without a good reply or without a byte, else what was metered', () => {
    fc.assert(
      fc.property(terms, within, outcome, status, fc.nat({ max: 2 }), fc.boolean(), (t, w, how, code, bytes, timed) => {
        const { ms, ...tokens } = w.metered;
        const attempt: Charged = { outcome: how, status: code, bytes, ...tokens, lastByteMs: timed ? ms : null };
        const good = code !== null && code < 400 && (how === 'completed' || bytes > 0);
        expect(chargeOf(t, w.facts, attempt)).toBe(good ? costOf(t, w.facts, { ...tokens, ms: timed ? ms : 0 }) : 0n);
      }),
    );
  });
});

/** Figures computed by hand from `docs/prices.md`. */
describe('worked examples', () => {
  const ask = (part: Partial<Price>, discountBps = 0): Terms => ({
    version: 'p',
    price: { ...NO_PRICE, ...part },
    discountBps,
    feeBps: 1500,
  });
  const used = (part: Partial<Metered> = {}): Metered => ({ tokensIn: null, cachedIn: null, tokensOut: null, ms: 0, ...part });
  const none = { images: 0, steps: 0 };
  // 0.15 USD per million in, 0.60 out.
  const chat = { input_per_million: 150_000_000, output_per_million: 600_000_000 };
  test.each([
    // 1,000 × 150 + 500 × 600
    ['a chat', ask(chat), none, used({ tokensIn: 1000, tokensOut: 500 }), 450_000n],
    // 200 × 150 + 800 × 15 + 500 × 600
    [
      'a chat with its prompt in the cache',
      ask({ ...chat, cached_per_million: 15_000_000 }),
      none,
      used({ tokensIn: 1000, cachedIn: 800, tokensOut: 500 }),
      342_000n,
    ],
    [
      'more cached than there was',
      ask({ ...chat, cached_per_million: 15_000_000 }),
      none,
      used({ tokensIn: 1000, cachedIn: 5000 }),
      15_000n,
    ],
    // 450,000 × 0.75
    ['a quarter off', ask(chat, 2500), none, used({ tokensIn: 1000, tokensOut: 500 }), 337_500n],
    ['all off', ask(chat, 10_000), none, used({ tokensIn: 1000, tokensOut: 500 }), 0n],
    // One token at one nano-USD per million is a millionth of a nano-USD, and so is each of two lines.
    ['the least there is', ask({ input_per_million: 1, output_per_million: 1 }), none, used({ tokensIn: 1, tokensOut: 1 }), 2n],
    ['the least there is, a ten-thousandth of it', ask({ per_request: 1 }, 9_999), none, used(), 1n],
    ['a token that divides evenly is not rounded', ask({ input_per_million: 1_000_000 }), none, used({ tokensIn: 7 }), 7n],
    // 2.345 s at 500,000 a second
    ['seconds', ask({ per_second: 500_000 }), none, used({ ms: 2345 }), 1_172_500n],
    ['a millisecond of one nano-USD a second', ask({ per_second: 1 }), none, used({ ms: 1 }), 1n],
    // 1,000,000 + 4 × (3,000,000 + 28 × 20,000)
    [
      'four images of 28 steps',
      ask({ per_request: 1_000_000, per_image: 3_000_000, per_step: 20_000 }),
      { images: 4, steps: 28 },
      used({ ms: 9000 }),
      15_240_000n,
    ],
    ['no tokens told', ask(chat), none, used(), 0n],
  ])('%s', (_name, terms, units, metered, cost) => {
    expect(costOf(terms, units, metered)).toBe(cost);
  });

  test('a quote: bytes bound the tokens, 4,096 where the caller does not say', () => {
    const f: QuoteFacts = { requestBytes: 2000, maxTokens: null, timeoutMs: 60_000, images: 0, steps: 0 };
    // 2,000 × 150 + 1 for a second rounding + 4,096 × 600
    expect(quoteOf(ask(chat), f)).toBe(2_757_601n);
    // 2,000 × 150 + 1 + 100 × 600
    expect(quoteOf(ask(chat), { ...f, maxTokens: 100 })).toBe(360_001n);
    // 60 s × 500,000, half off
    expect(quoteOf(ask({ per_second: 500_000 }, 5_000), f)).toBe(15_000_000n);
    expect(quoteOf(ask({}), f)).toBe(0n);
  });

  test('rent and shares', () => {
    // 60 s at 100,000,000 a second: 6 USD a minute
    expect(rentOf(ask({ per_instance_second: 100_000_000 }), 60_000)).toBe(6_000_000_000n);
    expect(rentOf(ask({ per_instance_second: 1 }), 1)).toBe(1n);
    // 85 % of 450,000, of 1, of 7
    expect([450_000n, 1n, 7n].map((cost) => shareOf(cost, 1500))).toEqual([382_500n, 0n, 5n]);
    expect([0, 10_000].map((fee) => shareOf(99n, fee))).toEqual([99n, 0n]);
  });
});
