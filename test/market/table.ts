/** Figures side by side, with ours as a share of the others. */
import type { Figures } from './figures.ts';

const ROWS: readonly [keyof Figures, string][] = [
  ['calls', 'calls'],
  ['coldStarts', 'calls to a cold chute'],
  ['coldP50', 'wait of those, p50, s'],
  ['coldP95', 'wait of those, p95, s'],
  ['lost', 'calls that gave up, share'],
  ['switches', 'switches per GPU-day'],
  ['starts', 'starts per GPU-day'],
  ['held', 'GPU time with an instance'],
  ['busy', 'GPU time with a call'],
  ['usdGpuHour', 'USD per GPU-hour'],
  ['starvedHours', 'longest hunger, h'],
  ['doubles', 'double grants'],
  ['concentrated', 'chutes of one owner, share'],
];

/** The first of the figures is ours. */
export function table(names: readonly string[], figures: readonly Figures[]): string {
  const [ours, ...others] = figures;
  const head = ['', ...names, ...names.slice(1).map((name) => `${names[0]}/${name}`)];
  const lines = ROWS.map(([key, text]) => [
    text,
    ...figures.map((f) => String(f[key])),
    ...others.map((other) => (other[key] === 0 || ours === undefined ? '–' : (ours[key] / other[key]).toFixed(2))),
  ]);
  return [head, ...lines].map((cells) => `| ${cells.map((c, i) => (i === 0 ? c.padEnd(28) : c.padStart(12))).join(' | ')} |`).join('\n');
}
