/** What a payout does next: every state with every fact; and which signatures are sent. */
import { getPublicKey, secretFromSeed, sign } from '@scure/sr25519';
import { blake2b } from '@noble/hashes/blake2.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { judgeSigned, nextStep, type Attempt, type PayoutFacts, type PayoutState, type Signed } from '../../../functions/payouts/step.ts';
import { FIRST_RUNTIME } from '../../harness/chain-metadata.ts';
import { compactOf, eraBytes, signedExtrinsic, transferCall } from '../../harness/chain.ts';

const attempt: Attempt = { extrinsic: '0x00', hash: '0x00', birth: 64, death: 128, read: 63 };
const facts = (of: Partial<PayoutFacts>): PayoutFacts => ({
  state: 'requested',
  adapter: 'tao',
  attempt: null,
  hasRate: true,
  outcome: null,
  ...of,
});

describe('steps', () => {
  test.each<[string, Partial<PayoutFacts>, object]>([
    ['asked for', {}, { kind: 'begin' }],
    ['asked for without a rate', { hasRate: false }, { kind: 'wait', why: 'no_rate' }],
    ['asked for by hand without a rate', { adapter: 'operator', hasRate: false }, { kind: 'begin' }],
    ['begun', { state: 'begun' }, { kind: 'sign' }],
    ['begun by hand', { state: 'begun', adapter: 'operator' }, { kind: 'hand_over' }],
    ['sent', { state: 'submitted', attempt }, { kind: 'wait', why: 'chain' }],
    ['in a block', { state: 'submitted', attempt, outcome: 'success' }, { kind: 'paid' }],
    ['in a block and refused there', { state: 'submitted', attempt, outcome: 'failed' }, { kind: 'fail' }],
    ['read up to the block before the last', { state: 'submitted', attempt: { ...attempt, read: 126 } }, { kind: 'wait', why: 'chain' }],
    ['read to the end and in no block', { state: 'submitted', attempt: { ...attempt, read: 127 } }, { kind: 'fail' }],
    ['in the last block', { state: 'submitted', attempt: { ...attempt, read: 127 }, outcome: 'success' }, { kind: 'paid' }],
    ['handed over', { state: 'submitted', adapter: 'operator' }, { kind: 'wait', why: 'operator' }],
    ['paid', { state: 'paid', attempt }, { kind: 'wait', why: 'over' }],
    ['failed', { state: 'failed', attempt }, { kind: 'wait', why: 'over' }],
  ])('%s', (_, of, step) => {
    expect(nextStep(facts(of))).toMatchObject(step);
  });

  const anything = fc.record({
    state: fc.constantFrom<PayoutState>('requested', 'begun', 'submitted', 'paid', 'failed'),
    adapter: fc.constantFrom('tao' as const, 'operator' as const),
    attempt: fc.option(fc.record({ birth: fc.nat(200), life: fc.integer({ min: 2, max: 128 }), read: fc.integer({ min: -1, max: 400 }) })),
    hasRate: fc.boolean(),
    outcome: fc.constantFrom('success' as const, 'failed' as const, null),
  });

  test('never sent twice, never given up while a block may still hold it, never moved once it is over', () => {
    fc.assert(
      fc.property(anything, (of) => {
        const made = of.attempt === null ? null : { ...attempt, ...of.attempt, death: of.attempt.birth + of.attempt.life };
        const step = nextStep({ ...of, attempt: made });
        if (of.state !== 'begun') expect(step.kind).not.toBe('sign');
        if (of.state === 'paid' || of.state === 'failed') expect(step.kind).toBe('wait');
        if (step.kind === 'paid') expect(of).toMatchObject({ adapter: 'tao', outcome: 'success', state: 'submitted' });
        if (step.kind === 'fail' && of.outcome === null) expect(made?.read).toBeGreaterThanOrEqual((made?.death ?? Infinity) - 1);
      }),
    );
  });
});

describe('what was signed', () => {
  const secret = secretFromSeed(new Uint8Array(32).fill(3));
  const from = encodeSs58(getPublicKey(secret));
  const to = new Uint8Array(32).fill(0xee);
  const ask = { to, rao: 1_234_567_890n };

  function signed(of: { to?: Uint8Array; rao?: bigint; period?: number; birth?: number; era?: Uint8Array } = {}): Signed {
    const { period = 64, birth = 1_000 } = of;
    const call = transferCall(FIRST_RUNTIME, encodeSs58(of.to ?? to), of.rao ?? ask.rao);
    const extra = Uint8Array.from([...(of.era ?? eraBytes(period, birth)), ...compactOf(7n), 0, 0]);
    const extrinsic = signedExtrinsic(from, sign(secret, call), extra, call);
    return { extrinsic, hash: blake2b(extrinsic, { dkLen: 32 }), birth, death: birth + period };
  }

  test('the transfer that was asked for, in time', () => {
    for (const finalized of [984, 999, 1_000, 1_020, 1_048]) expect(judgeSigned(signed(), ask, finalized)).toEqual({ kind: 'good' });
  });

  test('one that is over', () => {
    for (const finalized of [1_064, 5_000]) expect(judgeSigned(signed(), ask, finalized)).toEqual({ kind: 'expired' });
  });

  test.each<[string, Signed, number]>([
    ['another address', signed({ to: new Uint8Array(32).fill(1) }), 1_000],
    ['another amount', signed({ rao: ask.rao + 1n }), 1_000],
    ['an amount that ends alike', signed({ rao: ask.rao << 8n }), 1_000],
    ['another hash', { ...signed(), hash: new Uint8Array(32) }, 1_000],
    ['immortal', signed({ era: Uint8Array.from([0]) }), 1_000],
    ['too long an era', signed({ period: 256 }), 1_000],
    ['a birth that is not the era’s', { ...signed(), birth: 1_001, death: 1_065 }, 1_010],
    ['a death too early', { ...signed(), death: 1_032 }, 1_000],
    ['a death too late', { ...signed(), death: 1_128 }, 1_000],
    ['born long after the head', signed(), 983],
    ['about to die', signed(), 1_049],
    ['not an extrinsic', { ...signed(), extrinsic: new Uint8Array(8), hash: blake2b(new Uint8Array(8), { dkLen: 32 }) }, 1_000],
  ])('not sent: %s', (_, what, finalized) => {
    expect(judgeSigned(what, ask, finalized)).toMatchObject({ kind: 'wrong', reason: expect.any(String) });
  });

  test('no changed byte passes for what was asked for', () => {
    const good = signed();
    fc.assert(
      fc.property(fc.nat(good.extrinsic.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const extrinsic = Uint8Array.from(good.extrinsic, (byte, i) => (i === at ? byte ^ by : byte));
        expect(judgeSigned({ ...good, extrinsic }, ask, 1_000).kind).toBe('wrong');
      }),
    );
  });
});
