/** `node test/economy/run.ts [--stride N] [--json]`: every trick at every N-th point of the grid; exits 1 if one pays anywhere. */
import { parseArgs } from 'node:util';
import { gains, points, type Point } from './tricks.ts';

export interface Economy {
  points: number;
  /** By trick: the most that it brings anywhere, USD an hour. */
  best: Record<string, number>;
  /** Where a trick pays by more than rounding. */
  pays: { trick: string; gain: number; point: Point }[];
}

/** USD an hour that rounding may come to, where an hour's emission is 2,000. */
const ROUNDING = 0.000_1;

export function economy(stride: number): Economy {
  const result: Economy = { points: 0, best: {}, pays: [] };
  for (const point of points(stride)) {
    result.points += 1;
    for (const [trick, gain] of Object.entries(gains(point))) {
      result.best[trick] = Math.max(result.best[trick] ?? -Infinity, gain);
      if (gain > ROUNDING && result.pays.length < 20) result.pays.push({ trick, gain, point });
    }
  }
  return result;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { stride: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } } });
  const found = economy(Number(values.stride));
  if (values.json) console.log(JSON.stringify(found));
  else {
    console.log(`${found.points} points of the grid; the most that a trick brings beside honesty, USD an hour:`);
    for (const [trick, gain] of Object.entries(found.best)) console.log(`  ${trick.padEnd(26)} ${gain.toFixed(6)}`);
    for (const { trick, gain, point } of found.pays) console.log(`${trick} pays ${gain.toFixed(6)} at ${JSON.stringify(point)}`);
  }
  if (found.pays.length > 0) process.exitCode = 1;
}
