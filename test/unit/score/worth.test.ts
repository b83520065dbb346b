/** What devices are paid as, and that no set of names is worth more than the device behind it. */
import { describe, expect, test } from 'vitest';
import { DEVELOPMENT, MAINNET, type DeviceClass } from '#protocol/challenge/index.ts';
import { worthOf } from '../../../validator-cron/score/worth.ts';

const gpus = MAINNET.classes.filter((c) => c.kind === 'gpu');

describe('a device is paid as what it proves', () => {
  test.each(gpus.map((c) => [c.name, c] as const))('a whole %s', (name, c) => {
    expect(worthOf(MAINNET, c)).toEqual({ class: name, units: c.units * 1000 });
  });

  test.each([
    ['an H100 at nine tenths', 256_500_000, 81_920, 'h100', 2_520_000],
    ['an H100 too slow for its window: as an A100', 220_000_000, 81_920, 'a100', 1_600_000],
    ['the rate of an H100 in 24 GiB', 285_000_000, 24_576, '4090', 450_000],
    ['the memory of an H100 at the rate of nothing', 1_000_000, 81_920, null, 0],
    ['no memory proven', 285_000_000, 0, null, 0],
  ])('%s', (_, rate, memoryMb, name, units) => {
    expect(worthOf(MAINNET, { kind: 'gpu', rate, memoryMb })).toEqual({ class: name, units });
  });

  test('a CPU is paid on development networks, by its rate, and nothing on mainnet', () => {
    expect(worthOf(MAINNET, { kind: 'cpu', rate: 1_000, memoryMb: 0 })).toEqual({ class: null, units: 0 });
    expect(worthOf(DEVELOPMENT, { kind: 'cpu', rate: 2_000, memoryMb: 0 })).toEqual({ class: 'cpu', units: 25_000 });
    expect(worthOf(DEVELOPMENT, { kind: 'cpu', rate: 9_999, memoryMb: 0 })).toEqual({ class: 'cpu', units: 100_000 });
  });

  test('more rate and more memory never pay less', () => {
    const rates = [0, 1, ...gpus.flatMap((c) => [0.7, 0.78, 0.79, 0.8, 0.9, 1, 1.1].map((f) => Math.floor(c.rate * f)))].toSorted(
      (a, b) => a - b,
    );
    const memories = [0, ...gpus.flatMap((c) => [c.memoryMb - 1, c.memoryMb])].toSorted((a, b) => a - b);
    for (const memoryMb of memories) {
      let before = 0;
      for (const rate of rates) {
        const { units } = worthOf(MAINNET, { kind: 'gpu', rate, memoryMb });
        expect(units).toBeGreaterThanOrEqual(before);
        before = units;
      }
    }
    for (const rate of rates) {
      const paid = memories.map((memoryMb) => worthOf(MAINNET, { kind: 'gpu', rate, memoryMb }).units);
      expect(paid).toEqual(paid.toSorted((a, b) => a - b));
    }
  });
});

/** P13. A flash bounds the sum of the rates and of the memory of all names; each may come at the last moment of its window. */
test.each(gpus.map((c) => [c.name, c] as const))('no bundle of names is worth more than one %s', (_, whole) => {
  expect(bestBundle(whole.rate, whole.memoryMb, 0)).toBeLessThanOrEqual(whole.units * 1000);
});

/** The most that names can be paid that share a rate and a memory; by class, as many as fit. */
function bestBundle(rate: number, memoryMb: number, from: number): number {
  const c = gpus[from];
  if (c === undefined) return 0;
  let best = 0;
  const least = leastRate(c);
  for (let n = 0; n * least <= rate && n * c.memoryMb <= memoryMb; n += 1) {
    // At the least rate each, and the rate that is left spread over them.
    for (const each of new Set([least, Math.min(c.rate, n === 0 ? least : Math.floor(rate / n))])) {
      if (n * each > rate) continue;
      const paid = n * worthAs(c, each);
      best = Math.max(best, paid + bestBundle(rate - n * each, memoryMb - n * c.memoryMb, from + 1));
    }
  }
  return best;
}

function leastRate(c: DeviceClass): number {
  return Math.ceil((c.rate * 4_000) / 5_100);
}

function worthAs(c: DeviceClass, rate: number): number {
  return worthOf(MAINNET, { kind: 'gpu', rate, memoryMb: c.memoryMb }).units;
}
