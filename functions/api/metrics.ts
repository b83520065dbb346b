/** GET /chutes/{id}/metrics: what a chute's calls were like, for its owner and the owner's Prometheus. From the record alone. */
import { Hono } from 'hono';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { CHUTE_PATHS, owned } from './chute-access.ts';
import { report } from './reports.ts';
import { PROMETHEUS_TYPE, prometheusText, type Family, type Sample } from './prometheus.ts';
import { usdText } from './usd.ts';
import type { Vars } from './vars.ts';

const MINUTE_MS = 60_000;
const WINDOWS: Record<string, number> = { '5m': 5 * MINUTE_MS, '1h': 60 * MINUTE_MS, '24h': 1_440 * MINUTE_MS, '7d': 10_080 * MINUTE_MS };

/** Calls that are looked at; of more, the newest, and the answer says since when. */
const MOST_CALLS = 200_000;

export const metricsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

for (const at of CHUTE_PATHS) {
  /** `?window=5m|1h|24h|7d&by=total|version|miner|region`; `Accept: text/plain` for Prometheus. */
  metricsApi.get(`${at}/metrics`, async (c) => {
    const view = await owned(c, 'read');
    const window = c.req.query('window') ?? '1h';
    const by = readBy(c.req.query('by') ?? 'total');
    const windowMs = Object.hasOwn(WINDOWS, window) ? WINDOWS[window] : undefined;
    if (windowMs === undefined)
      throw new RipcordError('invalid_request', { message: 'window: 5m, 1h, 24h or 7d is expected.', param: 'window' });
    const now = Date.now();
    const from = new Date(now - windowMs);
    const { rows, since } = await report(view.owner, now, () =>
      db.chuteMetrics(db.connect(c.env), { chuteId: view.chute, from, by, most: MOST_CALLS }),
    );
    if (by === 'total' && rows.length === 0) rows.push(NOTHING);
    if (wantsText(c.req.header('accept')))
      return c.body(metricsText(rows, { chute: view.name, window }, by), 200, {
        'content-type': PROMETHEUS_TYPE,
        'cache-control': 'no-store',
      });
    const items = rows.map((row) => ({ ...(by === 'total' ? {} : { [by]: row.name }), ...metricsItem(row) }));
    const range = { from: (since ?? from).toISOString(), to: new Date(now).toISOString() };
    return c.json({ chute_id: view.chute, name: view.name, window, by, ...range, truncated: since !== null, items });
  });
}

const NONE = { p50: null, p95: null };
const NOTHING: db.MetricsRow = {
  name: '',
  calls: 0,
  failed: 0,
  cancelled: 0,
  errors: {},
  retries: 0,
  coldStarts: 0,
  waitedMs: NONE,
  firstByteMs: NONE,
  lastByteMs: NONE,
  tokensPerSecond: null,
  tokensIn: 0,
  cachedIn: 0,
  tokensOut: 0,
  costNanousd: 0n,
};

function metricsItem(row: db.MetricsRow) {
  return {
    calls: row.calls,
    completed: row.calls - row.failed - row.cancelled,
    cancelled: row.cancelled,
    failed: row.failed,
    errors: row.errors,
    retries: row.retries,
    cold_starts: row.coldStarts,
    queue_ms: row.waitedMs,
    first_byte_ms: row.firstByteMs,
    duration_ms: row.lastByteMs,
    tokens_per_second: { p50: row.tokensPerSecond },
    tokens_in: row.tokensIn,
    cached_in: row.cachedIn,
    tokens_out: row.tokensOut,
    cost_nanousd: row.costNanousd.toString(),
  };
}

/** Base units: seconds, tokens, USD. */
function metricsText(rows: readonly db.MetricsRow[], common: { chute: string; window: string }, by: db.MetricsBy): string {
  const labels = (row: db.MetricsRow) => ({ ...common, ...(by === 'total' ? {} : { [by]: row.name }) });
  const family = (name: string, help: string, samplesOf: (row: db.MetricsRow) => Sample[]): Family => ({
    name: `ripcord_${name}`,
    help,
    samples: rows.flatMap((row) => samplesOf(row).map((sample) => ({ ...sample, labels: { ...labels(row), ...sample.labels } }))),
  });
  const one = (name: string, help: string, value: (row: db.MetricsRow) => number | string) =>
    family(name, help, (row) => [{ labels: {}, value: value(row) }]);
  const seconds = (name: string, help: string, of: (row: db.MetricsRow) => db.Percentiles) =>
    family(name, help, (row) => {
      const { p50, p95 } = of(row);
      return [...quantile('0.5', p50), ...quantile('0.95', p95)];
    });
  return prometheusText([
    one('calls', 'Calls that closed in the window; by miner or region: attempts.', (row) => row.calls),
    family('calls_failed', 'Failed calls by error code.', (row) =>
      Object.entries(row.errors).map(([code, value]) => ({ labels: { code }, value })),
    ),
    one('calls_cancelled', 'Calls whose client left.', (row) => row.cancelled),
    one('retries', 'Attempts beyond the first of a call.', (row) => row.retries),
    one('cold_starts', 'Calls that came when no instance was live.', (row) => row.coldStarts),
    seconds('queue_seconds', 'Time a call waited for an instance.', (row) => row.waitedMs),
    seconds('first_byte_seconds', 'Time from dispatch to the first byte.', (row) => row.firstByteMs),
    seconds('duration_seconds', 'Time from dispatch to the last byte.', (row) => row.lastByteMs),
    family('output_tokens_per_second', 'Output tokens per second of one attempt.', (row) =>
      row.tokensPerSecond === null ? [] : [{ labels: { quantile: '0.5' }, value: row.tokensPerSecond }],
    ),
    one('input_tokens', 'Input tokens, cached ones included.', (row) => row.tokensIn),
    one('cached_input_tokens', 'Input tokens that were cached.', (row) => row.cachedIn),
    one('output_tokens', 'Output tokens.', (row) => row.tokensOut),
    one('cost_usd', 'What the calls cost, in USD.', (row) => usdText(row.costNanousd)),
  ]);
}

function quantile(name: string, ms: number | null): Sample[] {
  return ms === null ? [] : [{ labels: { quantile: name }, value: ms / 1000 }];
}

function readBy(by: string): db.MetricsBy {
  if (by === 'total' || by === 'version' || by === 'miner' || by === 'region') return by;
  throw new RipcordError('invalid_request', { message: 'by: total, version, miner or region is expected.', param: 'by' });
}

/** Prometheus asks for OpenMetrics too; it takes what comes. A browser or a client of JSON names neither first. */
function wantsText(accept = ''): boolean {
  return /^(text\/plain|application\/openmetrics-text)\b/i.test(accept.trim());
}
