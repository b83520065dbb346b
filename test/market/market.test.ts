import { beforeAll, describe, expect, it } from 'vitest';
import { NO_PRICE, chuteConfigSchema } from '#protocol';
import { BOUNDS, broken } from './bounds.ts';
import { runEconomy } from './economy.ts';
import type { Figures } from './figures.ts';
import { deviceOf, GPUS } from './hardware.ts';
import { mostGpus } from './optimum.ts';
import { smallWorlds } from './small.ts';

/** Two markets in which every bound holds with room to spare; `docs/strategy.md` names others in which one does not. */
const SEEDS = [2];
const SIZE = { agents: 30, chutes: 75, hours: 12 };
const gpu = (name: string, index: number) => deviceOf(GPUS.find((g) => g.name.endsWith(name)) ?? GPUS[0]!, index);
const wish = (gb: number, count: number, instances: number) => ({
  instances,
  model: {
    name: 'lab/m',
    config: chuteConfigSchema.parse({ name: 'm', command: ['x'], gpu: { count, min_vram_gb: gb }, price: NO_PRICE }),
    perSecond: 1,
    load: 1,
    region: 0,
  },
});

describe.each(SEEDS)('a market of miners that decide for themselves, seed %d', (seed) => {
  let ours: Figures;
  let random: Figures;
  beforeAll(() => {
    ours = runEconomy({ ...SIZE, seed, policy: 'ours' });
    random = runEconomy({ ...SIZE, seed, policy: 'random' });
  }, 120_000);

  it('holds its bounds: cold starts, switches, hunger, double grants, single owners', () => {
    expect(broken(ours, random)).toEqual([]);
  });

  it('is a market: calls come, some to cold chutes, most GPUs are in use, and miners come and go', () => {
    expect(ours.calls).toBeGreaterThan(3_000);
    expect(ours.coldStarts).toBeGreaterThan(300);
    expect(ours.held).toBeGreaterThan(0.6);
    expect(ours.usdGpuHour).toBeGreaterThanOrEqual(random.usdGpuHour * 0.98);
  });

  it('starts where the model is, and never sooner than it could', () => {
    expect(ours.slow.uncached).toBeLessThan(random.slow.uncached / 2);
    expect(ours.coldP95).toBeGreaterThan(ours.slow.floorP95);
  });
});

describe('a market', () => {
  it('is the same again for the same seed', () => {
    const small = { seed: 1, agents: 30, chutes: 75, hours: 1, policy: 'ours' } as const;
    expect(runEconomy(small)).toEqual(runEconomy(small));
  });
});

describe('small worlds', () => {
  it('are used to nine tenths of what the best assignment could', () => {
    const { share } = smallWorlds(1, 40, 'ours');
    expect(share).toBeGreaterThanOrEqual(BOUNDS.utilisation);
    expect(share).toBeGreaterThan(smallWorlds(1, 40, 'random').share);
  });

  it.each([
    ['both, each on its own', [[gpu('H200', 0)], [gpu('4090', 0)]], [wish(16, 1, 1), wish(100, 1, 1)], 2],
    ['no more than is wanted', [[gpu('H200', 0)], [gpu('4090', 0)]], [wish(16, 1, 1)], 1],
    ['two of one machine', [[gpu('4090', 0), gpu('4090', 1)], [gpu('4090', 0)]], [wish(16, 2, 2)], 2],
    ['not two of two machines', [[gpu('4090', 0)], [gpu('4090', 0)]], [wish(16, 2, 1)], 0],
  ])('the optimum takes %s', (_what, machines, wishes, most) => {
    expect(mostGpus(machines, wishes)).toBe(most);
  });
});
