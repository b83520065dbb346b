import { describe, expect, test } from 'vitest';
import { costOf } from '../../../functions/account/calls.ts';
import { callRecord } from '../../../functions/account/records.ts';
import { callStory } from '../../../functions/account/story.ts';
import type { InquiryAnswer, OpenAsk, Settlement } from '../../../functions/calls/ports.ts';
import { Bank } from './bank.ts';
import { Bench, PAID, settlement, terms } from './bench.ts';

const failed: Partial<Settlement> = { outcome: 'failed', code: 'miner_lost', final: false };

function opened(change: Partial<OpenAsk> = {}): Bench {
  const bench = Bench.registered({}, new Bank(1_000_000n));
  bench.open('c1', change);
  bench.writes = 0;
  return bench;
}

function stateOf(bench: Bench, call = 'c1'): string {
  const row = bench.core.call(call);
  return row === null ? 'unknown' : callStory(row).state;
}

describe('settle', () => {
  test('the final attempt closes the call, in one row', () => {
    const bench = opened();
    expect(bench.settle(settlement('c1'))).toEqual(['c1/0']);
    expect(stateOf(bench)).toBe('completed');
    expect(bench.writes).toBe(1);
    expect(bench.core.money().held).toBe(0n);
  });

  test('exactly once: a repeat is acknowledged and changes nothing', () => {
    const bench = opened(PAID);
    bench.settle(settlement('c1'));
    bench.rebuild();
    bench.writes = 0;
    expect(bench.settle(settlement('c1'), settlement('c1', 0, { bytes: 999, outcome: 'failed' }))).toEqual(['c1/0', 'c1/0']);
    expect(bench.writes).toBe(0);
    expect(costOf(bench.core.call('c1')!)).toBe(100n);
  });

  test('twice in one batch is once', () => {
    const bench = opened(PAID);
    bench.settle(settlement('c1', 0, failed), settlement('c1', 0, failed));
    expect(costOf(bench.core.call('c1')!)).toBe(100n);
  });

  test('the sum of the attempts is captured, at most the hold', () => {
    const bench = opened(PAID);
    bench.settle(settlement('c1', 0, failed));
    expect(bench.core.money().held).toBe(250n);
    bench.settle(settlement('c1', 1, { ...failed, agent: 'agt_2' }));
    bench.settle(settlement('c1', 2));
    expect(bench.core.call('c1')!.attempts.map((a) => a.cost)).toEqual([100n, 100n, 50n]);
    expect(stateOf(bench)).toBe('completed');
    expect(bench.core.money().held).toBe(0n);
  });

  test.each<[string, Partial<Settlement>, bigint]>([
    ['a clock that went back', { lastByteMs: -3_600_000 }, 100n],
    ['more tokens than a million engines make', { tokensOut: Number.MAX_SAFE_INTEGER }, 250n],
    ['more cached than there were', { tokensIn: 1, cachedIn: Number.MAX_SAFE_INTEGER, lastByteMs: 0 }, 100n],
    ['all of time', { lastByteMs: Number.MAX_SAFE_INTEGER }, 250n],
  ])('%s: between nothing and the hold', (_, change, cost) => {
    const facts = { requestBytes: 0, maxTokens: 150, timeoutMs: 0, images: 0, steps: 0 };
    const bench = opened({ terms: terms({ per_request: 100, output_per_million: 1_000_000, per_second: 1_000 }), facts });
    bench.settle(settlement('c1', 0, change));
    expect(bench.core.call('c1')).toMatchObject({ cash: cost, promo: 0n });
  });

  test('a call is open until all attempts before the final one are known', () => {
    const bench = opened();
    bench.settle(settlement('c1', 2));
    expect(stateOf(bench)).toBe('running');
    bench.settle(settlement('c1', 0, failed));
    expect(stateOf(bench)).toBe('running');
    bench.settle(settlement('c1', 1, failed));
    expect(stateOf(bench)).toBe('completed');
  });

  test.each<[string, (bench: Bench) => void, string, string]>([
    ['nothing was tried', (b) => b.run(b.core.close('c1', 0, 'no_capacity', b.now)), 'failed', 'no_capacity'],
    ['the client left in the queue', (b) => b.run(b.core.close('c1', 0, 'cancelled', b.now)), 'cancelled', 'cancelled'],
    [
      'the settlement came first',
      (b) => {
        b.settle(settlement('c1', 0, failed));
        b.run(b.core.close('c1', 1, 'miner_lost', b.now));
      },
      'failed',
      'miner_lost',
    ],
    [
      'the conductor came first',
      (b) => {
        b.run(b.core.close('c1', 2, 'miner_lost', b.now));
        b.settle(settlement('c1', 1, failed));
        expect(stateOf(b)).toBe('running');
        b.settle(settlement('c1', 0, failed));
      },
      'failed',
      'miner_lost',
    ],
  ])('the conductor closes it: %s', (_, act, state, code) => {
    const bench = opened();
    act(bench);
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state, code });
    bench.rebuild();
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state, code });
  });

  test('an attempt after the end is acknowledged, kept in the story, and neither charged nor told to Postgres', () => {
    const bench = opened(PAID);
    bench.run(bench.core.close('c1', 0, 'no_capacity', bench.now));
    expect(bench.settle(settlement('c1'))).toEqual(['c1/0']);
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state: 'failed', cost_nanousd: '0', attempts: [{ refused: true }] });
    bench.now += 1_000;
    const [flush] = bench.wake();
    expect(flush?.kind === 'flush' && flush.calls.map((row) => callRecord('acc_a', row))).toMatchObject([
      { callId: 'c1', state: 'failed', code: 'no_capacity', costNanousd: 0n, leaseEpoch: null, attempts: [] },
    ]);
  });

  test('an attempt of a call nobody opened is acknowledged and captures nothing', () => {
    const bench = Bench.registered();
    expect(bench.settle(settlement('nobody'))).toEqual(['nobody/0']);
    expect(bench.disk.has('call nobody')).toBe(false);
    bench.now += 1_000;
    expect(bench.wake()).toEqual([]);
  });

  test('many attempts of one call are one write', () => {
    const bench = opened();
    bench.settle(settlement('c1', 0, failed), settlement('c1', 1, failed), settlement('c1', 2));
    expect(bench.writes).toBe(1);
  });
});

describe('the inquiry after the deadline', () => {
  const due = 60_000 + 10_000;
  const inquired = (bench: Bench, agent: string, answer: InquiryAnswer | null) =>
    bench.run(bench.core.inquired('c1', agent, answer, bench.now));

  test('asks every candidate, not before', () => {
    const bench = opened();
    bench.now += due - 1;
    expect(bench.wake()).toEqual([]);
    bench.now += 1;
    expect(bench.wake()).toEqual([
      { kind: 'inquire', call: 'c1', agent: 'agt_1' },
      { kind: 'inquire', call: 'c1', agent: 'agt_2' },
    ]);
    expect(bench.alarm).toBe(bench.now + 15_000);
  });

  test('also after an eviction', () => {
    const bench = opened();
    bench.rebuild();
    expect(bench.core.alarmAt).toBe(bench.now + due);
    bench.now += due;
    expect(bench.wake()).toHaveLength(2);
  });

  test('all never: the hold is free and nothing can be captured later', () => {
    const bench = opened(PAID);
    bench.now += due;
    bench.wake();
    inquired(bench, 'agt_1', { kind: 'never' });
    expect(stateOf(bench)).toBe('running');
    inquired(bench, 'agt_2', { kind: 'never' });
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state: 'failed', code: 'timeout' });
    expect(bench.core.money().held).toBe(0n);
    bench.settle(settlement('c1'));
    expect(costOf(bench.core.call('c1')!)).toBe(0n);
  });

  test('settled: the attempts are taken once, whoever tells them first', () => {
    const bench = opened(PAID);
    bench.now += due;
    bench.wake();
    inquired(bench, 'agt_1', { kind: 'settled', settlements: [settlement('c1')] });
    bench.settle(settlement('c1'));
    inquired(bench, 'agt_2', { kind: 'never' });
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state: 'completed', cost_nanousd: '100' });
    expect(bench.core.call('c1')!.attempts).toHaveLength(1);
  });

  test('running: is asked again, alone, until it is settled', () => {
    const bench = opened();
    bench.now += due;
    bench.wake();
    inquired(bench, 'agt_1', { kind: 'running' });
    inquired(bench, 'agt_2', { kind: 'never' });
    bench.now += 15_000;
    expect(bench.wake()).toEqual([{ kind: 'inquire', call: 'c1', agent: 'agt_1' }]);
    bench.settle(settlement('c1'));
    expect(stateOf(bench)).toBe('completed');
    bench.now += 15_000;
    expect(bench.wake().filter((e) => e.kind === 'inquire')).toEqual([]);
  });

  test('an agent that cannot answer for 15 min is fenced, its later word refused', () => {
    const bench = opened(PAID);
    bench.now += due;
    bench.wake();
    inquired(bench, 'agt_1', null);
    inquired(bench, 'agt_2', { kind: 'running' });
    bench.rebuild();
    bench.now += 15 * 60_000 - 1;
    bench.wake();
    inquired(bench, 'agt_1', null);
    expect(bench.core.call('c1')!.inquiry['agt_1']?.state).toBe('silent');
    bench.now += 1;
    inquired(bench, 'agt_1', null);
    expect(bench.core.call('c1')!.inquiry['agt_1']?.state).toBe('fenced');
    bench.settle(settlement('c1', 0, { agent: 'agt_1' }));
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state: 'running', cost_nanousd: '0' });
    inquired(bench, 'agt_2', { kind: 'never' });
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state: 'failed', code: 'timeout', cost_nanousd: '0' });
  });

  test('an agent that answers in between starts anew', () => {
    const bench = opened();
    bench.now += due;
    inquired(bench, 'agt_1', null);
    bench.now += 14 * 60_000;
    inquired(bench, 'agt_1', { kind: 'running' });
    bench.now += 2 * 60_000;
    inquired(bench, 'agt_1', null);
    expect(bench.core.call('c1')!.inquiry['agt_1']?.state).toBe('silent');
  });

  test('an agent that says running for ever is fenced too', () => {
    const bench = opened();
    bench.now += due + 60 * 60_000;
    inquired(bench, 'agt_1', { kind: 'running' });
    expect(bench.core.call('c1')!.inquiry['agt_1']?.state).toBe('fenced');
  });

  test('answers of agents that were not asked, or for closed calls, change nothing', () => {
    const bench = opened();
    bench.now += due;
    inquired(bench, 'agt_9', { kind: 'never' });
    bench.settle(settlement('c1'));
    bench.writes = 0;
    inquired(bench, 'agt_1', { kind: 'never' });
    bench.run(bench.core.inquired('c9', 'agt_1', null, bench.now));
    expect(bench.writes).toBe(0);
  });

  test('an agent named later is asked as well', () => {
    const bench = opened();
    expect(bench.run(bench.core.widen('c1', ['agt_3']))).toBe(true);
    bench.rebuild();
    bench.now += due;
    expect(bench.wake().map((e) => (e.kind === 'inquire' ? e.agent : ''))).toEqual(['agt_1', 'agt_2', 'agt_3']);
    bench.run(bench.core.inquired('c1', 'agt_1', { kind: 'never' }, bench.now));
    expect(bench.run(bench.core.widen('c1', ['agt_4']))).toBe(false);
  });

  test('a call nobody could have got closes at once', () => {
    const bench = Bench.registered();
    bench.open('c1', { agents: [] });
    bench.now += due;
    expect(bench.wake()).toEqual([]);
    expect(callStory(bench.core.call('c1')!)).toMatchObject({ state: 'failed', code: 'timeout' });
  });

  test('inquiries: one alarm sends a bounded number, the next the rest', () => {
    const bench = Bench.registered({ inquiries: 4 });
    for (const call of ['c1', 'c2', 'c3']) bench.open(call);
    bench.now += due;
    expect(bench.wake()).toHaveLength(4);
    expect(bench.alarm).toBeLessThanOrEqual(bench.now);
    expect(bench.wake()).toHaveLength(2);
  });
});
