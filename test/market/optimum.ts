/**
 * The best that small worlds allow, by looking at every assignment: machine after machine, device after device, each left
 * empty or given to a chute that fits and is still wanted. What is left of the wishes names a position; none is solved twice.
 */
import type { Device } from '#protocol';
import { deviceFits } from '#protocol';
import type { Model } from './catalogue.ts';

export interface Wish {
  model: Model;
  /** Instances it wants. */
  instances: number;
}

/** Most GPUs that can serve wanted instances at one time. */
export function mostGpus(machines: readonly (readonly Device[])[], wishes: readonly Wish[]): number {
  const known = new Map<string, number>();
  const solve = (at: number, free: readonly Device[], left: readonly number[]): number => {
    const [device, ...others] = free;
    if (device === undefined) return at + 1 < machines.length ? solve(at + 1, machines[at + 1] ?? [], left) : 0;
    const key = `${at} ${free.map((d) => d.id).join()} ${left.join()}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    let best = solve(at, others, left);
    for (const [i, { model }] of wishes.entries()) {
      const need = model.config.gpu;
      const wanted = left[i] ?? 0;
      if (need === undefined || wanted === 0 || !deviceFits(need, device)) continue;
      // Devices of one name are alike: with the first of them go the next ones.
      const mates = others.filter((d) => d.name === device.name).slice(0, need.count - 1);
      if (mates.length < need.count - 1) continue;
      const rest = others.filter((d) => !mates.includes(d));
      best = Math.max(best, need.count + solve(at, rest, left.with(i, wanted - 1)));
    }
    known.set(key, best);
    return best;
  };
  return solve(
    0,
    machines[0] ?? [],
    wishes.map((w) => w.instances),
  );
}
