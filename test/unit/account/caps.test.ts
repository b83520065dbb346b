import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endOf, startOf, type Period } from '../../../functions/account/periods.ts';
import type { CapPeriod, KeyCap } from '../../../functions/account/rows.ts';
import type { OpenAsk } from '../../../functions/calls/ports.ts';
import { Bank } from './bank.ts';
import { ask, Bench, CLAIM, PAID, settlement, terms } from './bench.ts';

const USD = 1_000_000_000n;
/** Wednesday, in the middle of a month that ends on a Saturday. */
const WEDNESDAY = Date.parse('2026-10-14T12:00:00Z');
const LATER = { total: null, day: '2026-10-15', week: '2026-10-19', month: '2026-11-01' };

function capped(limit: bigint, period: CapPeriod = 'total', bank = new Bank(5n * USD)): Bench {
  const bench = Bench.registered({}, bank);
  bench.now = WEDNESDAY;
  setCap(bench, { limit, period });
  return bench;
}

const setCap = (bench: Bench, cap: KeyCap | null) => bench.run(bench.core.changeKey(CLAIM.key, { cap }, bench.now));
const capOf = (bench: Bench) => bench.core.listKeys(bench.now)[0]?.cap;
/** Quoted 250, costs 100. */
const pay = (bench: Bench, call: string) => {
  expect(bench.open(call, PAID)).toMatchObject({ ok: true });
  bench.settle(settlement(call));
};

describe('periods', () => {
  test.each<[Period, string, string, string]>([
    ['day', '2026-02-28T23:59:59.999Z', '2026-02-28', '2026-03-01'],
    ['day', '2026-03-01T00:00:00Z', '2026-03-01', '2026-03-02'],
    ['week', '2026-10-18T23:59:59Z', '2026-10-12', '2026-10-19'],
    ['week', '2026-10-19T00:00:00Z', '2026-10-19', '2026-10-26'],
    ['week', '1970-01-01T00:00:00Z', '1969-12-29', '1970-01-05'],
    ['week', '2027-01-01T00:00:00Z', '2026-12-28', '2027-01-04'],
    ['month', '2028-02-29T12:00:00Z', '2028-02-01', '2028-03-01'],
    ['month', '2026-12-31T23:59:59Z', '2026-12-01', '2027-01-01'],
  ])('the %s of %s goes from %s to %s', (period, at, start, end) => {
    expect([startOf(period, Date.parse(at)), endOf(period, Date.parse(at))]).toEqual([Date.parse(start), Date.parse(end)]);
  });

  test('every moment is in exactly one of each', () => {
    fc.assert(
      fc.property(fc.constantFrom<Period>('day', 'week', 'month'), fc.integer({ min: 0, max: 4e12 }), (period, at) => {
        const [start, end] = [startOf(period, at), endOf(period, at)];
        expect(start <= at && at < end).toBe(true);
        expect(startOf(period, end)).toBe(end);
        expect(endOf(period, end - 1)).toBe(end);
      }),
    );
  });
});

describe('caps', () => {
  test.each<CapPeriod>(['total', 'day', 'week', 'month'])('per %s: spent + held + asked stays within it, and it starts anew', (period) => {
    const bench = capped(600n, period);
    pay(bench, 'c1');
    bench.open('c2', PAID);
    bench.open('c3', PAID);
    const resetAt = LATER[period] === null ? undefined : Date.parse(LATER[period]);
    const refused = bench.open('c4', PAID);
    expect(refused).toMatchObject({ ok: false, code: 'key_cap_reached', required: 250n, available: 0n });
    expect(refused).toMatchObject(resetAt === undefined ? {} : { resetAt, retryAfterMs: resetAt - bench.now });
    expect('resetAt' in refused).toBe(resetAt !== undefined);
    expect(capOf(bench)).toEqual({ limit: 600n, period, spent: 100n, held: 500n, remaining: 0n, resetsAt: resetAt ?? null });
    bench.settle(settlement('c2'), settlement('c3'));
    bench.rebuild();
    expect(capOf(bench)).toMatchObject({ spent: 300n, held: 0n, remaining: 300n });
    bench.now = resetAt ?? bench.now + 400 * 86_400_000;
    expect(capOf(bench)).toMatchObject(resetAt === undefined ? { spent: 300n } : { spent: 0n, remaining: 600n });
  });

  test('a free call passes whatever the cap', () => {
    expect(capped(0n).open('c1')).toMatchObject({ ok: true });
    expect(capped(0n).open('c1', PAID)).toMatchObject({ code: 'key_cap_reached' });
  });

  test('what runs over midnight counts as held on both days, and as spent on the day it ends', () => {
    const bench = capped(300n, 'day');
    bench.open('c1', PAID);
    bench.now = Date.parse('2026-10-15T00:00:01Z');
    expect(capOf(bench)).toMatchObject({ spent: 0n, held: 250n, remaining: 50n });
    bench.settle(settlement('c1'));
    expect(capOf(bench)).toMatchObject({ spent: 100n, held: 0n });
  });

  test('a cap that is set later counts what was spent before, also over flushes and evictions', () => {
    const bench = Bench.registered({ keepCalls: 0 }, new Bank(5n * USD));
    bench.now = WEDNESDAY;
    for (const call of ['c1', 'c2', 'c3']) {
      pay(bench, call);
      bench.now += 1_000;
      const flush = bench.wake().find((effect) => effect.kind === 'flush');
      if (flush?.kind === 'flush' && call !== 'c3') bench.run(bench.core.flushed(flush.through, bench.now));
      bench.rebuild();
    }
    expect(bench.core.call('c1')).toBeNull();
    setCap(bench, { limit: 540n, period: 'week' });
    expect(capOf(bench)).toMatchObject({ spent: 300n, remaining: 240n });
    expect(bench.open('c4', PAID)).toMatchObject({ code: 'key_cap_reached', available: 240n });
  });

  test('a cap edited while calls run: they keep their holds, the next one sees the new cap', () => {
    const bench = capped(1_000n);
    bench.open('c1', PAID);
    bench.open('c2', PAID);
    setCap(bench, { limit: 100n, period: 'total' });
    expect(bench.open('c3', PAID)).toMatchObject({ code: 'key_cap_reached', available: 0n });
    bench.settle(settlement('c1', 0, { tokensOut: 150 }));
    expect(bench.core.call('c1')).toMatchObject({ cash: 250n });
    setCap(bench, null);
    expect(bench.open('c4', PAID)).toMatchObject({ ok: true });
  });

  test('a clock that goes back stays in the period it had reached', () => {
    const bench = capped(360n, 'day');
    bench.now = Date.parse('2026-10-15T00:00:01Z');
    pay(bench, 'c1');
    bench.now -= 60_000;
    expect(capOf(bench)).toMatchObject({ spent: 100n, resetsAt: Date.parse('2026-10-16') });
    pay(bench, 'c2');
    expect(bench.open('c3', PAID)).toMatchObject({ code: 'key_cap_reached' });
    bench.now += 120_000;
    expect(capOf(bench)).toMatchObject({ spent: 200n });
  });

  test('one key’s cap is no other key’s', () => {
    const bench = capped(100n);
    const claim = { account: 'acc_a', key: 'key_b', proof: 'b'.repeat(64) };
    bench.run(bench.core.createKey({ key: 'key_b', name: 'b', proof: claim.proof, scopes: ['invoke'], expiresAt: null }, bench.now));
    expect(bench.open('c1', PAID)).toMatchObject({ code: 'key_cap_reached' });
    expect(bench.open('c1', { ...PAID, claim })).toMatchObject({ ok: true });
  });

  test('a key that is revoked and forgotten leaves no tally behind', () => {
    const bench = capped(1_000n);
    bench.open('c1', PAID);
    bench.run(bench.core.revokeKey(CLAIM.key, bench.now));
    bench.run(bench.core.mirrored(bench.wake().flatMap((effect) => (effect.kind === 'mirror' ? effect.keys : []))));
    bench.settle(settlement('c1'));
    bench.now += 1_000;
    const flush = bench.wake().find((effect) => effect.kind === 'flush');
    bench.run(bench.core.flushed(flush?.kind === 'flush' ? flush.through : -1, bench.now));
    expect([...bench.disk.keys()].filter((key) => key.startsWith('tally'))).toEqual([]);
  });

  test('the key itself is told, whatever it may do', () => {
    const bench = capped(600n, 'month');
    expect(bench.core.thisKey(CLAIM, bench.now)).toMatchObject({
      ok: true,
      key: { key: CLAIM.key, cap: { remaining: 600n } },
      rate: { limit: 20_000 },
    });
    expect(bench.core.thisKey({ ...CLAIM, proof: 'x' }, bench.now)).toEqual({ ok: false, code: 'invalid_api_key' });
  });
});

describe('block by block', () => {
  /** A cent for a thousand output tokens. */
  const long = (maxTokens: number | null, extensible = true): Partial<OpenAsk> => ({
    terms: terms({ output_per_million: 10_000_000_000 }),
    facts: { ...ask('x').facts, maxTokens },
    extensible,
  });
  const extend = (bench: Bench, tokens: number) => bench.covered(() => bench.run(bench.core.extend('c1', tokens, bench.now)));
  const BLOCK = 10_240_000n;

  test.each<[string, Partial<OpenAsk>, bigint, number | null]>([
    ['a long stream: one block', long(100_000), BLOCK, 1_024],
    ['a stream that says nothing: one block', long(null), BLOCK, 1_024],
    ['a stream of less than a cent: all of it', long(999), 9_990_000n, null],
    ['a stream of one block: all of it', long(1_024), BLOCK, null],
    ['a reply that cannot be cut: all of it', long(100_000, false), 1_000_000_000n, null],
    [
      'a stream whose tokens cost nothing: all of it',
      { ...PAID, terms: terms({ per_request: 99_000_000 }), extensible: true },
      99_000_000n,
      null,
    ],
    [
      'a cheap stream that says nothing: the default, and more as it comes',
      { ...long(null), terms: terms({ output_per_million: 1_000_000 }) },
      4_096n,
      4_096,
    ],
  ])('%s', (_, change, hold, allowance) => {
    expect(Bench.registered({}, new Bank(5n * USD)).open('c1', change)).toMatchObject({ ok: true, hold, allowance });
  });

  test('more is held in whole blocks up to what the caller allows; the same again changes nothing; it never shrinks', () => {
    const bench = Bench.registered({}, new Bank(50n * USD));
    bench.open('c1', long(2_500));
    const rows = [1, 1_024, 1_025, 1_025, 3, 2_048, 2_049, 9_999, 1].map((tokens) => [extend(bench, tokens), bench.core.call('c1')?.hold]);
    const at = (allowance: number | null, hold: bigint) => [{ ok: true, allowance }, hold];
    expect(rows).toEqual([
      ...[1, 2].map(() => at(1_024, BLOCK)),
      ...[1, 2, 3, 4].map(() => at(2_048, 2n * BLOCK)),
      ...[1, 2, 3].map(() => at(null, 25_000_000n)),
    ]);
    bench.rebuild();
    expect(bench.core.money().held).toBe(25_000_000n);
    bench.settle(settlement('c1', 0, { tokensOut: 1_500 }));
    expect(bench.core.call('c1')).toMatchObject({ cash: 15_000_000n });
    expect(extend(bench, 1)).toEqual({ ok: false });
  });

  test('it ends where the credit, the cap or the lease ends', () => {
    const poor = Bench.registered({}, new Bank(2n * BLOCK + 1n));
    poor.open('c1', long(null));
    expect([extend(poor, 1_025), extend(poor, 2_049)]).toEqual([{ ok: true, allowance: 2_048 }, { ok: false }]);
    const under = capped(2n * BLOCK);
    under.open('c1', long(null));
    expect([extend(under, 2_048), extend(under, 2_049)]).toEqual([{ ok: true, allowance: 2_048 }, { ok: false }]);
    const lost = Bench.registered({}, new Bank(50n * USD));
    lost.open('c1', long(null));
    lost.bank.fence(1);
    lost.now += 1_000;
    expect(extend(lost, 1_000_000)).toEqual({ ok: false });
    expect(extend(lost, 2_000)).toEqual({ ok: false });
  });

  test('a key that is revoked holds no more, and keeps what it holds', () => {
    const bench = capped(2n * BLOCK);
    bench.open('c1', long(null));
    bench.run(bench.core.revokeKey(CLAIM.key, bench.now));
    expect([extend(bench, 1_024), extend(bench, 1_025)]).toEqual([{ ok: true, allowance: 1_024 }, { ok: false }]);
    expect(bench.core.money().held).toBe(BLOCK);
  });
});

describe('500 parallel calls, each quoted twice its real cost, against a cap that fits 50 real costs', () => {
  const COST = 1_000n;
  const CAP = 50n * COST;
  /** Quoted 2,000 with its 1,000 output tokens, of which none comes. */
  const CALL: Partial<OpenAsk> = {
    terms: terms({ per_request: 1_000, output_per_million: 1_000_000 }),
    facts: { ...ask('x').facts, maxTokens: 1_000 },
  };

  /** One event of the account's own log, judged at once. */
  function judge(bench: Bench, answer: ReturnType<Bench['open']> | null): void {
    const { spent, held } = capOf(bench)!;
    expect(spent <= CAP && spent + held <= CAP).toBe(true);
    if (answer?.ok === false) {
      expect(answer.code).toBe('key_cap_reached');
      expect(spent + held + 2n * COST > CAP).toBe(true);
    }
  }

  test(
    'captured ≤ cap at every row version, no false refusal, and less than a quote is left when nothing is accepted any more',
    { timeout: 60_000 },
    () => {
      fc.assert(
        fc.property(fc.infiniteStream(fc.nat()), fc.integer({ min: 1, max: 60 }), (chance, patience) => {
          const bench = capped(CAP);
          let waiting = Array.from({ length: 500 }, (_, k) => `c${k}`);
          const running: string[] = [];
          const settleOne = () => {
            const at = (chance.next().value ?? 0) % running.length;
            bench.settle(settlement(running.splice(at, 1)[0] ?? ''));
            judge(bench, null);
            if ((chance.next().value ?? 0) % 20 === 0) bench.rebuild();
          };
          for (let accepted = 1; accepted > 0;) {
            accepted = 0;
            const refused: string[] = [];
            for (const call of waiting) {
              const answer = bench.open(call, CALL);
              judge(bench, answer);
              if (answer.ok) running.push(call);
              else refused.push(call);
              accepted += Number(answer.ok);
              if (running.length > 0 && (chance.next().value ?? 0) % patience === 0) settleOne();
            }
            while (running.length > 0) settleOne();
            waiting = refused;
          }
          const { spent, held } = capOf(bench)!;
          expect([held, CAP - spent < 2n * COST, spent <= CAP]).toEqual([0n, true, true]);
        }),
        { numRuns: 10 },
      );
    },
  );
});
