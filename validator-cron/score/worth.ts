/**
 * What a device is paid as (pure): of all classes the one that brings it most, by the rate and the memory it has proven. What it calls
 * itself does not enter, so a wrong name wins nothing.
 */
import { WINDOW_SLACK_MS, type DeviceClass, type Suite } from '#protocol/challenge/index.ts';

export interface Proof {
  kind: DeviceClass['kind'];
  /** 10⁶ multiply-adds per second. */
  rate: number;
  memoryMb: number;
}

export interface Worth {
  class: string | null;
  /** Thousandths of a unit. */
  units: number;
}

/** The first of the table where two bring the same. */
export function worthOf(suite: Suite, proof: Proof): Worth {
  let best: Worth = { class: null, units: 0 };
  for (const c of suite.classes) {
    const units = unitsAs(suite, c, proof);
    if (units > best.units) best = { class: c.name, units };
  }
  return best;
}

/** By its rate up to a whole device of the class; nothing where it is too slow for the class or has not its memory. */
function unitsAs(suite: Suite, c: DeviceClass, proof: Proof): number {
  if (c.kind !== proof.kind || proof.memoryMb < c.memoryMb || proof.rate < leastRate(suite, c)) return 0;
  return Math.floor((c.units * 1000 * Math.min(proof.rate, c.rate)) / c.rate);
}

/** The rate of a proof that comes at the last moment of the class's window. */
function leastRate(suite: Suite, c: DeviceClass): number {
  return Math.floor((c.rate * suite.expectedMs * 1000) / (suite.expectedMs * c.window.most + WINDOW_SLACK_MS * 1000));
}
