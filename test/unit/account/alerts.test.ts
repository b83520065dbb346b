import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { AlertSettings } from '../../../functions/account/rows.ts';
import { alertBody, isWebhookUrl, newSecret, signatureOf } from '../../../functions/account/webhook.ts';
import { Bank } from './bank.ts';
import { Bench, CLAIM, settlement, terms } from './bench.ts';

const USD = 1_000_000_000n;
const WEBHOOK = { url: 'https://hooks.example.com/x', secret: 'whsec_AAAA' };

function watched(settings: Partial<AlertSettings>, bank = new Bank(10n * USD)): Bench {
  const bench = Bench.registered({}, bank);
  bench.run(bench.core.setAlerts({ below: null, capPercent: [], webhook: null, ...settings }));
  return bench;
}

let calls = 0;
/** One call that costs so much. */
function pay(bench: Bench, nanousd: bigint): void {
  const call = `c${calls++}`;
  expect(bench.open(call, { terms: terms({ per_request: Number(nanousd) }) })).toMatchObject({ ok: true });
  bench.settle(settlement(call));
  bench.answerDraws();
  bench.now += 2_000;
}

const told = (bench: Bench) => bench.core.alerts().list.map(({ kind, percent, value }) => [kind, percent, value]);

describe('alerts', () => {
  test('the balance falls below an amount: once, and again only after it had risen well above', () => {
    const bench = watched({ below: 5n * USD });
    pay(bench, 5n * USD);
    expect(told(bench)).toEqual([]);
    pay(bench, 1n);
    pay(bench, 1n);
    expect(told(bench)).toEqual([['balance_below', null, 5n * USD - 1n]]);
    bench.rebuild();
    bench.bank.cash += USD / 4n;
    pay(bench, USD / 2n);
    expect(told(bench)).toHaveLength(1);
    bench.bank.cash += 6n * USD;
    bench.now += 11 * 60_000;
    bench.wake();
    bench.answerDraws(); // idle credit goes back, so Postgres tells the balance
    expect(told(bench)).toHaveLength(1);
    pay(bench, 6n * USD);
    expect(told(bench)).toHaveLength(2);
  });

  test('what was paid in meanwhile is asked for before anything is told', () => {
    const bench = watched({ below: 5n * USD });
    pay(bench, 1n);
    bench.bank.cash += 100n * USD;
    pay(bench, 900_000_000n);
    pay(bench, 4_500_000_000n);
    pay(bench, 100n);
    expect(told(bench)).toEqual([]);
    expect(bench.rows().find((row) => row.kind === 'alerts')?.value).toMatchObject({ isBelow: false });
  });

  test('a key spends its cap: each percentage once in a period, the highest alone, anew with the cap', () => {
    const bench = watched({ capPercent: [50, 80, 100] });
    const cap = (limit: bigint) => bench.run(bench.core.changeKey(CLAIM.key, { cap: { limit, period: 'month' } }, bench.now));
    cap(1_000n);
    pay(bench, 499n);
    expect(told(bench)).toEqual([]);
    pay(bench, 1n);
    bench.rebuild();
    pay(bench, 100n);
    expect(told(bench)).toEqual([['cap_percent', 50, 500n]]);
    pay(bench, 400n);
    expect(told(bench)[0]).toEqual(['cap_percent', 100, 1_000n]);
    cap(1_200n);
    pay(bench, 1n);
    expect(told(bench)[0]).toEqual(['cap_percent', 80, 1_001n]);
    bench.now += 32 * 86_400_000;
    pay(bench, 600n);
    expect(told(bench)[0]).toEqual(['cap_percent', 50, 600n]);
    expect(told(bench)).toHaveLength(4);
  });

  test('the last hundred are kept', () => {
    const bench = watched({ capPercent: [1] });
    for (let k = 1; k <= 105; k++) {
      bench.run(bench.core.changeKey(CLAIM.key, { cap: { limit: BigInt(1_000_000 + k), period: 'total' } }, bench.now));
      pay(bench, k === 1 ? 20_000n : 1n);
    }
    expect(bench.core.alerts().list).toHaveLength(100);
    expect(bench.core.alerts().list[0]?.id).toBe('alert_105');
  });

  test('a webhook is tried five times, later and later, until it is taken', () => {
    const bench = watched({ capPercent: [1, 50], webhook: WEBHOOK });
    bench.run(bench.core.changeKey(CLAIM.key, { cap: { limit: 10n, period: 'total' } }, bench.now));
    pay(bench, 1n);
    const posts = () => bench.wake().filter((effect) => effect.kind === 'post');
    const waits: (number | null)[] = [];
    for (let k = 0; k < 5; k++) {
      expect(posts()).toMatchObject([{ alert: { id: 'alert_1', tries: k + 1 }, webhook: WEBHOOK }]);
      expect(posts()).toEqual([]); // under way
      bench.rebuild();
      bench.run(bench.core.posted('alert_1', false, bench.now));
      const at = bench.core.alerts().list[0]?.sendAt ?? null;
      waits.push(at === null ? null : at - bench.now);
      bench.now = at ?? bench.now;
    }
    expect(waits).toEqual([30_000, 240_000, 1_920_000, 15_360_000, null]);
    expect(bench.core.alerts().list[0]).toMatchObject({ tries: 5, deliveredAt: null });
    pay(bench, 5n);
    expect(told(bench)).toHaveLength(2);
    expect(posts()).toHaveLength(1);
    bench.run(bench.core.posted('alert_2', true, bench.now));
    expect(bench.core.alerts().list[0]).toMatchObject({ tries: 1, sendAt: null, deliveredAt: bench.now });
  });
});

describe('webhooks', () => {
  test.each<[string, boolean]>([
    ['https://hooks.example.com/a?b=c', true],
    ['https://hooks.example.com:443/', true],
    ['http://hooks.example.com/', false],
    ['https://hooks.example.com:8443/', false],
    ['https://user:pass@hooks.example.com/', false],
    ['https://localhost/', false],
    ['https://a.localhost./', false],
    ['https://127.0.0.1/', false],
    ['https://0x7f.1/', false],
    ['https://2130706433/', false],
    ['https://[::1]/', false],
    ['https://[::ffff:10.0.0.1]/', false],
    ['https://intranet/', false],
    ['https://metadata.google.internal/', false],
    ['https://printer.local/', false],
    ['ftp://hooks.example.com/', false],
    ['file:///etc/passwd', false],
    ['hooks.example.com', false],
    [`https://hooks.example.com/${'x'.repeat(500)}`, false],
  ])('%s: %s', (url, ok) => {
    expect(isWebhookUrl(url, false)).toBe(ok);
  });

  test('on one machine any web address goes', () => {
    expect(isWebhookUrl('http://127.0.0.1:8080/', true)).toBe(true);
    expect(isWebhookUrl('file:///etc/passwd', true)).toBe(false);
  });

  test('signed so that another implementation agrees', async () => {
    const secret = newSecret();
    const at = { id: 'alert_1', at: 0, tries: 1, sendAt: null, deliveredAt: null };
    const body = alertBody('acc_a', { ...at, kind: 'balance_below', key: null, percent: null, limit: 5n, value: 4n });
    expect(JSON.parse(body)).toEqual({
      type: 'ripcord.balance_below',
      timestamp: '1970-01-01T00:00:00.000Z',
      data: { account_id: 'acc_a', limit_nanousd: '5', value_nanousd: '4' },
    });
    const theirs = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
      .update(`m1.17.${body}`)
      .digest('base64');
    expect(await signatureOf(secret, 'm1', 17, body)).toBe(`v1,${theirs}`);
  });
});
