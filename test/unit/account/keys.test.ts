import { describe, expect, test } from 'vitest';
import type { Scope } from '../../../functions/calls/ports.ts';
import { Bench, CLAIM } from './bench.ts';

const claim = { account: 'acc_a', key: 'key_b', proof: 'b'.repeat(64) };

function withKey(scopes: Scope[], expiresAt: number | null = null): Bench {
  const bench = Bench.registered();
  bench.run(bench.core.createKey({ key: claim.key, name: 'second', proof: claim.proof, scopes, expiresAt }, bench.now));
  return bench;
}

describe('keys', () => {
  test.each<[Scope[], Scope, boolean]>([
    [['invoke'], 'invoke', true],
    [['invoke'], 'read', false],
    [['read'], 'invoke', false],
    [['read', 'keys'], 'keys', true],
    [['write'], 'keys', false],
  ])('scopes %j: %s is %s', (scopes, scope, ok) => {
    const bench = withKey(scopes);
    const answer = bench.core.authorize(claim, scope, bench.now);
    expect(answer).toMatchObject(ok ? { ok: true, handle: 'alice', hotkey: '5Hot' } : { ok: false, code: 'insufficient_scope' });
    if (scope === 'invoke') expect(bench.open('c1', { claim }).ok).toBe(ok);
  });

  test('an expired key opens nothing', () => {
    const bench = withKey(['invoke'], Bench.registered().now + 1000);
    expect(bench.open('c1', { claim })).toMatchObject({ ok: true });
    bench.now += 1000;
    expect(bench.open('c2', { claim })).toEqual({ ok: false, code: 'key_expired' });
  });

  test('a revoked key is refused in the same turn and for ever', () => {
    const bench = withKey(['invoke']);
    expect(bench.run(bench.core.revokeKey(claim.key, bench.now))).toBe(true);
    expect(bench.open('c1', { claim })).toEqual({ ok: false, code: 'invalid_api_key' });
    bench.rebuild();
    expect(bench.open('c1', { claim })).toEqual({ ok: false, code: 'invalid_api_key' });
    expect(bench.run(bench.core.revokeKey(claim.key, bench.now))).toBe(false);
    expect(bench.core.listKeys(bench.now).map((k) => k.key)).toEqual([CLAIM.key]);
  });

  test('a list never holds a proof', () => {
    expect(JSON.stringify(withKey(['read']).core.listKeys(0))).not.toContain(claim.proof);
  });

  test('Postgres is told of keys made and revoked, again until it has them', () => {
    const bench = withKey(['invoke']);
    expect(bench.wake()).toMatchObject([{ kind: 'mirror', keys: [{ key: 'key_b', revokedAt: null }] }]);
    expect(bench.wake()).toEqual([]); // under way
    bench.run(bench.core.mirrorFailed(bench.now));
    expect(bench.wake()).toEqual([]); // backing off
    bench.now += 1_000;
    const [again] = bench.wake();
    bench.run(bench.core.revokeKey('key_b', bench.now)); // meanwhile
    bench.run(bench.core.mirrored(again?.kind === 'mirror' ? again.keys : []));
    bench.now += 60_000;
    const [revoked] = bench.wake();
    expect(revoked).toMatchObject({ kind: 'mirror', keys: [{ key: 'key_b', revokedAt: expect.any(Number) as number }] });
    bench.run(bench.core.mirrored(revoked?.kind === 'mirror' ? revoked.keys : []));
    expect(bench.disk.has('key key_b')).toBe(false);
    bench.now += 60_000;
    expect(bench.wake()).toEqual([]);
  });
});

describe('nonces', () => {
  test('good once, for 120 s, also over an eviction', () => {
    const bench = Bench.registered();
    expect(bench.run(bench.core.spendNonce('n1', bench.now))).toEqual({ ok: true, handle: 'alice' });
    expect(bench.run(bench.core.spendNonce('n1', bench.now))).toEqual({ ok: false, code: 'nonce_used' });
    bench.rebuild();
    bench.now += 119_999;
    bench.wake();
    expect(bench.run(bench.core.spendNonce('n1', bench.now))).toEqual({ ok: false, code: 'nonce_used' });
    bench.now += 1;
    bench.wake();
    expect(bench.disk.has('nonce n1')).toBe(false);
  });

  test('a hotkey without an account leaves nothing behind', () => {
    const bench = new Bench();
    expect(bench.run(bench.core.spendNonce('n1', bench.now))).toEqual({ ok: true, handle: null });
    expect(bench.alarm).toBe(bench.now + 120_000);
    bench.now += 120_000;
    bench.wake();
    expect(bench.core.empty).toBe(true);
    expect(bench.disk.size).toBe(0);
    expect(bench.alarm).toBeNull();
  });
});
