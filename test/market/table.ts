/** Figures side by side, with ours as a share of the others. */
import type { Figures } from './figures.ts';

const ROWS: readonly [(f: Figures) => number, string][] = [
  [(f) => f.calls, 'calls'],
  [(f) => f.coldStarts, 'calls to a cold chute'],
  [(f) => f.coldP50, 'wait of those, p50, s'],
  [(f) => f.coldP95, 'wait of those, p95, s'],
  [(f) => f.slow.floorP95, 'the least it could be, s'],
  [(f) => f.slow.claim, 'slowest tenth: for a miner, s'],
  [(f) => f.slow.load, '… for its start, s'],
  [(f) => f.slow.queue, '… for a slot, s'],
  [(f) => f.slow.slowUncached, '… where the model was not'],
  [(f) => f.slow.uncached, 'of all, where it was not'],
  [(f) => f.lost, 'calls that gave up, share'],
  [(f) => f.switches, 'switches per GPU-day'],
  [(f) => f.starts, 'starts per GPU-day'],
  [(f) => f.held, 'GPU time with an instance'],
  [(f) => f.busy, 'GPU time with a call'],
  [(f) => f.usdGpuHour, 'USD per GPU-hour'],
  [(f) => f.starvedHours, 'longest hunger, h'],
  [(f) => f.doubles, 'double grants'],
  [(f) => f.concentrated, 'chutes of one owner, share'],
];

/** The first of the figures is ours. */
export function table(names: readonly string[], figures: readonly Figures[]): string {
  const [ours, ...others] = figures;
  const head = ['', ...names, ...names.slice(1).map((name) => `${names[0]}/${name}`)];
  const lines = ROWS.map(([of, text]) => [
    text,
    ...figures.map((f) => String(of(f))),
    ...others.map((other) => (of(other) === 0 || ours === undefined ? '–' : (of(ours) / of(other)).toFixed(2))),
  ]);
  return [head, ...lines].map((cells) => `| ${cells.map((c, i) => (i === 0 ? c.padEnd(30) : c.padStart(12))).join(' | ')} |`).join('\n');
}
