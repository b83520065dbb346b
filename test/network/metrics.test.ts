/** What a chute's calls were like, against figures made here from the same calls; Prometheus' text; and the edge's health. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../cli/client.ts';
import * as db from '../../db/index.ts';
import { bookChecks } from '../../db/schema.ts';
import { startBridge, type Bridge } from '../../dev/bridge.ts';
import { closedCall, dice, putOnRecord } from '../harness/closed-calls.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';
import { newHotkey } from '../hostile/raw-agent.ts';

const HOUR_MS = 3_600_000;

let network: TestNetwork;
let bridge: Bridge;
let d: db.Database;
let chute: string;
let calls: db.CallRecord[];
const now = Date.now();

beforeAll(async () => {
  network = await startNetwork({ agents: 0, chutes: [] });
  bridge = await startBridge(network.databaseUrl);
  d = db.connect({ DATABASE_URL: network.databaseUrl, DATABASE_FETCH_ENDPOINT: bridge.endpoint });
  const config = chuteConfigSchema.parse({ name: 'mine', template: 'http', command: ['true'], public: true });
  chute = (await new Client({ api: network.api, key: network.key }).deploy(config, null)).chute_id;
  calls = makeCalls();
  // Who pays for them is another account than the chute's.
  await putOnRecord(d, 'acc_payer', calls);
});
afterAll(async () => {
  await network?.close();
  await bridge?.close();
});

/** Of the last eight days; rents and another chute's calls among them. */
function makeCalls(): db.CallRecord[] {
  const die = dice(11);
  return Array.from({ length: 900 }, (_, i) => {
    const closedAt = now - 60_000 - die(i % 3 === 0 ? 3_000_000 : 8 * 24 * HOUR_MS);
    const state = (['completed', 'completed', 'completed', 'cancelled', 'failed'] as const)[die(5)] ?? 'completed';
    const code = state === 'failed' ? (['timeout', 'miner_lost', 'engine_error'][die(3)] ?? '') : '';
    const tries = state === 'failed' && die(3) === 0 ? 0 : 1 + die(3);
    return closedCall({
      accountId: 'acc_payer',
      chuteId: i % 10 === 0 ? 'cht_other' : chute,
      kind: i % 17 === 0 ? 'rent' : 'call',
      version: ['aa'.repeat(32), 'bb'.repeat(32)][die(2)] ?? '',
      closedAt,
      openedAt: closedAt - 5_000,
      state,
      code,
      waitedMs: die(4_000),
      cold: die(6) === 0,
      attempts: Array.from({ length: tries }, (_attempt, at) => ({
        hotkey: ['5Alice', '5Bob', '5Eve'][die(3)] ?? '',
        region: ['eu', 'us"\\\n'][die(2)] ?? '',
        outcome: at === tries - 1 ? state : 'failed',
        code: at === tries - 1 ? code : 'miner_lost',
        waitedMs: die(4_000),
        cold: die(6) === 0,
        firstByteMs: die(5) === 0 ? null : die(2_000),
        lastByteMs: die(5) === 0 ? null : 1 + die(30_000),
        tokensIn: die(100),
        cachedIn: die(10),
        tokensOut: die(3) === 0 ? null : die(500),
        costNanousd: BigInt(die(10 ** 9)),
      })),
    });
  });
}

interface Unit {
  key: string;
  state: string;
  code: string;
  retries: number;
  waitedMs: number;
  cold: boolean;
  cost: bigint;
}

type Tried = db.UsageRecord & { key: string };
type By = 'total' | 'version' | 'miner' | 'region';

const callUnit = (key: string, call: db.CallRecord): Unit => ({
  key,
  state: call.state,
  code: call.code,
  retries: Math.max(0, call.attempts.length - 1),
  waitedMs: call.waitedMs,
  cold: call.cold,
  cost: call.costNanousd,
});

/** The answer, made by other means. */
function expected(by: By, windowMs: number): Map<string, object> {
  const picked = calls.filter((call) => call.chuteId === chute && call.kind === 'call' && call.closedAt >= now - windowMs);
  const keyOf = (a: db.UsageRecord) => ({ total: '', version: a.version, miner: a.hotkey, region: a.region })[by];
  const tries: Tried[] = picked.flatMap((call) => call.attempts.map((a) => ({ ...a, key: keyOf(a) })));
  const units: Unit[] =
    by === 'total' || by === 'version'
      ? picked.map((call) => callUnit(by === 'total' ? '' : call.version, call))
      : tries.map((a) => ({ ...a, state: a.outcome, retries: Number(a.attempt > 0), cost: a.costNanousd }));
  return new Map(
    [...Map.groupBy(units, (unit) => unit.key)].map(([key, some]) => [
      key,
      item(
        some,
        tries.filter((a) => a.key === key),
      ),
    ]),
  );
}

function item(units: readonly Unit[], tries: readonly Tried[]) {
  const count = (state: string) => units.filter((unit) => unit.state === state).length;
  const failed = units.filter((unit) => unit.state === 'failed');
  const rates = tries.flatMap((a) => (a.tokensOut && a.lastByteMs ? [(a.tokensOut * 1000) / a.lastByteMs] : []));
  const add = (field: 'tokensIn' | 'cachedIn' | 'tokensOut') => tries.reduce((sum, a) => sum + (a[field] ?? 0), 0);
  return {
    calls: units.length,
    completed: count('completed'),
    cancelled: count('cancelled'),
    failed: count('failed'),
    errors: Object.fromEntries([...Map.groupBy(failed, (unit) => unit.code)].map(([code, some]) => [code, some.length])),
    retries: units.reduce((sum, unit) => sum + unit.retries, 0),
    cold_starts: units.filter((unit) => unit.cold).length,
    queue_ms: percentiles(units.map((unit) => unit.waitedMs)),
    first_byte_ms: percentiles(tries.flatMap((a) => a.firstByteMs ?? [])),
    duration_ms: percentiles(tries.flatMap((a) => a.lastByteMs ?? [])),
    tokens_per_second: { p50: near(at(rates, 0.5)) },
    tokens_in: add('tokensIn'),
    cached_in: add('cachedIn'),
    tokens_out: add('tokensOut'),
    cost_nanousd: String(units.reduce((sum, unit) => sum + unit.cost, 0n)),
  };
}

const near = (value: number | null): unknown => (value === null ? null : expect.closeTo(value, 6));
const percentiles = (values: number[]) => ({ p50: near(at(values, 0.5)), p95: near(at(values, 0.95)) });

/** Between two values, as far between as the rank is. */
function at(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  if (sorted.length === 0) return null;
  const rank = share * (sorted.length - 1);
  const [low = 0, high = 0] = [sorted[Math.floor(rank)], sorted[Math.ceil(rank)]];
  return low + (high - low) * (rank - Math.floor(rank));
}

async function metrics(query: string, path = `/chutes/${chute}`) {
  const reply = await network.request(`${path}/metrics?${query}`);
  expect(reply.status).toBe(200);
  return (await reply.json()) as { items: Record<string, string>[]; truncated: boolean; window: string; name: string };
}

const WINDOWS = { '5m': 300_000, '1h': HOUR_MS, '24h': 24 * HOUR_MS, '7d': 7 * 24 * HOUR_MS };

describe('metrics of a chute', () => {
  describe.each(['total', 'version', 'miner', 'region'] as const)('by %s', (by) => {
    test.each(['1h', '24h', '7d'] as const)('over %s are those of its calls', async (window) => {
      const { items, truncated } = await metrics(`window=${window}&by=${by}`);
      const want = expected(by, WINDOWS[window]);
      expect([items.length, truncated]).toEqual([want.size, false]);
      for (const { [by]: name = '', ...figures } of items) expect(figures, `${by} ${name}`).toEqual(want.get(name));
    });
  });

  test('by name are the same; without a window, of the last hour in all', async () => {
    const plain = await metrics('', '/chutes/demo/mine');
    expect([plain.window, plain.name, plain.items]).toEqual(['1h', 'demo/mine', (await metrics('window=1h&by=total')).items]);
  });

  test('without calls say so', async () => {
    const config = chuteConfigSchema.parse({ name: 'idle', template: 'http', command: ['true'] });
    await new Client({ api: network.api, key: network.key }).deploy(config, null);
    const { items } = await metrics('', '/chutes/demo/idle');
    expect(items).toMatchObject([{ calls: 0, errors: {}, queue_ms: { p50: null, p95: null }, cost_nanousd: '0' }]);
    expect((await metrics('by=miner', '/chutes/demo/idle')).items).toEqual([]);
  });

  test.each([
    ['window=2h', 'window'],
    ['window=constructor', 'window'],
    ['by=account', 'by'],
  ])('%s is refused', async (query, param) => {
    const reply = await network.request(`/chutes/${chute}/metrics?${query}`);
    expect([reply.status, await reply.json()]).toMatchObject([400, { code: 'invalid_request', param }]);
  });

  test('are for the owner, though the chute is public', async () => {
    const other = new Client({ api: network.api, hotkey: newHotkey() });
    await other.signUp('stranger');
    const key = (await other.createKey({ name: 'k', scopes: ['read'] })).secret_key;
    const reply = await network.request(`/chutes/${chute}/metrics`, { headers: { authorization: `Bearer ${key}` } });
    expect([reply.status, await reply.json()]).toMatchObject([403, { code: 'insufficient_scope' }]);
  });
});

describe('as Prometheus’ text', () => {
  test.each(['total', 'version', 'miner', 'region'] as const)('by %s they are well formed and the same figures', async (by) => {
    const reply = await network.request(`/chutes/${chute}/metrics?window=7d&by=${by}`, { headers: { accept: 'text/plain' } });
    expect(reply.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const samples = parsePrometheus(await reply.text());
    const value = (name: string, labels: Record<string, string>) =>
      samples.find((s) => s.name === `ripcord_${name}` && Object.entries(labels).every(([label, text]) => s.labels[label] === text))?.value;
    for (const [name, figures] of expected(by, WINDOWS['7d'])) {
      const want = figures as Record<string, { p50: unknown; p95: unknown }> & { errors: Record<string, number>; cost_nanousd: string };
      const labels = { chute: 'demo/mine', window: '7d', ...(by === 'total' ? {} : { [by]: name }) };
      expect(value('calls', labels)).toBe(want['calls']);
      expect(value('retries', labels)).toBe(want['retries']);
      expect(value('cold_starts', labels)).toBe(want['cold_starts']);
      for (const [code, n] of Object.entries(want.errors)) expect(value('calls_failed', { ...labels, code })).toBe(n);
      expect((value('queue_seconds', { ...labels, quantile: '0.95' }) ?? NaN) * 1000).toEqual(want['queue_ms']?.p95);
      expect((value('first_byte_seconds', { ...labels, quantile: '0.5' }) ?? NaN) * 1000).toEqual(want['first_byte_ms']?.p50);
      expect((value('duration_seconds', { ...labels, quantile: '0.95' }) ?? NaN) * 1000).toEqual(want['duration_ms']?.p95);
      expect(value('output_tokens_per_second', { ...labels, quantile: '0.5' })).toEqual(want['tokens_per_second']?.p50);
      expect(Math.round((value('cost_usd', labels) ?? NaN) * 1e9)).toBe(Number(want.cost_nanousd));
    }
  });
});

describe('health', () => {
  interface Health {
    ok: boolean;
    record: string;
    books: { ok: boolean; checked_at: string; broken: string[] } | null;
    unfolded: { count: number; oldest_s: number | null } | null;
    outbox: { p95_ms: number | null; max_ms: number | null } | null;
    deposits: object | null;
  }
  const health = async (): Promise<Health> => {
    const reply = await fetch(`${network.api}/health`);
    expect(reply.status).toBe(200);
    return (await reply.json()) as Health;
  };

  test('tells of credits that wait and of records that were late, and nothing of whose they are', async () => {
    const found = await until('the record answers', async () => {
      const told = await health();
      return told.record === 'answers' ? told : null;
    });
    const delays = calls.map((call) => now - call.closedAt);
    expect(found).toMatchObject({ ok: true, version: expect.any(String), books: null, deposits: null });
    expect(found.unfolded?.count).toBeGreaterThan(0);
    expect(found.unfolded?.oldest_s).toBeLessThan(120);
    // They were put on record after `now`, within the minute or so that this file has run.
    expect(found.outbox?.max_ms).toBeGreaterThanOrEqual(Math.max(...delays));
    expect(found.outbox?.max_ms).toBeLessThan(Math.max(...delays) + 120_000);
    expect(found.outbox?.p95_ms).toBeLessThan(found.outbox?.max_ms ?? 0);
    for (const secret of ['acc_', '5Alice', chute]) expect(JSON.stringify(found)).not.toContain(secret);
  });

  test('a broken book is named within 10 seconds, without whose it is', async () => {
    await d.insert(bookChecks).values({ ok: false, broken: { I3: { broken: 1, detail: 'cash/acc_payer' } } });
    const { books } = await until('the check is told', async () => {
      const told = await health();
      return told.books === null ? null : told;
    });
    expect(books).toEqual({ ok: false, checked_at: expect.any(String), broken: ['I3'] });
  });

  test('while Postgres is away the edge is well, and its record does not answer', async () => {
    await network.postgres.stop();
    try {
      const told = await until('it is noticed', async () => {
        const reply = await health();
        return reply.record === 'unanswered' ? reply : null;
      });
      expect(told).toMatchObject({ ok: true, books: null, unfolded: null, outbox: null, deposits: null });
    } finally {
      await network.postgres.restart();
    }
  });
});

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** The text format as its documentation has it, strictly: HELP and TYPE once and before their samples, no sample twice. */
function parsePrometheus(text: string): Sample[] {
  expect(text.endsWith('\n')).toBe(true);
  const samples: Sample[] = [];
  const typed = new Set<string>();
  const seen = new Set<string>();
  let helped = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-z_]+) [^\n]+$/.exec(line);
    const type = /^# TYPE ([a-z_]+) gauge$/.exec(line);
    if (help !== null) helped = help[1] ?? '';
    else if (type !== null) {
      expect(type[1]).toBe(helped);
      expect(typed.has(helped), `${helped} once`).toBe(false);
      typed.add(helped);
    } else {
      const sample = sampleOf(line);
      expect(sample.name).toBe([...typed].at(-1));
      expect(seen.has(line.slice(0, line.lastIndexOf(' '))), `${line} once`).toBe(false);
      seen.add(line.slice(0, line.lastIndexOf(' ')));
      samples.push(sample);
    }
  }
  return samples;
}

function sampleOf(line: string): Sample {
  const [, name = '', inside = '', value = ''] = /^([a-z_]+)\{(.*)\} ([0-9.e+-]+)$/.exec(line) ?? [];
  const labels: Record<string, string> = {};
  const label = /([a-z_]+)="((?:[^"\\]|\\["\\n])*)"(,|$)/y;
  while (label.lastIndex < inside.length) {
    const found = label.exec(inside);
    if (found === null || name === '') throw new Error(`No sample: ${line}`);
    labels[found[1] ?? ''] = (found[2] ?? '').replaceAll(/\\(["\\n])/g, (_, c: string) => (c === 'n' ? '\n' : c));
  }
  expect(value).not.toBe('');
  return { name, labels, value: Number(value) };
}
