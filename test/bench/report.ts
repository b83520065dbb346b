/** Figures of a run → medians, ratios, the lines of the design with their verdicts, a table. Pure. */
import type { Figures } from './context.ts';
import { median } from './stats.ts';
import type { TargetName } from './targets/target.ts';

/** case → target → one entry per round. */
export type Samples = Record<string, Partial<Record<TargetName, Figures[]>>>;

/** The median over rounds, or NaN if it was not measured. */
export function figure(samples: Samples, what: string, target: TargetName, name: string): number {
  return median((samples[what]?.[target] ?? []).map((figures) => figures[name] ?? Number.NaN));
}

/** The median over rounds of one target's figure divided by another's in the same round. */
export function ratio(samples: Samples, what: string, name: string, target: TargetName, peer: TargetName): number {
  const [own, other] = [samples[what]?.[target] ?? [], samples[what]?.[peer] ?? []];
  return median(own.slice(0, other.length).map((figures, i) => (figures[name] ?? Number.NaN) / (other[i]?.[name] ?? Number.NaN)));
}

export interface Row {
  title: string;
  what: string;
  name: string;
  digits: number;
}

export const ROWS: Row[] = [
  { title: 'one call at a time, p50 ms', what: 'single', name: 'p50_ms', digits: 2 },
  { title: 'calls/s at 32 in flight', what: 'parallel', name: 'calls_s', digits: 0 },
  { title: '  p99 ms', what: 'parallel', name: 'p99_ms', digits: 1 },
  { title: '  edge CPU µs per call', what: 'parallel', name: 'edge_us', digits: 0 },
  { title: '  path CPU µs per call', what: 'parallel', name: 'path_us', digits: 0 },
  {
    title: '20 streams x 50 tok/s, edge CPU µs per token',
    what: 'light',
    name: 'edge_us',
    digits: 0,
  },
  { title: '  path CPU µs per token', what: 'light', name: 'path_us', digits: 0 },
  { title: '  tokens per piece', what: 'light', name: 'gathered', digits: 1 },
  { title: '  token p50 ms', what: 'light', name: 'p50_ms', digits: 2 },
  { title: '  token p99 ms', what: 'light', name: 'p99_ms', digits: 1 },
  {
    title: '200 streams x 100 tok/s, share delivered',
    what: 'heavy',
    name: 'delivered',
    digits: 3,
  },
  { title: '  edge CPU µs per token', what: 'heavy', name: 'edge_us', digits: 1 },
  { title: '  path CPU µs per token', what: 'heavy', name: 'path_us', digits: 1 },
  { title: '  tokens per piece', what: 'heavy', name: 'gathered', digits: 1 },
  { title: '  token p50 ms', what: 'heavy', name: 'p50_ms', digits: 1 },
  { title: '  token p99 ms', what: 'heavy', name: 'p99_ms', digits: 0 },
  { title: '512 streams, complete', what: 'wide', name: 'clean', digits: 0 },
  { title: '  tokens lost', what: 'wide', name: 'lost', digits: 0 },
  { title: 'first byte alone, p50 ms', what: 'first-alone', name: 'p50_ms', digits: 2 },
  { title: 'first byte at 100 streams, p50 ms', what: 'first-busy', name: 'p50_ms', digits: 1 },
  { title: '  p99 ms', what: 'first-busy', name: 'p99_ms', digits: 1 },
  { title: 'cancel reaches the engine, p50 ms', what: 'cancel', name: 'p50_ms', digits: 1 },
  { title: '  p99 ms', what: 'cancel', name: 'p99_ms', digits: 1 },
  { title: 'replies of 0.5 MB, MB/s', what: 'large', name: 'mb_s', digits: 0 },
  { title: '  path CPU µs per MB', what: 'large', name: 'path_us', digits: 0 },
];

const IDLE_ROWS: Row[] = [100, 300, 1000, 3000].flatMap((count) => [
  { title: `${count} idle agents, KiB of the edge each`, what: 'idle', name: `kib_${count}`, digits: 0 },
  { title: '  descriptors of the edge each', what: 'idle', name: `fds_${count}`, digits: 2 },
  { title: '  logins/s', what: 'idle', name: `logins_s_${count}`, digits: 0 },
  { title: '  edge CPU µs per login', what: 'idle', name: `login_us_${count}`, digits: 0 },
]);

const BACK_ROWS: Row[] = [
  { title: 'edge killed: first agent back, ms', what: 'idle', name: 'first_back_ms', digits: 0 },
  { title: '  all back, ms', what: 'idle', name: 'all_back_ms', digits: 0 },
];

export interface Line {
  text: string;
  value: number;
  bound: string;
  verdict: 'met' | 'missed' | 'not measured';
}

/** The lines of the design's speed section. */
export function lines(samples: Samples): Line[] {
  const of = (what: string, name: string, target: TargetName = 'ripcord') => figure(samples, what, target, name);
  const line = (text: string, value: number, side: '<=' | '>=', bound: number, unit: string): Line => ({
    text,
    value,
    bound: `${side} ${bound}${unit}`,
    verdict: Number.isNaN(value) ? 'not measured' : (side === '<=' ? value <= bound : value >= bound) ? 'met' : 'missed',
  });
  return [
    line('added p50 at 1 in flight, over the bare relay', of('single', 'p50_ms') - of('single', 'p50_ms', 'floor'), '<=', 0.5, ' ms'),
    line('calls/s at 32 in flight, over Portkey', ratio(samples, 'parallel', 'calls_s', 'ripcord', 'portkey'), '>=', 1.5, ' x'),
    line('edge CPU per token, raw', of('light', 'edge_us'), '<=', 120, ' us'),
    line('edge CPU per token, under load', of('heavy', 'edge_us'), '<=', 25, ' us'),
    line('20,000 tok/s over 200 streams, delivered', of('heavy', 'delivered'), '>=', 0.95, ''),
    line('512 streams without a lost frame', of('wide', 'clean'), '>=', 512, ''),
    line('first byte added, alone (p50)', of('first-alone', 'p50_ms') - of('first-alone', 'p50_ms', 'direct'), '<=', 5, ' ms'),
    line('first byte added, p99 at 100 streams', of('first-busy', 'p99_ms') - of('first-busy', 'p50_ms', 'direct'), '<=', 50, ' ms'),
    line('cancel reaches the engine, p99', of('cancel', 'p99_ms'), '<=', 50, ' ms'),
  ];
}

export function table(samples: Samples, targets: readonly TargetName[]): string {
  const peers = targets.includes('ripcord') ? targets.filter((t) => t === 'floor' || t === 'portkey' || t === 'before') : [];
  const header = ['', ...targets, ...peers.map((peer) => `ripcord / ${peer}`)];
  const measured = (row: Row) => Object.values(samples[row.what] ?? {}).some((rounds) => rounds.some((figures) => row.name in figures));
  const body = [...ROWS, ...IDLE_ROWS, ...BACK_ROWS]
    .filter(measured)
    .map((row) => [
      row.title,
      ...targets.map((target) => show(figure(samples, row.what, target, row.name), row.digits)),
      ...peers.map((peer) => show(ratio(samples, row.what, row.name, 'ripcord', peer), 2)),
    ]);
  return align([header, ...body]);
}

export function lineTable(all: readonly Line[]): string {
  return align(
    all.map((l) => [l.verdict === 'missed' ? 'MISSED' : l.verdict, l.text, show(l.value, 3), l.bound]),
    2,
  );
}

function show(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : value === Number.POSITIVE_INFINITY ? 'never' : '-';
}

/** First column to the left, the rest to the right, as wide as it needs. */
function align(rows: readonly string[][], left = 1): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i < left ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
