/** What a run is measured by. */
import { coldFigures, type ColdCall, type ColdFigures } from './cold.ts';

export interface Figures {
  agents: number;
  gpus: number;
  chutes: number;
  hours: number;
  calls: number;
  coldStarts: number;
  coldP50: number;
  coldP95: number;
  /** What the waits of the slowest are made of. */
  slow: ColdFigures;
  /** Share of calls that gave up waiting. */
  lost: number;
  /** Instances given up for another offer, and all starts, per GPU and day. */
  switches: number;
  starts: number;
  /** Share of GPU time with an instance, and with a busy one. */
  held: number;
  busy: number;
  /** USD that calls paid per GPU-hour there was. */
  usdGpuHour: number;
  /** Longest hours that a miner with nothing to do asked in vain. */
  starvedHours: number;
  /** Grants beyond what a chute wanted, and devices with two instances. */
  doubles: number;
  /** Share of looks at chutes with two or more instances where one owner had all, though another had room. */
  concentrated: number;
}

export class Tally {
  readonly cold: ColdCall[] = [];
  calls = 0;
  lost = 0;
  switches = 0;
  starts = 0;
  heldMs = 0;
  busyMs = 0;
  gpuMs = 0;
  paid = 0;
  starvedMs = 0;
  doubles = 0;
  looks = 0;
  concentrated = 0;

  figures(of: Pick<Figures, 'agents' | 'gpus' | 'chutes' | 'hours'>): Figures {
    const waits = this.cold.map((c) => c.waited).sort((a, b) => a - b);
    const days = this.gpuMs / 86_400_000;
    return {
      ...of,
      calls: this.calls,
      coldStarts: waits.length,
      coldP50: at(waits, 0.5),
      coldP95: at(waits, 0.95),
      slow: coldFigures(this.cold),
      lost: round(this.lost / Math.max(1, this.calls)),
      switches: round(this.switches / days),
      starts: round(this.starts / days),
      held: round(this.heldMs / this.gpuMs),
      busy: round(this.busyMs / this.gpuMs),
      usdGpuHour: round(this.paid / 1e9 / (this.gpuMs / 3_600_000)),
      starvedHours: round(this.starvedMs / 3_600_000),
      doubles: this.doubles,
      concentrated: round(this.concentrated / Math.max(1, this.looks)),
    };
  }
}

/** Seconds. */
function at(sorted: readonly number[], share: number): number {
  return round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) / 1000);
}

function round(x: number): number {
  return Math.round(x * 1000) / 1000;
}
