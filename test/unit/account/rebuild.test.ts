/**
 * Two of the same account get the same random events; one of them is evicted whenever chance says so. What it kept, what
 * it answers and what reaches Postgres must be the same, and each attempt is charged once, within its hold.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costOf } from '../../../functions/account/calls.ts';
import type { InquiryAnswer, Settlement } from '../../../functions/calls/ports.ts';
import { Bank } from './bank.ts';
import { Bench, PAID, settlement } from './bench.ts';

const AGENTS = ['agt_1', 'agt_2', 'agt_3'];
const QUOTE = 250n;

const call = fc.integer({ min: 0, max: 4 }).map((n) => `c${n}`);
const agent = fc.constantFrom(...AGENTS);
const attempt = fc
  .record({ call, attempt: fc.integer({ min: 0, max: 3 }), agent, final: fc.boolean() })
  .map(({ call, attempt, agent, final }): Settlement =>
    settlement(call, attempt, { agent, final, outcome: final ? 'completed' : 'failed' }),
  );
const answer: fc.Arbitrary<InquiryAnswer | null> = fc.oneof(
  fc.constant(null),
  fc.constant<InquiryAnswer>({ kind: 'running' }),
  fc.constant<InquiryAnswer>({ kind: 'never' }),
  fc.array(attempt, { maxLength: 2 }).map((settlements): InquiryAnswer => ({ kind: 'settled', settlements })),
);

type Step =
  | { do: 'open'; call: string }
  | { do: 'settle'; settlements: Settlement[] }
  | { do: 'close'; call: string }
  | { do: 'inquired'; call: string; agent: string; answer: InquiryAnswer | null }
  | { do: 'widen'; call: string; agent: string }
  | { do: 'flush'; outcome: 'ok' | 'rows' | 'down' | 'lost' }
  | { do: 'nonce'; nonce: string }
  | { do: 'pass'; ms: number }
  | { do: 'evict' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('open' as const), call }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('settle' as const), settlements: fc.array(attempt, { minLength: 1, maxLength: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), call }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('inquired' as const), call, agent, answer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('widen' as const), call, agent }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('flush' as const),
      outcome: fc.constantFrom('ok' as const, 'rows' as const, 'down' as const, 'lost' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('nonce' as const), nonce: fc.constantFrom('n1', 'n2') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 1_000, 40_000, 16 * 60_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('evict' as const) }) },
);

/** What Postgres was told and did not refuse. */
type Told = Map<string, bigint>;

function act(bench: Bench, told: Told, s: Step): unknown {
  switch (s.do) {
    case 'open':
      return { ...bench.open(s.call, { ...PAID, agents: AGENTS.slice(0, 2) }), rate: null };
    case 'settle':
      return bench.settle(...s.settlements);
    case 'close': // nothing was tried: the one form of it that is no hint only
      return bench.run(bench.core.close(s.call, 0, 'no_capacity', bench.now));
    case 'inquired':
      return bench.run(bench.core.inquired(s.call, s.agent, s.answer, bench.now));
    case 'widen':
      return bench.run(bench.core.widen(s.call, [s.agent]));
    case 'nonce':
      return bench.run(bench.core.spendNonce(s.nonce, bench.now));
    case 'pass':
      bench.now += s.ms;
      return null;
    case 'flush':
      return flush(bench, told, s.outcome);
    case 'evict':
      return null;
  }
}

function flush(bench: Bench, told: Told, outcome: 'ok' | 'rows' | 'down' | 'lost'): null {
  const due = bench.wake().find((e) => e.kind === 'flush');
  bench.answerDraws();
  if (due?.kind !== 'flush') return null;
  if (outcome === 'ok' || outcome === 'lost') {
    for (const row of due.calls) {
      if (told.has(row.call)) expect(told.get(row.call)).toBe(costOf(row));
      told.set(row.call, costOf(row));
    }
    expect(bench.bank.flush(due.calls)).toBe('ok');
  }
  if (outcome === 'ok') bench.run(bench.core.flushed(due.through, bench.now));
  if (outcome === 'rows' || outcome === 'down') bench.run(bench.core.flushFailed(due.through, outcome, bench.now));
  return null;
}

/** Sends what is left. */
function settleUp(bench: Bench, told: Told): void {
  for (let i = 0; i < 50; i++) {
    bench.now += 61_000;
    flush(bench, told, 'ok');
  }
}

function stories(bench: Bench) {
  return bench.core.recent(100).map((r) => ({
    call: r.call,
    agents: r.agents,
    closed: r.closedAt !== null,
    attempts: r.attempts.map((a) => [a.settlement.attempt, a.settlement.agent, a.cost, a.refused]),
    fenced: Object.entries(r.inquiry).filter(([, i]) => i.state === 'fenced'),
  }));
}

/** What was flushed meanwhile is a matter of pace. */
function spendable(bench: Bench) {
  const { free, held, leases } = bench.core.money();
  return { free, held, leases };
}

test('an account that is evicted at any point goes on as if it had not been', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const [steady, evicted] = [Bench.registered({}, new Bank(10_000n, 300n)), Bench.registered({}, new Bank(10_000n, 300n))];
      const [toldBySteady, toldByEvicted]: [Told, Told] = [new Map(), new Map()];
      for (const s of steps) {
        const before = act(steady, toldBySteady, s);
        const after = act(evicted, toldByEvicted, s);
        if (s.do !== 'flush') expect(after).toEqual(before);
        if (s.do === 'evict') evicted.rebuild();
        expect(stories(evicted)).toEqual(stories(steady));
        expect(spendable(evicted)).toEqual(spendable(steady));
        for (const bench of [steady, evicted]) if (bench.core.money().held > 0n) expect(bench.core.alarmAt).not.toBeNull();
      }
      for (const bench of [steady, evicted]) checkMoney(bench);
      settleUp(evicted, toldByEvicted);
      checkTold(evicted, toldByEvicted);
    }),
    { numRuns: 300 },
  );
});

function checkMoney(bench: Bench): void {
  for (const row of bench.core.recent(100)) {
    expect(costOf(row) <= QUOTE).toBe(true);
    expect(new Set(row.attempts.map((a) => a.settlement.attempt)).size).toBe(row.attempts.length);
  }
}

/** Every closed call is in Postgres or in quarantine, with what it cost. */
function checkTold(bench: Bench, told: Told): void {
  const poison = new Set(bench.rows().flatMap((r) => (r.kind === 'poison' ? [r.value.call.call] : [])));
  for (const row of bench.core.recent(100)) {
    if (row.closedAt === null) expect(told.has(row.call)).toBe(false);
    else if (!poison.has(row.call)) expect(told.get(row.call)).toBe(costOf(row));
  }
}
