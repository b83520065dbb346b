/**
 * The account's money against a small model of it: calls of any size, settlements that come twice and out of order, moves
 * of the lease whose outcome is unknown, flushes that fail or succeed unheard, evictions at any point, an operator who
 * takes a lease back. What is held and spent is always as the model says, and every closed call is billed once.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Effect } from '../../../functions/account/effects.ts';
import { costOf } from '../../../functions/account/calls.ts';
import { Bank } from './bank.ts';
import { ask, Bench, settlement, terms } from './bench.ts';
import { Model } from './model.ts';

type Draw = Extract<Effect, { kind: 'draw' }>;

/** A thousand output tokens cost a cent, so that longer calls are held block by block. */
const TOKEN = 10_000n;
const TERMS = terms({ per_request: 100, output_per_million: 1_000_000 * Number(TOKEN) });

const call = fc.integer({ min: 0, max: 12 }).map((n) => `c${n}`);
const outcome = fc.constantFrom('ok' as const, 'ok' as const, 'unasked' as const, 'unheard' as const);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      call,
      tokens: fc.integer({ min: 0, max: 5_000 }),
      answered: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      call,
      tokens: fc.integer({ min: 0, max: 6_000 }),
      delivered: fc.boolean(),
      times: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('extend' as const), call, tokens: fc.integer({ min: 0, max: 9_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), call }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('draw' as const), outcome }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('flush' as const), outcome }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 1_500, 31_000, 11 * 60_000, -60_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('evict' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pay' as const), amount: fc.bigInt({ min: 1n, max: 10_000_000n }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fence' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const seen = { open: 0, blocks: 0, extended: 0 };

class World {
  readonly bank: Bank;
  readonly bench: Bench;
  readonly model: Model;
  /** Answers to a move that are on their way, also to older ones. */
  draws: Draw[] = [];

  constructor(cash: bigint, promo: bigint) {
    this.bank = new Bank(cash, promo);
    this.bench = Bench.registered({ leaseNanousd: 30_000_000, batchNow: 1, flushMs: 0 }, this.bank);
    this.model = new Model(cash + promo);
  }

  act(s: Step): void {
    const { bench, model } = this;
    switch (s.do) {
      case 'open': {
        const facts = { ...ask('x').facts, maxTokens: s.tokens };
        const opened = () => bench.run(bench.core.open(ask(s.call, { terms: TERMS, facts, extensible: s.tokens % 2 === 0 }), bench.now));
        let answer = opened();
        for (let k = 0; k < s.answered && answer === 'short'; k++) {
          this.draws.push(...bench.draws());
          this.answer('ok');
          answer = opened();
        }
        if (answer === 'short') break;
        seen.open += Number(answer.ok);
        seen.blocks += Number(answer.ok && answer.allowance === 1_024);
        if (answer.ok && this.isFenced(s.call)) model.lost.add(s.call);
        if (answer.ok) model.opened(s.call, answer.hold);
        if (!answer.ok && answer.code === 'insufficient_credit') expect(answer.required).toBeGreaterThan(answer.available ?? 0n);
        break;
      }
      case 'extend': {
        const answer = bench.run(bench.core.extend(s.call, s.tokens, bench.now));
        seen.extended += Number(answer !== 'short' && answer.ok);
        if (answer !== 'short' && answer.ok) model.extended(s.call, bench.core.call(s.call)?.hold ?? 0n);
        break;
      }
      case 'settle':
        for (let k = 0; k < s.times; k++) {
          const bytes = s.delivered ? 10 : 0;
          bench.settle(settlement(s.call, 0, { outcome: 'failed', bytes, tokensOut: s.tokens }));
          model.settled(s.call, s.delivered ? 100n + BigInt(s.tokens) * TOKEN : 0n);
        }
        break;
      case 'close':
        bench.run(bench.core.close(s.call, 0, 'no_capacity', bench.now));
        model.settled(s.call, 0n);
        break;
      case 'draw':
        this.answer(s.outcome);
        break;
      case 'flush':
        this.flush(s.outcome);
        break;
      case 'pass':
        bench.now += s.ms;
        break;
      case 'evict':
        bench.rebuild();
        break;
      case 'pay':
        this.bank.cash += s.amount;
        model.total += s.amount;
        bench.now += 1_000;
        break;
      case 'fence':
        this.bank.fence(this.bank.newest);
        for (const id of [...model.open.keys(), ...model.closed.keys()])
          if (this.isFenced(id) && !this.bank.captured.has(id)) model.lost.add(id);
    }
    this.draws.push(...bench.draws());
  }

  isFenced(id: string): boolean {
    const epoch = this.bench.core.call(id)?.epoch ?? null;
    return epoch !== null && this.bank.leases.get(epoch)?.state === 'closed';
  }

  /** `unheard`: it is done, and nobody is told. */
  answer(outcome: 'ok' | 'unasked' | 'unheard'): void {
    const { bench } = this;
    const draw = this.draws.shift();
    if (draw === undefined) return;
    const answer = outcome === 'unasked' ? null : this.bank.move(draw.epoch, draw);
    if (outcome === 'ok' && answer !== null) bench.run(bench.core.moved(draw.epoch, draw.n, answer, bench.now));
    else bench.run(bench.core.moveFailed(draw.epoch, draw.n, bench.now));
    this.draws.push(...bench.draws());
  }

  flush(outcome: 'ok' | 'unasked' | 'unheard'): void {
    const { bench } = this;
    const flush = bench.wake().find((effect) => effect.kind === 'flush');
    this.draws.push(...bench.draws());
    if (flush?.kind !== 'flush') return;
    const done = outcome === 'unasked' ? 'down' : this.bank.flush(flush.calls);
    if (outcome !== 'ok') bench.run(bench.core.flushFailed(flush.through, 'down', bench.now));
    else if (done === 'fenced') bench.run(bench.core.flushFailed(flush.through, 'fenced', bench.now));
    else bench.run(bench.core.flushed(flush.through, bench.now));
  }

  check(): void {
    const { bench, model } = this;
    const money = bench.core.money();
    expect(money.held).toBe(model.held);
    expect(money.free >= 0n).toBe(true);
    for (const lease of money.leases) {
      expect(lease.held >= 0n && lease.cashSpent <= lease.cash && lease.promoSpent <= lease.promo).toBe(true);
      expect(lease.cashSpent + lease.promoSpent + lease.held <= lease.cash + lease.promo).toBe(true);
    }
    for (const [id, cost] of model.closed) {
      const row = bench.core.call(id);
      if (row !== null) expect([row.closedAt !== null, costOf(row), row.cash + row.promo]).toEqual([true, cost, cost]);
    }
  }

  /** Everything is answered, and idle credit goes back. */
  finish(): void {
    for (const id of this.model.open.keys()) this.act({ do: 'close', call: id });
    for (let k = 0; k < 60; k++) {
      this.bench.now += 61_000;
      this.flush('ok');
      while (this.draws.length > 0) this.answer('ok');
      this.bench.answerDraws();
    }
  }
}

test('what is held and spent is as the model says, whatever fails', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 400_000_000n }),
      fc.bigInt({ min: 0n, max: 50_000_000n }),
      fc.array(step, { maxLength: 120, size: 'max' }),
      (cash, promo, steps) => {
        const world = new World(cash, promo);
        for (const s of steps) {
          world.act(s);
          world.check();
        }
        world.finish();
        world.check();
        expect(world.model.left >= 0n).toBe(true);
        const aside = world.bench.rows().flatMap((row) => (row.kind === 'poison' ? [row.value.call.call] : []));
        const billed = [...world.bank.captured].map(([id, { cost }]): [string, bigint] => [id, cost]);
        const due = [...world.model.closed].filter(([id]) => !aside.includes(id));
        expect(Object.fromEntries(billed)).toEqual(Object.fromEntries(due));
        expect(world.bench.core.money()).toMatchObject({ held: 0n, unbilled: 0n, outbox: { size: 0 } });
      },
    ),
    { numRuns: 300 },
  );
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(20);
});

test('without a fence, all that is not spent is free again in Postgres when the account is idle', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const world = new World(200_000_000n, 30_000_000n);
      for (const s of steps) if (s.do !== 'fence') world.act(s);
      world.finish();
      expect(world.bank.free('cash') + world.bank.free('promo')).toBe(world.model.left);
      expect(world.bench.core.money()).toMatchObject({ free: 0n });
    }),
    { numRuns: 200 },
  );
});
