import { describe, expect, test } from 'vitest';
import { ACCOUNT_LIMITS } from '../../../functions/account/limits.ts';
import { callRecord } from '../../../functions/account/records.ts';
import type { CallRow } from '../../../functions/account/rows.ts';
import type { OpenAsk } from '../../../functions/calls/ports.ts';
import { Bank } from './bank.ts';
import { ask, Bench, PAID, settlement, terms } from './bench.ts';

const USD = 1_000_000_000n;

/** A call that is quoted, and costs, so much. */
const priced = (nanousd: number): Partial<OpenAsk> => ({ terms: terms({ per_request: nanousd }) });
const asked = (bench: Bench, call: string, change: Partial<OpenAsk>) => bench.run(bench.core.open(ask(call, change), bench.now));
const leaseOf = (bench: Bench) => bench.core.money().leases.at(-1);

describe('the lease', () => {
  test('a free call needs neither a lease nor Postgres', () => {
    const bench = Bench.registered();
    expect(asked(bench, 'c1', {})).toMatchObject({ ok: true, hold: 0n });
    bench.settle(settlement('c1'));
    expect(bench.draws()).toEqual([]);
    expect(bench.core.money()).toMatchObject({ leases: [], held: 0n, unbilled: 0n });
  });

  test('the first paid call waits for one move, written before it is sent; promo is granted and spent first', () => {
    const bench = Bench.registered({}, new Bank(5n * USD, 200n));
    expect(asked(bench, 'c1', PAID)).toBe('short');
    expect(asked(bench, 'c2', PAID)).toBe('short');
    expect(bench.rows().find((row) => row.kind === 'lease')?.value).toMatchObject({ n: 0, moving: { n: 1, want: USD + 250n } });
    expect(bench.draws()).toEqual([{ kind: 'draw', epoch: 1, n: 1, want: USD + 250n, cash: 0n, promo: 0n }]);
    bench.run(bench.core.moved(1, 1, bench.bank.move(1, { n: 1, want: USD + 250n, cash: 0n, promo: 0n }), bench.now));
    for (const call of ['c1', 'c2', 'c3']) {
      expect(asked(bench, call, PAID)).toMatchObject({ ok: true, hold: 250n });
      bench.settle(settlement(call));
    }
    expect(leaseOf(bench)).toMatchObject({ promo: 200n, promoSpent: 200n, cashSpent: 100n, held: 0n });
    expect(bench.core.call('c2')).toMatchObject({ promo: 100n, cash: 0n, epoch: 1 });
    expect(bench.core.call('c3')).toMatchObject({ promo: 0n, cash: 100n });
  });

  test('402 only when Postgres says so, with what is required and what there is', () => {
    const bench = Bench.registered({}, new Bank(100n, 49n));
    expect(bench.open('c1', PAID)).toMatchObject({ ok: false, code: 'insufficient_credit', required: 250n, available: 149n });
    expect(bench.bank.moves).toBe(1);
    expect(bench.core.call('c1')).toBeNull();
  });

  test('a client without money does not keep Postgres busy, and a payment is seen within a second', () => {
    const bench = Bench.registered({}, new Bank());
    for (let k = 0; k < 100; k++) expect(bench.open(`c${k}`, PAID)).toMatchObject({ code: 'insufficient_credit' });
    expect(bench.bank.moves).toBe(1);
    bench.bank.cash += USD;
    bench.now += 1_000;
    expect(bench.open('c', PAID)).toMatchObject({ ok: true });
  });

  test('Postgres away: 503 at once while it is backed off, and the same move again after it', () => {
    const bench = Bench.registered({}, new Bank(USD));
    expect(asked(bench, 'c1', PAID)).toBe('short');
    const [first] = bench.draws();
    bench.run(bench.core.moveFailed(1, 1, bench.now));
    expect(asked(bench, 'c1', PAID)).toMatchObject({ ok: false, code: 'unavailable', retryAfterMs: 500 });
    expect(bench.draws()).toEqual([]);
    bench.now += 500;
    expect(asked(bench, 'c1', PAID)).toBe('short');
    expect(bench.draws()).toEqual([first]);
  });

  test('back-off doubles up to half a minute, by the alarm alone', () => {
    const bench = Bench.registered({}, new Bank(USD));
    asked(bench, 'c1', PAID);
    const waits: number[] = [];
    for (let k = 0; k < 8; k++) {
      bench.run(bench.core.moveFailed(1, 1, bench.now));
      waits.push((bench.alarm ?? 0) - bench.now);
      bench.now = bench.alarm ?? 0;
      expect(bench.wake()).toMatchObject([{ kind: 'draw', epoch: 1, n: 1 }]);
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  test('a move that was not heard of is sent again after an eviction, at once', () => {
    const bench = Bench.registered({}, new Bank(5n * USD));
    asked(bench, 'c1', PAID);
    const [lost] = bench.draws();
    bench.bank.move(1, lost!);
    bench.rebuild();
    expect(bench.core.alarmAt).toBe(0);
    expect(bench.wake()).toEqual([lost]);
    bench.answerDraws();
    expect(bench.bank.moves).toBe(1);
    expect(leaseOf(bench)).toMatchObject({ cash: USD + 250n });
    expect(asked(bench, 'c1', PAID)).toMatchObject({ ok: true });
  });

  test('answers to older moves change nothing', () => {
    const bench = Bench.registered({}, new Bank(5n * USD));
    bench.open('c1', PAID);
    const before = bench.core.money();
    bench.run(bench.core.moved(1, 1, { ...bench.bank.move(1, { n: 1, want: 1n, cash: 0n, promo: 0n }), cashAmount: 9n }, bench.now));
    bench.run(bench.core.moveFailed(1, 1, bench.now));
    bench.run(bench.core.moved(1, 2, bench.bank.move(1, { n: 1, want: 1n, cash: 0n, promo: 0n }), bench.now));
    expect(bench.core.money()).toEqual(before);
  });

  test('it is filled up in the background when half is gone; nobody waits', () => {
    const bench = Bench.registered({}, new Bank(100n * USD));
    bench.open('c1', priced(1));
    expect(asked(bench, 'c2', priced(400_000_000))).toMatchObject({ ok: true });
    expect(bench.draws()).toEqual([]);
    expect(asked(bench, 'c3', priced(200_000_000))).toMatchObject({ ok: true });
    expect(bench.draws()).toMatchObject([{ n: 2, want: 600_000_000n }]);
    expect(asked(bench, 'c4', priced(100_000_000))).toMatchObject({ ok: true });
    expect(bench.draws()).toEqual([]);
  });

  test('it lasts ten minutes of the busiest minute of the last hour, also after an eviction', () => {
    const bench = Bench.registered({}, new Bank(1_000n * USD));
    const spend = (call: string, nanousd: number) => {
      bench.open(call, priced(nanousd));
      bench.settle(settlement(call));
    };
    spend('c1', 3_000_000_000);
    bench.now += 60_000;
    spend('c2', 100);
    bench.rebuild();
    spend('c3', 1_000_000);
    expect(bench.core.money().free).toBeGreaterThan(29n * USD);
  });

  test('a small balance is taken whole, and refills that bring nothing pause', () => {
    const bench = Bench.registered({}, new Bank(1_000n));
    for (let k = 0; k < 3; k++) expect(bench.open(`c${k}`, priced(10))).toMatchObject({ ok: true });
    expect(bench.bank.moves).toBe(1);
    bench.now += 10_000;
    expect(bench.open('c9', priced(10))).toMatchObject({ ok: true });
    expect(bench.bank.moves).toBe(2);
  });

  test('idle for ten minutes it goes back, exactly; not while a call is open', () => {
    const bench = Bench.registered({}, new Bank(5n * USD, 300n));
    bench.open('c1', PAID);
    bench.now += 10 * 60_000;
    expect(bench.wake().filter((effect) => effect.kind === 'draw')).toEqual([]);
    bench.settle(settlement('c1'));
    bench.now += 10 * 60_000 - 1;
    bench.wake();
    bench.now += 1;
    expect(bench.wake()).toContainEqual({ kind: 'draw', epoch: 1, n: 2, want: -(USD + 150n), cash: USD - 50n, promo: 200n });
    expect(bench.core.money()).toMatchObject({ free: 0n });
    expect(asked(bench, 'c2', PAID)).toBe('short'); // what is on its way back cannot be held from
    bench.answerDraws();
    expect(bench.bank.free('cash')).toBe(5n * USD);
    expect(bench.open('c2', PAID)).toMatchObject({ ok: true });
  });

  test('the alarm is set for the return, and not again after it', () => {
    const bench = Bench.registered({}, new Bank(5n * USD));
    bench.open('c1', PAID);
    bench.settle(settlement('c1'));
    bench.now += 1_000;
    const flush = bench.wake().find((effect) => effect.kind === 'flush');
    bench.run(bench.core.flushed(flush?.kind === 'flush' ? flush.through : -1, bench.now));
    expect(bench.alarm).toBe(bench.now - 1_000 + 10 * 60_000);
    bench.now = bench.alarm ?? 0;
    bench.wake();
    bench.answerDraws();
    expect(bench.alarm).toBeGreaterThan(bench.now + 3_600_000); // the story of the call
  });

  test('stale: a new epoch; what was held in the old one is still billed to it, and nothing new is held from it', () => {
    const bench = Bench.registered({}, new Bank(5n * USD));
    bench.open('c1', PAID);
    bench.bank.move(7, { n: 1, want: 1n, cash: 0n, promo: 0n }); // these rows are older than what Postgres saw
    expect(bench.open('c2', priced(2_000_000_000))).toMatchObject({ ok: true });
    expect(bench.core.money().leases.map((lease) => [lease.epoch, lease.held])).toEqual([
      [1, 250n],
      [8, 2n * USD],
    ]);
    bench.settle(settlement('c1'));
    expect(bench.core.call('c1')).toMatchObject({ epoch: 1, cash: 100n });
    bench.rebuild();
    bench.now += 1_000;
    const flush = bench.wake().find((effect) => effect.kind === 'flush');
    if (flush?.kind !== 'flush') throw new Error('nothing to flush');
    expect(bench.bank.flush(flush.calls)).toBe('ok');
    bench.run(bench.core.flushed(flush.through, bench.now));
    expect(bench.core.money().leases.map((lease) => lease.epoch)).toEqual([8]);
    expect([...bench.disk.keys()].filter((key) => key.startsWith('lease'))).toEqual(['lease 8']);
  });

  test('a fenced lease: its calls are set aside one by one, never sent again, and the account goes on with a new lease', () => {
    const bench = Bench.registered({ batchNow: 1, flushMs: 0 }, new Bank(5n * USD));
    for (const call of ['c1', 'c2']) {
      bench.open(call, PAID);
      bench.settle(settlement(call));
    }
    bench.bank.fence(1);
    for (let k = 0; k < 10; k++) {
      const flush = bench.wake().find((effect) => effect.kind === 'flush');
      if (flush?.kind === 'flush') bench.run(bench.core.flushFailed(flush.through, 'fenced', bench.now));
    }
    expect(bench.rows().flatMap((row) => (row.kind === 'poison' ? [row.id] : []))).toEqual(['1', '2']);
    expect(bench.core.money()).toMatchObject({ free: 0n, unbilled: 0n, outbox: { size: 0 } });
    expect(bench.open('c3', PAID)).toMatchObject({ ok: true });
    expect(bench.core.call('c3')).toMatchObject({ epoch: 2 });
  });

  test.each([-3_600_000, -1, 1, 3_600_000])('a clock that jumps by %i ms keeps nobody waiting', (jump) => {
    const bench = Bench.registered({}, new Bank(5n * USD));
    asked(bench, 'c1', PAID);
    bench.draws();
    bench.run(bench.core.moveFailed(1, 1, bench.now));
    bench.now += jump;
    for (let k = 0; k < 40 && asked(bench, 'c1', PAID) !== 'short'; k++) bench.now += 1_000;
    bench.answerDraws();
    expect(asked(bench, 'c1', PAID)).toMatchObject({ ok: true });
    expect(bench.core.money().free).toBeGreaterThan(0n);
  });

  test.each<[string, Partial<OpenAsk>]>([
    ['a price of 2^53', { terms: terms({ per_request: Number.MAX_SAFE_INTEGER }) }],
    [
      'a quote beyond 2^63',
      { terms: terms({ per_step: Number.MAX_SAFE_INTEGER }), facts: { ...ask('x').facts, images: 100, steps: 1_000 } },
    ],
    [
      'all tokens there are',
      { terms: terms({ output_per_million: 1_000_000 }), facts: { ...ask('x').facts, maxTokens: Number.MAX_SAFE_INTEGER } },
    ],
  ])('%s: refused for want of money, and the wish fits a bigint', (_, change) => {
    const bench = Bench.registered({}, new Bank(5n * USD));
    expect(asked(bench, 'c1', change)).toBe('short');
    const [draw] = bench.draws();
    expect(draw?.want).toBeLessThan(2n ** 63n);
    bench.run(bench.core.moved(1, 1, bench.bank.move(1, draw!), bench.now));
    expect(asked(bench, 'c1', change)).toMatchObject({ code: 'insufficient_credit', available: 5n * USD });
    expect(bench.open('c2', PAID)).toMatchObject({ ok: true });
  });
});

describe('rent', () => {
  const RENT = {
    call: 'r1',
    chute: 'cht_1',
    version: 'v',
    instance: 'ins_1',
    terms: terms({ per_instance_second: 1_000 }, { discountBps: 5_000 }),
    ms: 60_000,
  };
  const rent = (bench: Bench, change = {}) => bench.covered(() => bench.run(bench.core.rent({ ...RENT, ...change }, bench.now)));

  test('is held for the period, charged for the time, and no call to who reads his calls', () => {
    const bench = Bench.registered({}, new Bank(USD));
    expect(rent(bench)).toBe(true);
    expect(rent(bench)).toBe(true);
    expect(bench.core.money().held).toBe(30_000n);
    bench.settle(settlement('r1', 0, { key: '', lastByteMs: 20_001 }));
    expect(bench.core.call('r1')).toMatchObject({ kind: 'rent', cash: 10_001n, closedAt: bench.now });
    expect(bench.core.recent(10)).toEqual([]);
    expect(rent(bench)).toBe(true);
    expect(bench.core.money()).toMatchObject({ held: 0n, unbilled: 10_001n });
  });

  test('is never more than its hold, and nothing when nobody settles it', () => {
    const bench = Bench.registered({}, new Bank(USD));
    rent(bench);
    rent(bench, { call: 'r2' });
    bench.settle(settlement('r1', 0, { lastByteMs: 10 ** 9 }));
    expect(bench.core.call('r1')?.cash).toBe(30_000n);
    bench.now += 60_000 + ACCOUNT_LIMITS.rentGraceMs + 10_000;
    bench.wake();
    expect(bench.core.call('r2')).toMatchObject({ closedAt: bench.now, code: 'timeout', cash: 0n });
  });

  test('costs nothing where a clock went back', () => {
    const bench = Bench.registered({}, new Bank(USD));
    rent(bench);
    bench.settle(settlement('r1', 0, { lastByteMs: -1_000 }));
    expect(bench.core.call('r1')?.cash).toBe(0n);
  });

  test('is refused without the money for it', () => {
    expect(rent(Bench.registered({}, new Bank(29_999n)))).toBe(false);
  });

  test('is neither held nor refused while nobody can say', () => {
    expect(rent(Bench.registered({ openCalls: 0 }, new Bank(USD)))).toBeNull();
    const bench = Bench.registered({}, new Bank(USD));
    expect(bench.run(bench.core.rent(RENT, bench.now))).toBe('short');
    bench.run(bench.core.moveFailed(1, 1, bench.now));
    expect(bench.run(bench.core.rent(RENT, bench.now))).toBeNull();
  });
});

describe('a bounty', () => {
  const BOUNTY = {
    call: 'b1',
    chute: 'cht_1',
    version: 'v',
    instance: 'ins_1',
    terms: terms({ per_request: 700 }),
    ms: 1,
    bounty: true as const,
  };
  const ask = (bench: Bench) => bench.covered(() => bench.run(bench.core.rent(BOUNTY, bench.now)));

  test('is one sum, whatever prices the account has of its own, and charged once however often it is said', () => {
    const bench = Bench.registered({}, new Bank(USD));
    const own = { version: 'own', chute: '*', price: terms({ per_request: 1 }).price, discountBps: 5_000, startsAt: 0, endsAt: null };
    bench.run(bench.core.setOverrides([own]));
    expect([ask(bench), ask(bench)]).toEqual([true, true]);
    expect(bench.core.money().held).toBe(700n);
    const paid = settlement('b1', 0, { key: '', lastByteMs: 1 });
    bench.settle(paid);
    bench.settle(paid);
    expect(bench.core.call('b1')).toMatchObject({ kind: 'bounty', cash: 700n, closedAt: bench.now });
    expect(bench.core.recent(10)).toEqual([]);
    expect(bench.core.money()).toMatchObject({ held: 0n, unbilled: 700n });
    expect(callRecord('acc_a', bench.core.call('b1') as CallRow)).toMatchObject({ kind: 'rent', costNanousd: 700n });
  });

  test('costs nothing when it is given back, and is refused without the money for it', () => {
    const bench = Bench.registered({}, new Bank(USD));
    ask(bench);
    bench.run(bench.core.close('b1', 0, '', bench.now));
    expect(bench.core.call('b1')).toMatchObject({ cash: 0n, closedAt: bench.now });
    expect(bench.core.money()).toMatchObject({ held: 0n, unbilled: 0n });
    expect(ask(Bench.registered({}, new Bank(699n)))).toBe(false);
  });
});

describe("the account's own prices", () => {
  const price = terms({ per_request: 7 }).price;
  const set = (bench: Bench, ...list: Parameters<typeof bench.core.setOverrides>[0]) => bench.run(bench.core.setOverrides(list));

  test('one for the chute before one for all, the last that started, while it lasts', () => {
    const bench = Bench.registered({}, new Bank(USD));
    set(
      bench,
      { chute: '*', discountBps: 5_000, version: 'o1', startsAt: 0, endsAt: null },
      { chute: 'cht_1', price, version: 'o2', startsAt: 0, endsAt: bench.now + 1_000 },
      { chute: 'cht_1', price, discountBps: 10_000, version: 'o3', startsAt: bench.now + 500, endsAt: bench.now + 800 },
    );
    bench.rebuild();
    const version = () => bench.core.termsFor('cht_1', terms({ per_request: 100 }), bench.now);
    expect(version()).toMatchObject({ version: 'p1+o2', price, discountBps: 0 });
    bench.now += 500;
    expect(version()).toMatchObject({ version: 'p1+o3', discountBps: 10_000 });
    bench.now += 500;
    expect(version()).toMatchObject({ version: 'p1+o1', price: { per_request: 100 }, discountBps: 5_000 });
  });

  test('are what a call is held for and charged by, whatever they become meanwhile', () => {
    const bench = Bench.registered({}, new Bank(USD));
    set(bench, { chute: 'cht_1', price, version: 'o1', startsAt: 0, endsAt: null });
    expect(bench.open('c1', priced(100))).toMatchObject({ ok: true, hold: 7n, terms: { version: 'p1+o1', price } });
    set(bench);
    bench.settle(settlement('c1'));
    expect(bench.core.call('c1')).toMatchObject({ cash: 7n });
    expect(bench.open('c2', priced(100))).toMatchObject({ hold: 100n });
  });

  test('too many are refused', () => {
    const bench = Bench.registered({ overrides: 1 });
    const one = { chute: '*', version: 'o', startsAt: 0, endsAt: null };
    expect([set(bench, one), set(bench, one, one)]).toEqual([true, false]);
  });
});
