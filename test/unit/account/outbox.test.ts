import { describe, expect, test } from 'vitest';
import type { CallRow } from '../../../functions/account/rows.ts';
import { Bench, settlement } from './bench.ts';

/** Settles one call per name, in order. */
function withSettled(names: string[], limits = {}): Bench {
  const bench = Bench.registered(limits);
  for (const name of names) {
    bench.open(name);
    bench.settle(settlement(name));
  }
  return bench;
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `c${i}`);
const callsOf = (calls: CallRow[]) => calls.map((row) => row.call);

/** Postgres that refuses every batch with one of these calls; keeps what it took. */
class Postgres {
  readonly has = new Map<string, number>();
  readonly poison: Set<string>;
  statements = 0;
  constructor(poison: string[] = []) {
    this.poison = new Set(poison);
  }
  /** Lets the alarm ring until nothing leaves any more. */
  drain(bench: Bench): void {
    for (let i = 0; i < 1_000; i++) {
      bench.now = Math.max(bench.now, bench.alarm ?? bench.now);
      const flush = bench.wake().find((e) => e.kind === 'flush');
      if (flush?.kind !== 'flush') return;
      this.statements++;
      if (flush.calls.some((row) => this.poison.has(row.call))) bench.run(bench.core.flushFailed(flush.through, 'rows', bench.now));
      else {
        for (const call of callsOf(flush.calls)) this.has.set(call, (this.has.get(call) ?? 0) + 1);
        bench.run(bench.core.flushed(flush.through, bench.now));
      }
    }
    throw new Error('the outbox never empties');
  }
}

describe('outbox', () => {
  test('leaves a second after the first call', () => {
    const bench = withSettled(['c1']);
    expect(bench.alarm).toBe(bench.now + 1_000);
    bench.now += 999;
    expect(bench.wake()).toEqual([]);
    bench.now += 1;
    expect(bench.wake()).toMatchObject([{ kind: 'flush', through: 1 }]);
  });

  test('leaves at once with 100 calls', () => {
    const bench = withSettled(names(99));
    expect(bench.wake()).toEqual([]);
    bench.open('last');
    bench.settle(settlement('last'));
    expect(bench.alarm).toBeLessThanOrEqual(bench.now);
    expect(bench.wake()).toMatchObject([{ kind: 'flush', through: 100 }]);
  });

  test('a batch under way is not sent again, unless nothing is heard of it', () => {
    const bench = withSettled(['c1']);
    bench.now += 1_000;
    bench.wake();
    expect(bench.wake()).toEqual([]);
    bench.now += 30_000;
    expect(bench.wake()).toMatchObject([{ kind: 'flush', through: 1 }]);
  });

  test('batch: a statement has at most so many calls', () => {
    const bench = withSettled(names(7), { batch: 3, batchNow: 1 });
    const postgres = new Postgres();
    postgres.drain(bench);
    expect(postgres.statements).toBe(3);
    expect([...postgres.has.values()]).toEqual(names(7).map(() => 1));
  });

  test('an eviction between commit and answer sends again, which is harmless', () => {
    const bench = withSettled(['c1', 'c2']);
    bench.now += 1_000;
    bench.wake();
    bench.rebuild();
    expect(bench.core.alarmAt).toBeLessThanOrEqual(bench.now);
    expect(bench.wake()).toMatchObject([{ kind: 'flush', through: 2 }]);
    bench.run(bench.core.flushed(2, bench.now));
    bench.rebuild();
    bench.now += 60_000;
    expect(bench.wake()).toEqual([]);
  });

  test('an answer to an older batch is not taken for the newer one', () => {
    const bench = withSettled(['c1']);
    bench.now += 1_000;
    bench.wake();
    bench.run(bench.core.flushed(1, bench.now));
    bench.open('c2');
    bench.settle(settlement('c2'));
    bench.now += 1_000;
    bench.wake();
    bench.run(bench.core.flushed(1, bench.now));
    bench.rebuild();
    expect(bench.wake()).toMatchObject([{ kind: 'flush', through: 2 }]);
  });

  test('Postgres down: it backs off, doubled up to a minute, and nothing is lost', () => {
    const bench = withSettled(['c1']);
    bench.now += 1_000;
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      const [flush] = bench.wake();
      bench.run(bench.core.flushFailed(flush?.kind === 'flush' ? flush.through : -1, 'down', bench.now));
      waits.push((bench.alarm ?? 0) - bench.now);
      bench.now = bench.alarm ?? 0;
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    const postgres = new Postgres();
    postgres.drain(bench);
    expect([...postgres.has.keys()]).toEqual(['c1']);
  });

  test.each([
    ['first', ['c0']],
    ['last', ['c19']],
    ['in the middle', ['c7']],
    ['several', ['c3', 'c4', 'c18']],
    ['all', names(20)],
  ])('a poison call (%s) is set aside, the rest arrives once', (_, poison) => {
    const bench = withSettled(names(20), { batchNow: 1 });
    const postgres = new Postgres(poison);
    postgres.drain(bench);
    const good = names(20).filter((name) => !poison.includes(name));
    expect([...postgres.has.entries()]).toEqual(good.map((name) => [name, 1]));
    expect(bench.rows().flatMap((r) => (r.kind === 'poison' ? [r.value.call.call] : []))).toEqual(poison);
    bench.rebuild();
    postgres.drain(bench);
    expect([...postgres.has.values()].every((times) => times === 1)).toBe(true);
  });

  test('a poison call among many costs few statements', () => {
    const bench = withSettled(names(500), { openCalls: 1_000 });
    const postgres = new Postgres(['c123']);
    postgres.drain(bench);
    expect(postgres.has.size).toBe(499);
    expect(postgres.statements).toBeLessThan(30);
  });

  test('poison: the oldest is forgotten', () => {
    const bench = withSettled(names(5), { poison: 2, batchNow: 1 });
    new Postgres(names(5)).drain(bench);
    expect(bench.rows().flatMap((r) => (r.kind === 'poison' ? [r.value.call.call] : []))).toEqual(['c3', 'c4']);
  });
});

describe('retention', () => {
  test('keepMs: a story goes after a day, once Postgres has it', () => {
    const bench = withSettled(['c1']);
    const postgres = new Postgres();
    bench.now += 24 * 3_600_000;
    expect(bench.core.call('c1')).not.toBeNull();
    postgres.drain(bench);
    bench.wake();
    expect(bench.core.call('c1')).toBeNull();
    expect(bench.disk.has('call c1')).toBe(false);
    expect(bench.settle(settlement('c1'))).toEqual(['c1/0']);
    postgres.drain(bench);
    expect(postgres.has.get('c1')).toBe(1);
  });

  test('nothing is forgotten while Postgres is down, and the alarm does not spin', () => {
    const bench = withSettled(['c1']);
    bench.now += 48 * 3_600_000;
    const [flush] = bench.wake();
    bench.run(bench.core.flushFailed(flush?.kind === 'flush' ? flush.through : -1, 'down', bench.now));
    expect(bench.core.call('c1')).not.toBeNull();
    expect(bench.alarm).toBeGreaterThan(bench.now);
  });

  test('keepCalls: the oldest closed calls go, open ones stay', () => {
    const bench = Bench.registered({ keepCalls: 2, batchNow: 1 });
    bench.open('open');
    for (const name of names(5)) {
      bench.open(name);
      bench.settle(settlement(name));
    }
    new Postgres().drain(bench);
    expect(bench.core.recent(10).map((r) => r.call)).toEqual(['c4', 'c3', 'open']);
    expect([...bench.disk.keys()].filter((k) => k.startsWith('call'))).toHaveLength(3);
  });

  test('the order of settling goes on after everything was forgotten', () => {
    const bench = withSettled(['c1'], { keepCalls: 0 });
    new Postgres().drain(bench);
    bench.rebuild();
    bench.open('c2');
    bench.settle(settlement('c2'));
    bench.now += 1_000;
    expect(bench.wake()).toMatchObject([{ kind: 'flush', through: 2 }]);
  });
});
