import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CARD_LIMITS, cardAmount } from '../../../functions/billing/amount.ts';
import { checkoutIdOf } from '../../../functions/billing/checkout-id.ts';
import { isSignedByStripe, TOLERANCE_S } from '../../../functions/billing/signature.ts';
import { toldBy } from '../../../functions/billing/told.ts';

describe('what a card takes', () => {
  const inBounds = fc.bigInt({ min: CARD_LIMITS.leastCents, max: CARD_LIMITS.mostCents });

  test('every whole cent within the bounds, in either form, to the nano-USD', () => {
    fc.assert(
      fc.property(inBounds, (cents) => {
        const nanousd = cents * 10_000_000n;
        const usd = `${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`;
        expect(cardAmount({ amount_usd: usd })).toEqual({ ok: true, nanousd });
        expect(cardAmount({ amount_nanousd: String(nanousd) })).toEqual({ ok: true, nanousd });
      }),
    );
  });

  test('no part of a cent, and nothing outside of the bounds', () => {
    fc.assert(
      fc.property(inBounds, fc.bigInt({ min: 1n, max: 9_999_999n }), (cents, part) => {
        expect(cardAmount({ amount_nanousd: String(cents * 10_000_000n + part) }).ok).toBe(false);
      }),
    );
    for (const usd of ['4.99', '10000.01', '0', '999999999999']) expect(cardAmount({ amount_usd: usd }).ok).toBe(false);
    expect(cardAmount({ amount_usd: '5' })).toEqual({ ok: true, nanousd: 5_000_000_000n });
    expect(cardAmount({ amount_usd: '10000' })).toEqual({ ok: true, nanousd: 10_000_000_000_000n });
  });

  test('no text that is anything but a plain amount', () => {
    const plain = /^\d{1,12}(\.\d{1,2})?$/;
    fc.assert(
      fc.property(
        fc.string().filter((text) => !plain.test(text)),
        (text) => !cardAmount({ amount_usd: text }).ok,
      ),
    );
  });
});

describe('a signature of Stripe', () => {
  const secret = 'whsec_test';
  const now = 1_790_000_000;
  const body = Uint8Array.from(Buffer.from('{"id":"evt_1"}'));
  const v1 = (t: number | string = now, by = secret) => createHmac('sha256', by).update(`${t}.`).update(body).digest('hex');
  const check = (header: string | undefined, at = now) => isSignedByStripe(header, body, secret, at * 1000);

  test.each([
    ['one', `t=${now},v1=${v1()}`],
    ['with others of other schemes', `t=${now},v0=abc,v1=${v1()},v2=00`],
    ['the second of two, while a secret is replaced', `t=${now},v1=${v1(now, 'whsec_old')},v1=${v1()}`],
    ['with blanks', `t=${now}, v1=${v1()}`],
  ])('%s is right', async (_, header) => expect(await check(header)).toBe(true));

  test('is good for 300 seconds on both sides, and not for one more', async () => {
    const header = `t=${now},v1=${v1()}`;
    for (const shift of [-TOLERANCE_S, TOLERANCE_S]) expect(await check(header, now + shift)).toBe(true);
    for (const shift of [-TOLERANCE_S - 1, TOLERANCE_S + 1]) expect(await check(header, now + shift)).toBe(false);
  });

  test.each([
    ['none', undefined],
    ['nothing', ''],
    ['no time', `v1=${v1()}`],
    ['two times', `t=${now},t=${now - 9_999},v1=${v1()}`],
    ['another time than was signed', `t=${now - 1},v1=${v1()}`],
    ['a time that is no number', `t=NaN,v1=${v1('NaN')}`],
    ['a negative time', `t=-1,v1=${v1('-1')}`],
    ['no signature', `t=${now}`],
    ['only another scheme', `t=${now},v0=${v1()}`],
    ['capitals', `t=${now},v1=${v1().toUpperCase()}`],
    ['a short one', `t=${now},v1=${v1().slice(2)}`],
    ['another secret', `t=${now},v1=${v1(now, 'other')}`],
    ['the right one after too many', `t=${now},${`v1=${'ab'.repeat(32)},`.repeat(8)}v1=${v1()}`],
    ['a header without end', `t=${now},v1=${v1()},${'x'.repeat(5_000)}`],
  ])('%s is wrong', async (_, header) => expect(await check(header)).toBe(false));

  test('is of every byte', async () => {
    const header = `t=${now},v1=${v1()}`;
    for (let i = 0; i < body.length; i++) {
      const changed = body.slice();
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(await isSignedByStripe(header, changed, secret, now * 1000)).toBe(false);
    }
  });
});

describe('what an event means', () => {
  const checkout = '01890000-0000-7000-8000-000000000001';
  const session = { id: 'cs_1', client_reference_id: checkout, payment_status: 'paid', amount_total: 2000, currency: 'usd' };
  const told = (type: string, object: Record<string, unknown>) => toldBy({ id: 'evt_1', type, data: { object } });
  const paid = { kind: 'paid', checkout, session: 'cs_1', cents: 2000n, currency: 'usd' };

  test.each<[string, Record<string, unknown>, object]>([
    ['checkout.session.completed', session, paid],
    ['checkout.session.async_payment_succeeded', session, paid],
    ['checkout.session.completed', { ...session, payment_status: 'unpaid' }, { kind: 'nothing' }],
    ['checkout.session.completed', { ...session, payment_status: 'no_payment_required' }, { kind: 'nothing' }],
    ['checkout.session.completed', { ...session, client_reference_id: null }, { kind: 'nothing' }],
    ['checkout.session.completed', { ...session, client_reference_id: 'order 7' }, { kind: 'nothing' }],
    ['checkout.session.completed', { ...session, amount_total: -1 }, { kind: 'nothing' }],
    ['checkout.session.completed', { ...session, amount_total: 20.5 }, { kind: 'nothing' }],
    ['checkout.session.completed', { ...session, amount_total: '2000' }, { kind: 'nothing' }],
    ['checkout.session.completed', {}, { kind: 'nothing' }],
    ['checkout.session.expired', session, { kind: 'expired', checkout }],
    ['checkout.session.async_payment_failed', session, { kind: 'expired', checkout }],
    ['charge.refunded', { id: 'ch_1' }, { kind: 'reversal', what: 'refund', object: 'ch_1' }],
    ['charge.dispute.created', { id: 'dp_1' }, { kind: 'reversal', what: 'dispute', object: 'dp_1' }],
    ['charge.dispute.created', { id: 'a\nb' }, { kind: 'reversal', what: 'dispute', object: '' }],
    ['payout.paid', session, { kind: 'nothing' }],
  ])('%s %j', (type, object, meaning) => expect(told(type, object)).toEqual(meaning));
});

test('a checkout is the same for the same account, asker and Idempotency-Key, and a UUID', async () => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const [a, again, ...others] = await Promise.all([
    checkoutIdOf('acc_1', 'key_1', 'k'),
    checkoutIdOf('acc_1', 'key_1', 'k'),
    checkoutIdOf('acc_2', 'key_1', 'k'),
    checkoutIdOf('acc_1', 'hotkey', 'k'),
    checkoutIdOf('acc_1', 'key_1', undefined),
  ]);
  expect(again).toBe(a);
  expect(new Set([a, ...others]).size).toBe(4);
  for (const id of [a, ...others]) expect(id).toMatch(uuid);
});
