/** Small worlds with a demand that stands still, run until they are steady, beside the best assignment there is. */
import type { Device } from '#protocol';
import { Random } from '../sim/random.ts';
import { catalogue } from './catalogue.ts';
import { Economy } from './economy.ts';
import { machine } from './hardware.ts';
import { mostGpus, type Wish } from './optimum.ts';
import type { PolicyName } from './policies.ts';

const HOUR = 3_600_000;
const AGENTS = 4;
const MOST_GPUS = 8;
const CHUTES = 5;

/** GPUs with a wanted instance after an hour, and the most there could be. */
export function runSmall(seed: number, policy: PolicyName): { used: number; best: number } {
  const random = new Random(seed);
  let machines: Device[][];
  do machines = Array.from({ length: AGENTS }, () => machine(random));
  while (machines.flat().length > MOST_GPUS);
  const models = catalogue(machines, { chutes: CHUTES, fill: 1, random, able: 1 });
  const wishes: Wish[] = models.map((model) => ({ model, instances: random.int(1, 3) }));
  const economy = new Economy(machines, models, seed, policy);
  for (const [i, { model, instances }] of wishes.entries()) {
    const chute = economy.chutes[i];
    // They come one after the other and stay: what came first has its place when the next asks.
    const from = random.int(0, 20 * 60_000);
    for (let k = 0; k < instances * model.config.concurrency; k++) economy.clock.after(from + k, () => chute?.call(100 * HOUR));
  }
  economy.run(HOUR, 0);
  const used = economy.miners.flatMap((m) => [...m.running.values()]).reduce((sum, r) => sum + (r.busy > 0 ? r.devices.length : 0), 0);
  return { used, best: mostGpus(machines, wishes) };
}

/** Over many worlds: all GPUs used, as a share of all that could be, and the worst world. */
export function smallWorlds(from: number, count: number, policy: PolicyName): { share: number; worst: number } {
  const worlds = Array.from({ length: count }, (_, i) => runSmall(from + i, policy));
  const sum = (of: 'used' | 'best') => worlds.reduce((n, w) => n + w[of], 0);
  const round = (x: number) => Math.round(x * 1000) / 1000;
  return { share: round(sum('used') / sum('best')), worst: round(Math.min(...worlds.map((w) => w.used / Math.max(1, w.best)))) };
}
