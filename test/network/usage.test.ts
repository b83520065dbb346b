/** What an account's calls came to, and their stories, from the record: against sums that are made here, from the same calls. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../cli/client.ts';
import * as db from '../../db/index.ts';
import { startBridge, type Bridge } from '../../dev/bridge.ts';
import { closedCall, dice, putOnRecord } from '../harness/closed-calls.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { userOf } from '../harness/ripcord.ts';
import { until } from '../harness/until.ts';
import { newHotkey } from '../hostile/raw-agent.ts';

const DAY_MS = 86_400_000;
const FORMULA = '=HYPERLINK("http://x",1)';

let network: TestNetwork;
let bridge: Bridge;
let d: db.Database;
let calls: db.CallRecord[];
let chutes: string[];
let keys: string[];
let stranger: string;
const now = Date.now();

beforeAll(async () => {
  network = await startNetwork({ agents: 0, chutes: [] });
  bridge = await startBridge(network.databaseUrl);
  d = db.connect({ DATABASE_URL: network.databaseUrl, DATABASE_FETCH_ENDPOINT: bridge.endpoint });
  const own = new Client({ api: network.api, key: network.key });
  const config = chuteConfigSchema.parse({ name: 'mine', template: 'http', command: ['true'] });
  chutes = [(await own.deploy(config, null)).chute_id, 'cht_gone', 'cht_other'];
  keys = [(await own.createKey({ name: FORMULA })).key_id, (await own.createKey({ name: 'ci, "quoted"' })).key_id, 'key_gone'];
  const other = new Client({ api: network.api, hotkey: newHotkey() });
  await other.signUp('stranger');
  stranger = (await other.createKey({ name: 'k', scopes: ['read'] })).secret_key;
  calls = makeCalls(network.account);
  await putOnRecord(d, network.account, calls);
  const foreign = [
    closedCall({ accountId: 'acc_other', chuteId: chutes[0] ?? '', closedAt: now - 1_000, attempts: [{ costNanousd: 7n }] }),
  ];
  await putOnRecord(d, 'acc_other', foreign);
  await until('the keys are on record', async () => {
    const found = await request('/accounts/me/usage?by=key');
    return ((await found.json()) as Report).items.some(({ name }) => name === FORMULA);
  });
});
afterAll(async () => {
  await network?.close();
  await bridge?.close();
});

/** Of the last 40 days, some at the very edges of days. */
function makeCalls(accountId: string): db.CallRecord[] {
  const die = dice(7);
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  return Array.from({ length: 700 }, (_, i) => {
    const edge = i % 50 === 0 ? die(2) - 1 : die(DAY_MS);
    const closedAt = Math.min(now - 1, today - die(40) * DAY_MS + edge);
    const state = (['completed', 'completed', 'cancelled', 'failed'] as const)[die(4)] ?? 'completed';
    const rent = i % 23 === 0;
    return closedCall({
      accountId,
      kind: rent ? 'rent' : 'call',
      keyId: rent ? '' : (keys[die(3)] ?? ''),
      chuteId: chutes[die(3)] ?? '',
      closedAt,
      openedAt: closedAt - die(5_000),
      state,
      code: state === 'failed' ? 'timeout' : '',
      waitedMs: die(300),
      attempts: Array.from({ length: 1 + die(3) }, () => ({
        tokensIn: die(4) === 0 ? null : die(1_000),
        cachedIn: die(3) === 0 ? null : die(100),
        tokensOut: die(4) === 0 ? null : die(2_000),
        lastByteMs: die(5) === 0 ? null : die(60_000),
        costNanousd: BigInt(die(4) === 0 ? 0 : die(10 ** 9)) * 1_009n,
      })),
    });
  });
}

interface Sum {
  calls: number;
  errors: number;
  tokens_in: number;
  cached_in: number;
  tokens_out: number;
  seconds: number;
  cost_nanousd: string;
}

type ReportItem = Sum & Record<string, string>;

interface Report {
  items: ReportItem[];
  total: Sum;
  from: string;
  to: string;
  truncated: boolean;
}

function request(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return network.request(path, { headers });
}

async function report(query: string): Promise<Report> {
  const reply = await request(`/accounts/me/usage?${query}`);
  expect(reply.status).toBe(200);
  return (await reply.json()) as Report;
}

const within = (from: number, to: number) => calls.filter((call) => call.closedAt >= from && call.closedAt < to);

function sumOf(some: readonly db.CallRecord[]): Sum {
  const tries = some.flatMap((call) => call.attempts);
  const add = (field: 'tokensIn' | 'cachedIn' | 'tokensOut' | 'lastByteMs') => tries.reduce((sum, t) => sum + (t[field] ?? 0), 0);
  return {
    calls: some.filter((call) => call.kind === 'call').length,
    errors: some.filter((call) => call.kind === 'call' && call.state === 'failed').length,
    tokens_in: add('tokensIn'),
    cached_in: add('cachedIn'),
    tokens_out: add('tokensOut'),
    seconds: add('lastByteMs') / 1000,
    cost_nanousd: String(some.reduce((sum, call) => sum + call.costNanousd, 0n)),
  };
}

const BUCKET = {
  chute: (call: db.CallRecord) => call.chuteId,
  key: (call: db.CallRecord) => call.keyId,
  day: (call: db.CallRecord) => new Date(call.closedAt).toISOString().slice(0, 10),
};
const FIELD = { chute: 'chute_id', key: 'key_id', day: 'day' };

describe('usage', () => {
  const day = (ago: number) => new Date(now - ago * DAY_MS).toISOString().slice(0, 10);
  const ranges: [string, number, number][] = [
    ['', Math.floor((now - 29 * DAY_MS) / DAY_MS) * DAY_MS, Infinity],
    [`from=${day(40)}`, Date.parse(day(40)), Infinity],
    [`from=${day(20)}&to=${day(10)}`, Date.parse(day(20)), Date.parse(day(10)) + DAY_MS],
    [`from=${day(7)}T06:00:00Z&to=${day(5)}T18:30:00%2B02:00`, Date.parse(`${day(7)}T06:00:00Z`), Date.parse(`${day(5)}T16:30:00Z`)],
    [`from=${day(90)}&to=${day(80)}`, Date.parse(day(90)), Date.parse(day(80)) + DAY_MS],
  ];
  describe.each(['chute', 'key', 'day'] as const)('by %s', (by) => {
    test.each(ranges)('%s is what its calls add up to', async (query, from, to) => {
      const { items, total, truncated } = await report(`by=${by}&${query}`);
      const groups = Map.groupBy(within(from, to), BUCKET[by]);
      expect(new Map(items.map((item) => [item[FIELD[by]], item]))).toEqual(
        new Map([...groups].map(([name, some]) => [name, expect.objectContaining(sumOf(some))])),
      );
      expect(total).toEqual(sumOf(within(from, to)));
      expect([items.length, truncated]).toEqual([groups.size, false]);
      if (by === 'day') expect(items.map((item) => item['day'])).toEqual([...groups.keys()].toSorted());
    });
  });

  test('names chutes and keys, as far as they are known', async () => {
    const [byChute, byKey] = [await report('by=chute'), await report('by=key')];
    const name = (items: ReportItem[], field: string, id: string | undefined) => items.find((item) => item[field] === id)?.['name'];
    expect([name(byChute.items, 'chute_id', chutes[0]), name(byChute.items, 'chute_id', 'cht_gone')]).toEqual(['demo/mine', '']);
    expect(name(byKey.items, 'key_id', keys[0])).toBe(FORMULA);
  });

  test.each([
    ['from=2026-01-01&to=2026-04-03', 'from'],
    ['from=2026-02-02&to=2026-02-01', 'from'],
    ['from=yesterday', 'from'],
    ['from=2026-02-30', 'from'],
    ['to=1790000000', 'to'],
    ['by=miner', 'by'],
    ['format=xml', 'format'],
    ['by=call&before=now', 'before'],
    // Beyond what Postgres or four digits of a year hold.
    ['from=0000-01-01&to=0000-02-01', 'to'],
    ['from=9999-12-01&to=9999-12-31', 'to'],
    ['to=9999-12-31T23:59:59-01:00', 'to'],
    ['by=call&before=999999999999999.00000000-0000-4000-8000-000000000000', 'before'],
  ])('%s is refused', async (query, param) => {
    const reply = await request(`/accounts/me/usage?${query}`);
    expect([reply.status, await reply.json()]).toMatchObject([400, { code: 'invalid_request', param }]);
  });

  test('of 92 days is given', async () => {
    expect((await request('/accounts/me/usage?from=2026-01-01&to=2026-04-02')).status).toBe(200);
  });

  test('of another account is its own', async () => {
    const reply = await request('/accounts/me/usage?by=chute', { authorization: `Bearer ${stranger}` });
    expect(await reply.json()).toMatchObject({ items: [], total: { calls: 0, cost_nanousd: '0' } });
  });
});

describe('as CSV', () => {
  test.each([
    ['by format', '/accounts/me/usage?by=key&format=csv', {}],
    ['by Accept', '/accounts/me/usage?by=key', { accept: 'text/csv' }],
  ])('%s it is the same report, and no name is a formula', async (_, path, headers) => {
    const reply = await request(path, headers);
    expect(reply.headers.get('content-type')).toMatch(/^text\/csv; charset=utf-8; header=present/);
    const text = await reply.text();
    const [head, ...rows] = parseCsv(text);
    expect(head).toEqual(['key_id', 'name', ...Object.keys(sumOf([])), 'cost_usd']);
    const { items } = await report('by=key');
    const cells = items.map((item) => [item['key_id'], ...Object.keys(sumOf([])).map((field) => String(item[field]))]);
    expect(rows.map(([id, , ...rest]) => [id, ...rest.slice(0, -1)])).toEqual(cells);
    expect(rows.map((row) => Math.round(Number(row.at(-1)) * 1e9))).toEqual(items.map((item) => Number(item.cost_nanousd)));
    expect(rows.map((row) => row[1] ?? '').toSorted()).toEqual(['', '', `'${FORMULA}`, 'ci, "quoted"'].toSorted());
  });

  test('a call a row, page by page over its Link, each call once', async () => {
    let next: string | undefined =
      `${network.api}/accounts/me/usage?by=call&format=csv&limit=150&from=${new Date(now - 60 * DAY_MS).toISOString()}`;
    const seen: string[][] = [];
    for (let pages = 0; next !== undefined; pages++) {
      expect(pages).toBeLessThan(6);
      const reply: Response = await fetch(next, { headers: { authorization: `Bearer ${network.key}` } });
      const [head, ...rows] = parseCsv(await reply.text());
      expect(head?.slice(0, 4)).toEqual(['call_id', 'kind', 'opened_at', 'closed_at']);
      seen.push(...rows);
      next = /^<(.+)>; rel="next"$/.exec(reply.headers.get('link') ?? '')?.[1];
    }
    expect(seen.map(([id]) => id ?? '').toSorted()).toEqual(calls.map((call) => call.callId).toSorted());
    const times = seen.map((row) => row[3] ?? '');
    expect(times).toEqual(times.toSorted().toReversed());
  });
});

describe('a call of the past', () => {
  test('is told whole, to its account alone', async () => {
    const call = calls.find((c) => c.attempts.length === 3 && c.costNanousd > 0n && c.kind === 'call');
    if (call === undefined) throw new Error('No such call was made.');
    const reply = await request(`/calls/${call.callId.toUpperCase()}`);
    expect([reply.status, await reply.json()]).toEqual([
      200,
      {
        call_id: call.callId,
        kind: 'call',
        state: call.state,
        code: call.code,
        chute_id: call.chuteId,
        version: 'v1',
        key_id: call.keyId,
        opened_at: new Date(call.openedAt).toISOString(),
        deadline_at: null,
        closed_at: new Date(call.closedAt).toISOString(),
        hold_nanousd: String(call.holdNanousd),
        cost_nanousd: String(call.costNanousd),
        promo_nanousd: '0',
        price_version: 'prc_1',
        allowance: null,
        attempts: call.attempts.map((a) => ({
          attempt: a.attempt,
          miner_hotkey: '5M',
          agent_id: 'agt_1',
          instance_id: 'ins_1',
          outcome: 'completed',
          code: '',
          refused: false,
          status: 200,
          bytes: 100,
          tokens_in: a.tokensIn,
          cached_in: a.cachedIn,
          tokens_out: a.tokensOut,
          region: 'eu',
          waited_ms: call.waitedMs,
          cold: false,
          started_at: new Date(call.openedAt).toISOString(),
          first_byte_ms: null,
          last_byte_ms: a.lastByteMs,
          cost_nanousd: String(a.costNanousd),
        })),
      },
    ]);
    const foreign = await request(`/calls/${call.callId}`, { authorization: `Bearer ${stranger}` });
    expect([foreign.status, await foreign.json()]).toMatchObject([404, { code: 'call_not_found' }]);
  });

  test('is in the list once, whatever the page', async () => {
    const seen: string[] = [];
    for (let before: string | null = ''; before !== null;) {
      const reply = await request(`/calls?limit=130${before === '' ? '' : `&before=${before}`}`);
      const page = (await reply.json()) as { items: { call_id: string; closed_at: string }[]; next: string | null };
      expect(page.items.length).toBeLessThanOrEqual(130);
      seen.push(...page.items.map((item) => item.call_id));
      before = page.next;
    }
    expect(seen.toSorted()).toEqual(calls.map((call) => call.callId).toSorted());
    const small = (await (await request('/calls')).json()) as { items: unknown[] };
    expect(small.items).toHaveLength(50);
  });
});

test('the command tells the same', async () => {
  const user = userOf(network, network.folder.folder('home', 'demo'), network.key);
  const call = calls[0]?.callId ?? '';
  const [usage, csv, balance, metrics, told, none] = await Promise.all([
    user.json<Report>('usage', '--by', 'chute'),
    user.run('usage', '--by', 'call', '--csv', '--from', new Date(now - 60 * DAY_MS).toISOString()),
    user.json('balance'),
    user.json('metrics', 'mine', '--window', '7d'),
    user.json('calls', call),
    user.refused('topup', '20'),
  ]);
  expect(usage.items).toEqual((await report('by=chute')).items);
  expect([csv.code, parseCsv(csv.out).length]).toEqual([0, calls.length + 1]);
  expect(balance).toMatchObject({ cash_nanousd: String((await db.findPurses(d, network.account)).cash.posted) });
  expect(metrics).toMatchObject({ name: 'demo/mine', items: [{ calls: expect.any(Number) as number }] });
  expect(told).toMatchObject({ call_id: call });
  expect(none).toMatchObject({ code: 1, error: { code: 'unavailable', message: 'Cards are not configured.' } });
});

test('while Postgres is away: usage is unavailable, calls are those the Account remembers', async () => {
  await network.postgres.stop();
  try {
    expect((await request('/accounts/me/usage')).status).toBe(503);
    const reply = await request('/calls');
    expect([reply.status, await reply.json()]).toEqual([200, { items: [], next: null, record: 'unanswered' }]);
    expect((await request(`/calls/${calls[0]?.callId}`)).status).toBe(503);
  } finally {
    await network.postgres.restart();
  }
});

/** RFC 4180, strictly: throws for what is not. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex;
    const found = cell.exec(text);
    if (found === null) throw new Error(`No CSV at ${at}: ${text.slice(at, at + 40)}`);
    rows.at(-1)?.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? '');
    if (found[3] === '\r\n') rows.push([]);
  }
  return rows.slice(0, -1);
}
