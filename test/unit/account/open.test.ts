import { describe, expect, test } from 'vitest';
import type { OpenAsk } from '../../../functions/calls/ports.ts';
import { Bank } from './bank.ts';
import { Bench, CLAIM, PAID, PROFILE, settlement } from './bench.ts';

describe('open', () => {
  test('writes the hold in one row before it answers', () => {
    const bench = Bench.registered({}, new Bank(1_000_000n));
    bench.open('c0', PAID);
    bench.writes = 0;
    expect(bench.open('c1', PAID)).toEqual({
      ok: true,
      terms: PAID.terms,
      hold: 250n,
      allowance: null,
      rate: { limit: 20_000, windowMs: 10_000, remaining: expect.any(Number) as number, resetMs: 2 },
    });
    expect(bench.writes).toBe(1);
    expect(bench.rows().find((r) => r.kind === 'call' && r.id === 'c1')?.value).toMatchObject({
      call: 'c1',
      key: 'key_a',
      chute: 'cht_1',
      version: 'v',
      hold: 250n,
      epoch: 1,
      agents: ['agt_1', 'agt_2'],
      deadlineAt: bench.now + 60_000,
    });
    expect(bench.core.money().held).toBe(500n);
    expect(bench.alarm).not.toBeNull();
  });

  test.each<[string, Partial<OpenAsk>, string]>([
    ['an unknown key', { claim: { ...CLAIM, key: 'key_x' } }, 'invalid_api_key'],
    ['a wrong secret', { claim: { ...CLAIM, proof: 'q'.repeat(64) } }, 'invalid_api_key'],
    ['an empty secret', { claim: { ...CLAIM, proof: '' } }, 'invalid_api_key'],
    ['no chute', { chute: null }, 'not_found'],
    ['a private chute of another account', { chute: { id: 'cht_1', owner: 'acc_z', public: false } }, 'not_found'],
  ])('%s is refused and writes nothing', (_, change, code) => {
    const bench = Bench.registered();
    expect(bench.open('c1', change)).toMatchObject({ ok: false, code });
    expect(bench.writes).toBe(0);
  });

  test('a wrong key learns nothing of the chute', () => {
    const bench = Bench.registered();
    expect(bench.open('c1', { claim: { ...CLAIM, proof: 'q'.repeat(64) }, chute: null })).toMatchObject({ code: 'invalid_api_key' });
  });

  test('a private chute of its own account is open', () => {
    expect(Bench.registered().open('c1', { chute: { id: 'cht_1', owner: CLAIM.account, public: false } })).toMatchObject({ ok: true });
    const shared = { id: 'cht_1', owner: 'acc_z', public: false, shared: true };
    expect(Bench.registered().open('c1', { chute: shared })).toMatchObject({ ok: true });
    expect(Bench.registered().open('c1', { chute: { ...shared, shared: false } })).toMatchObject({ ok: false, code: 'not_found' });
  });

  test('the same call id twice is refused, also after it closed and after an eviction', () => {
    const bench = Bench.registered();
    bench.open('c1');
    expect(bench.open('c1')).toMatchObject({ ok: false, code: 'duplicate_call' });
    bench.settle(settlement('c1'));
    bench.rebuild();
    expect(bench.open('c1')).toMatchObject({ ok: false, code: 'duplicate_call' });
  });

  test('an account that was never registered refuses and writes nothing', () => {
    const bench = new Bench();
    expect(bench.open('c1')).toEqual({ ok: false, code: 'invalid_api_key' });
    expect(bench.core.authorize(CLAIM, 'read', bench.now)).toEqual({ ok: false, code: 'invalid_api_key' });
    expect(bench.settle(settlement('c1'))).toEqual(['c1/0']);
    expect(bench.run(bench.core.createKey({ key: 'key_a', name: 'k', proof: 'p', scopes: ['read'], expiresAt: null }, bench.now))).toEqual({
      ok: false,
      code: 'not_found',
    });
    bench.run(bench.core.close('c1', 0, '', bench.now));
    bench.wake();
    expect(bench.writes).toBe(0);
    expect(bench.disk.size).toBe(0);
    expect(bench.core.empty).toBe(true);
  });

  test('registering again is harmless, as something else refused', () => {
    const bench = Bench.registered();
    expect(bench.run(bench.core.register(PROFILE, bench.now))).toBe(true);
    expect(bench.run(bench.core.register({ ...PROFILE, handle: 'bob' }, bench.now))).toBe(false);
    expect(bench.core.profile?.handle).toBe('alice');
  });
});

describe('limits', () => {
  test('openCalls: one more is refused until one closes', () => {
    const bench = Bench.registered({ openCalls: 2 });
    bench.open('c1');
    bench.open('c2');
    expect(bench.open('c3')).toMatchObject({ ok: false, code: 'too_many_calls' });
    bench.settle(settlement('c1'));
    expect(bench.open('c3')).toMatchObject({ ok: true });
  });

  test('keyRate and keyBurst: a bucket that refills', () => {
    const bench = Bench.registered({ keyBurst: 3, keyRate: 2 });
    for (const call of ['c1', 'c2', 'c3']) expect(bench.open(call)).toMatchObject({ ok: true });
    expect(bench.open('c4')).toMatchObject({ ok: false, code: 'rate_limited', retryAfterMs: 500, rate: { remaining: 0 } });
    expect(bench.core.authorize(CLAIM, 'read', bench.now)).toMatchObject({ code: 'rate_limited' });
    bench.now += 500;
    expect(bench.open('c4')).toMatchObject({ ok: true });
    expect(bench.open('c5')).toMatchObject({ code: 'rate_limited' });
  });

  test('a wrong secret takes nothing from the bucket', () => {
    const bench = Bench.registered({ keyBurst: 1, keyRate: 1 });
    for (let i = 0; i < 10; i++) bench.open(`x${i}`, { claim: { ...CLAIM, proof: 'wrong' } });
    expect(bench.open('c1')).toMatchObject({ ok: true });
  });

  test('a clock that goes back gives nothing', () => {
    const bench = Bench.registered({ keyBurst: 1, keyRate: 1 });
    bench.open('c1');
    bench.now -= 10_000;
    expect(bench.open('c2')).toMatchObject({ code: 'rate_limited' });
  });

  test('outbox: no new calls while too much waits for Postgres', () => {
    const bench = Bench.registered({ outbox: 1 });
    bench.open('c1');
    bench.settle(settlement('c1'));
    expect(bench.open('c2')).toMatchObject({ ok: false, code: 'too_many_calls' });
    bench.now += 1_000;
    const [flush] = bench.wake();
    bench.run(bench.core.flushed(flush?.kind === 'flush' ? flush.through : 0, bench.now));
    expect(bench.open('c2')).toMatchObject({ ok: true });
  });

  test('agents: a longer list is cut, and widen refuses more', () => {
    const bench = Bench.registered({ agents: 3 });
    bench.open('c1', { agents: ['a', 'b'] });
    expect(bench.run(bench.core.widen('c1', ['b']))).toBe(true);
    expect(bench.run(bench.core.widen('c1', ['c']))).toBe(true);
    expect(bench.run(bench.core.widen('c1', ['d']))).toBe(false);
    expect(bench.core.call('c1')?.agents).toEqual(['a', 'b', 'c']);
  });

  test('attempts: more than a call can have are dropped', () => {
    const bench = Bench.registered({ attempts: 2 });
    bench.open('c1');
    for (const k of [0, 1, 2]) bench.settle(settlement('c1', k, { final: false, outcome: 'failed' }));
    expect(bench.core.call('c1')?.attempts).toHaveLength(2);
  });

  test('nonces: too many at a time are refused', () => {
    const bench = Bench.registered({ nonces: 1 });
    expect(bench.run(bench.core.spendNonce('n1', bench.now))).toEqual({ ok: true, handle: 'alice' });
    expect(bench.run(bench.core.spendNonce('n2', bench.now))).toEqual({ ok: false, code: 'rate_limited' });
  });

  test('keys: one more is refused', () => {
    const bench = Bench.registered({ keys: 1 });
    expect(bench.run(bench.core.createKey({ key: 'key_b', name: 'k', proof: 'p', scopes: ['read'], expiresAt: null }, bench.now))).toEqual({
      ok: false,
      code: 'rate_limited',
    });
  });
});
