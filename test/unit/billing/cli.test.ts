/** The commands about money and use, against a server that answers as the API does. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { showUsd } from '#protocol/usd.ts';
import { Kept, problem, ripcord, SECRET, StandIn, type Ran, type RunOptions } from '../cli/stand-in.ts';

let home: string;
let api: StandIn;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ripcord-cli-'));
  api = new StandIn();
  await api.listen();
});
afterEach(async () => {
  await api.close();
  await rm(home, { recursive: true, force: true });
});

function rip(argv: string[], options: RunOptions = {}): Promise<Ran> {
  return ripcord(argv, { cwd: home, ...options, env: { XDG_CONFIG_HOME: home, RIPCORD_API: api.origin, RIPCORD_API_KEY: SECRET } });
}

test.each([
  ['0', '0.00'],
  ['1', '0.000000001'],
  ['1500', '0.0000015'],
  ['1000000000', '1.00'],
  ['-20500000000', '-20.50'],
  ['9223372036854775807', '9223372036.854775807'],
])('%s nano-USD is shown as %s', (nano, usd) => expect(showUsd(nano)).toBe(usd));

test('balance shows what the next call may cost first', async () => {
  const balance = {
    cash_nanousd: '20000000000',
    promo_nanousd: '0',
    held_nanousd: '1500000000',
    unbilled_nanousd: '3',
    available_nanousd: '18499999997',
    as_of: '2026-11-22T16:00:00.000Z',
  };
  api.on('GET /accounts/me/balance', { json: balance });
  const { code, out } = await rip(['balance']);
  expect([code, out.split('\n').map((line) => line.split(/ {2,}/))]).toEqual([
    0,
    [
      ['available', '18.499999997'],
      ['cash', '20.00'],
      ['promo', '0.00'],
      ['held by running calls', '1.50'],
      ['spent, not on record yet', '0.000000003'],
      ['as of', '2026-11-22 16:00:00Z'],
      [''],
    ],
  ]);
  expect(JSON.parse((await rip(['balance', '--json'])).out)).toEqual(balance);
});

describe('usage', () => {
  const sum = (cost: string, calls = 1) => ({
    calls,
    errors: 0,
    tokens_in: 10,
    cached_in: 4,
    tokens_out: 7,
    seconds: 1.25,
    cost_nanousd: cost,
  });
  const report = {
    by: 'day',
    from: '2026-11-01T00:00:00.000Z',
    to: '2026-11-03T00:00:00.000Z',
    items: [
      { day: '2026-11-01', ...sum('1000000000') },
      { day: '2026-11-02', ...sum('250000000') },
    ],
    total: sum('1250000000', 2),
    truncated: false,
  };

  test('is a table with a total; numbers stand right', async () => {
    api.on('GET /accounts/me/usage', { json: report });
    const { code, out } = await rip(['usage', '--from', '2026-11-01', '--to', '2026-11-02']);
    expect(code).toBe(0);
    expect(out).toBe(
      [
        'DAY         CALLS  ERRORS  IN  CACHED  OUT  SECONDS   USD',
        '2026-11-01      1       0  10       4    7      1.3  1.00',
        '2026-11-02      1       0  10       4    7      1.3  0.25',
        'total           2       0  10       4    7      1.3  1.25',
        '',
      ].join('\n'),
    );
    expect(api.seen[0]?.target).toBe('/accounts/me/usage?by=day&from=2026-11-01&to=2026-11-02');
  });

  test('has bars on a terminal, as long as the cost', async () => {
    api.on('GET /accounts/me/usage', { json: report });
    const { out } = await rip(['usage'], { tty: true });
    expect([...out.matchAll(/█+/g)].map(([bar]) => bar.length)).toEqual([24, 6]);
  });

  test('names are printed without what would move the cursor', async () => {
    api.on('GET /accounts/me/usage', {
      json: { ...report, items: [{ key_id: 'key_1', name: '\u001b[2Jevil', ...sum('1') }], truncated: true },
    });
    const { out } = await rip(['usage', '--by', 'key']);
    expect(out).not.toContain('\u001b');
    expect(out).toContain('Only the 1 that cost most');
  });

  test('as CSV is page after page, one header, and the key stays at home', async () => {
    api.on('GET /accounts/me/usage', ({ target }) => {
      const first = new URL(target, 'http://x').searchParams.get('before') === null;
      const next = 'https://elsewhere.example/accounts/me/usage?by=call&format=csv&from=F&to=T&before=7.x';
      return {
        body: `call_id,usd\r\n${first ? 'a,1' : 'b,2'}\r\n`,
        headers: { 'content-type': 'text/csv', ...(first ? { link: `<${next}>; rel="next"` } : {}) },
      };
    });
    expect(await rip(['usage', '--by', 'call', '--csv'])).toMatchObject({ code: 0, err: '', out: 'call_id,usd\r\na,1\r\nb,2\r\n' });
    expect(api.seen.map(({ target }) => target)).toEqual([
      '/accounts/me/usage?by=call&format=csv',
      '/accounts/me/usage?by=call&format=csv&from=F&to=T&before=7.x',
    ]);
  });

  test.each([
    [['usage', '--by', 'miner'], 2],
    [['usage', '--by', 'call'], 2],
  ])('%j is wrong use', async (argv, code) => expect((await rip(argv)).code).toBe(code));

  test('a refusal is told with its code', async () => {
    api.on('GET /accounts/me/usage', problem(400, 'invalid_request', { detail: 'A report covers at most 92 days.' }));
    expect(await rip(['usage'])).toMatchObject({ code: 1, out: '', err: expect.stringContaining('at most 92 days') as unknown });
  });
});

describe('metrics', () => {
  const metrics = {
    chute_id: 'cht_1',
    name: 'alice/hello',
    window: '1h',
    from: '2026-11-22T15:00:00.000Z',
    to: '2026-11-22T16:00:00.000Z',
    items: [
      {
        version: 'ab'.repeat(32),
        calls: 12,
        failed: 3,
        errors: { timeout: 2, miner_lost: 1 },
        retries: 1,
        cold_starts: 0,
        queue_ms: { p50: 0, p95: 1500 },
        first_byte_ms: { p50: 42, p95: null },
        duration_ms: { p50: 900, p95: 12_340 },
        tokens_per_second: { p50: 31.26 },
        cost_nanousd: '1500',
      },
    ],
  };

  test('shows times in seconds, and errors by code', async () => {
    api.on('GET /chutes/alice/hello/metrics', { json: metrics });
    const { out } = await rip(['metrics', 'alice/hello', '--by', 'version', '--window', '24h']);
    expect(api.seen[0]?.target).toBe('/chutes/alice/hello/metrics?window=24h&by=version');
    const [head = '', row = ''] = out.split('\n');
    expect(head.trim().split(/ {2,}/)).toEqual([
      'VERSION',
      'CALLS',
      'FAILED',
      'RETRIES',
      'COLD',
      'QUEUE',
      'FIRST BYTE',
      'DURATION',
      'TOKENS/S',
      'USD',
    ]);
    expect(row.trim().split(/ {2,}/)).toEqual([
      'abababababab',
      '12',
      '3',
      '1',
      '0',
      '0.000/1.500',
      '0.042/-',
      '0.900/12.3',
      '31.3',
      '0.0000015',
    ]);
    expect(out).toContain('2 × timeout');
  });

  test('--watch goes on until Ctrl-C', async () => {
    api.on('GET /chutes/alice/hello/metrics', { json: metrics });
    const stop = new AbortController();
    const out = new Kept();
    out.onWrite = () => stop.abort();
    const ran = await rip(['metrics', 'alice/hello', '--watch', '--json'], { stop, out });
    expect(ran.code).toBe(130);
    expect(JSON.parse(ran.out)).toMatchObject(metrics);
  });
});

describe('calls', () => {
  const call = {
    call_id: '019ab3c0-0000-7000-8000-000000000000',
    state: 'completed',
    code: '',
    chute_id: 'cht_1',
    version: 'ab'.repeat(32),
    key_id: 'key_1',
    opened_at: '2026-11-22T16:00:00.000Z',
    closed_at: null,
    hold_nanousd: '3000',
    cost_nanousd: '1500',
    price_version: 'prc_7',
    attempts: [
      { attempt: 0, outcome: 'failed', code: 'miner_lost', miner_hotkey: '5Gone', cost_nanousd: '0' },
      {
        attempt: 1,
        outcome: 'completed',
        code: '',
        status: 200,
        miner_hotkey: '5Good',
        region: 'eu',
        waited_ms: 3,
        first_byte_ms: 20,
        last_byte_ms: 900,
        tokens_in: 7,
        tokens_out: 5,
        cost_nanousd: '1500',
      },
    ],
  };

  test('are listed; one is told whole', async () => {
    api.on('GET /calls', { json: { items: [call], next: null } });
    api.on(`GET /calls/${call.call_id}`, { json: call });
    expect((await rip(['calls', '--limit', '5'])).out).toContain(call.call_id);
    expect(api.seen[0]?.target).toBe('/calls?limit=5');
    const { out } = await rip(['calls', call.call_id]);
    for (const told of ['prc_7', '0.000003', 'failed: miner_lost', '5Good', '0.900', '0.0000015']) expect(out).toContain(told);
    expect(await rip(['calls', 'x'])).toMatchObject({ code: 1 });
    expect(await rip(['calls', '--limit', '0'])).toMatchObject({ code: 2 });
  });
});

describe('topup', () => {
  test('prints the page’s address alone on stdout', async () => {
    api.on('POST /billing/checkout', { status: 201, json: { checkout_id: 'c', url: 'https://checkout.stripe.com/c/pay/cs_1' } });
    expect(await rip(['topup', '12.50'])).toMatchObject({
      code: 0,
      out: 'https://checkout.stripe.com/c/pay/cs_1\n',
      err: 'Pay 12.50 USD here:\n',
    });
    expect(JSON.parse(api.seen[0]?.body.toString() ?? '')).toEqual({ amount_usd: '12.50' });
  });

  test.each(['20.001', '-5', '1e3', 'twenty', '999999'])('%s is wrong use, and nothing is asked', async (usd) => {
    expect(await rip(['topup', '--', usd])).toMatchObject({ code: 2, out: '' });
    expect(api.seen).toEqual([]);
  });

  test('where cards are not taken says so', async () => {
    api.on('POST /billing/checkout', problem(503, 'unavailable', { detail: 'Cards are not configured.' }));
    expect(await rip(['topup', '20'])).toMatchObject({ code: 1, err: expect.stringContaining('Cards are not configured') as unknown });
  });
});
