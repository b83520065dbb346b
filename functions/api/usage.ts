/** GET /accounts/me/usage: what the account's calls came to, for people and for spreadsheets. From the record alone. */
import { Hono } from 'hono';
import type { Context } from 'hono';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { csvOf } from './csv.ts';
import { cursorText, readCursor, readLimit } from './page.ts';
import { readRange, type Range } from './range.ts';
import { report } from './reports.ts';
import { usdText } from './usd.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

const BOUNDS = {
  /** Rows of a report; what is beyond them is in the total only. */
  rows: 1_000,
  /** Calls on one page. */
  calls: 1_000,
} as const;

const SUMS = ['calls', 'errors', 'tokens_in', 'cached_in', 'tokens_out', 'seconds', 'cost_nanousd'] as const;

export const usageApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** `?by=chute|key|day|call&from=&to=&format=csv|json`; `by=call` also takes `?before=` and `?limit=`. */
usageApi.get('/accounts/me/usage', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const by = readBy(c.req.query('by') ?? 'day');
  const now = Date.now();
  const range = readRange({ from: c.req.query('from'), to: c.req.query('to') }, now);
  return report(account, now, () => (by === 'call' ? callReport(c, account, range) : sumReport(c, account, by, range)));
});

async function sumReport(c: Ctx, accountId: string, by: db.UsageBy, range: Range): Promise<Response> {
  const [total, ...sums] = await db.sumUsage(db.connect(c.env), { accountId, by, ...range, most: BOUNDS.rows });
  if (by === 'day') sums.sort((a, b) => (String(a.bucket) < String(b.bucket) ? -1 : 1));
  const items = sums.map((sum) => sumItem(by, sum));
  const all = total === undefined ? null : sumOf(total);
  if (!wantsCsv(c)) return c.json({ by, ...rangeText(range), items, total: all, truncated: sums.length === BOUNDS.rows });
  const head = [...(by === 'day' ? ['day'] : [`${by}_id`, 'name']), ...SUMS, 'cost_usd'];
  return csvReply(
    c,
    `usage-by-${by}`,
    csvOf(
      head,
      items.map((item) => rowOf(head, item)),
    ),
  );
}

/** One row for each call that closed in the range, the newest first; `next` (in CSV the `Link` header) has the rest. */
async function callReport(c: Ctx, accountId: string, range: Range): Promise<Response> {
  const limit = readLimit(c.req.query('limit'), BOUNDS.calls, BOUNDS.calls);
  const before = readCursor(c.req.query('before'));
  const calls = await db.listRecordedCalls(db.connect(c.env), { accountId, ...range, before, limit });
  const last = calls.length < limit ? undefined : calls.at(-1);
  const next = last === undefined ? null : cursorText({ at: last.closedAt.getTime(), id: last.callId });
  const items = calls.map(callItem);
  if (!wantsCsv(c)) return c.json({ by: 'call', ...rangeText(range), items, next });
  const reply = csvReply(
    c,
    'usage-by-call',
    csvOf(
      [...CALL, 'cost_usd'],
      items.map((item) => rowOf([...CALL, 'cost_usd'], item)),
    ),
  );
  if (next !== null) reply.headers.set('link', `<${nextUrl(c, range, next)}>; rel="next"`);
  return reply;
}

const CALL = [
  'call_id',
  'kind',
  'opened_at',
  'closed_at',
  'chute_id',
  'version',
  'key_id',
  'state',
  'code',
  'attempts',
  'tokens_in',
  'cached_in',
  'tokens_out',
  'seconds',
  'price_version',
  'hold_nanousd',
  'cost_nanousd',
] as const;

type Item = Record<string, string | number>;

function sumItem(by: db.UsageBy, sum: db.UsageSum): Item {
  const bucket = sum.bucket ?? '';
  return { ...(by === 'day' ? { day: bucket } : { [`${by}_id`]: bucket, name: sum.name }), ...sumOf(sum) };
}

function sumOf(sum: db.UsageSum): Record<(typeof SUMS)[number], string | number> {
  return {
    calls: sum.calls,
    errors: sum.errors,
    tokens_in: sum.tokensIn,
    cached_in: sum.cachedIn,
    tokens_out: sum.tokensOut,
    seconds: sum.ms / 1000,
    cost_nanousd: sum.costNanousd.toString(),
  };
}

function callItem(call: db.RecordedCall): Record<(typeof CALL)[number], string | number> {
  const sum = (field: 'tokensIn' | 'cachedIn' | 'tokensOut' | 'lastByteMs') => call.tries.reduce((all, row) => all + (row[field] ?? 0), 0);
  return {
    call_id: call.callId,
    kind: call.kind,
    opened_at: call.openedAt.toISOString(),
    closed_at: call.closedAt.toISOString(),
    chute_id: call.chuteId,
    version: call.version,
    key_id: call.keyId,
    state: call.state,
    code: call.code,
    attempts: call.attempts,
    tokens_in: sum('tokensIn'),
    cached_in: sum('cachedIn'),
    tokens_out: sum('tokensOut'),
    seconds: sum('lastByteMs') / 1000,
    price_version: call.priceVersion,
    hold_nanousd: call.holdNanousd.toString(),
    cost_nanousd: call.costNanousd.toString(),
  };
}

function rowOf(head: readonly string[], item: Item): (string | number)[] {
  return head.map((name) => (name === 'cost_usd' ? usdText(BigInt(item['cost_nanousd'] ?? 0)) : (item[name] ?? '')));
}

function readBy(by: string): db.UsageBy | 'call' {
  if (by === 'chute' || by === 'key' || by === 'day' || by === 'call') return by;
  throw new RipcordError('invalid_request', { message: 'by: chute, key, day or call is expected.', param: 'by' });
}

function wantsCsv(c: Ctx): boolean {
  const format = c.req.query('format');
  if (format === 'csv' || format === 'json') return format === 'csv';
  if (format !== undefined) throw new RipcordError('invalid_request', { message: 'format: csv or json is expected.', param: 'format' });
  return /^text\/csv\b/i.test(c.req.header('accept')?.trim() ?? '');
}

function csvReply(c: Ctx, name: string, text: string): Response {
  return c.body(text, 200, {
    'content-type': 'text/csv; charset=utf-8; header=present',
    'content-disposition': `attachment; filename="${name}.csv"`,
    'cache-control': 'no-store',
  });
}

/** The range as it was read: a page that is asked for later must not be of another one. */
function nextUrl(c: Ctx, range: Range, next: string): string {
  const limit = c.req.query('limit');
  const query = new URLSearchParams({
    by: 'call',
    format: 'csv',
    ...rangeText(range),
    ...(limit === undefined ? {} : { limit }),
    before: next,
  });
  return `${c.env.PUBLIC_ORIGIN}/accounts/me/usage?${query.toString()}`;
}

function rangeText({ from, to }: Range) {
  return { from: from.toISOString(), to: to.toISOString() };
}
