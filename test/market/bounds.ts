/** What the market promises, and how a run is held to it. */
import type { Figures } from './figures.ts';

export const BOUNDS = {
  /** Wait of calls to a cold chute, p95, as a share of what random choice comes to. */
  coldShare: 0.5,
  switchesPerGpuDay: 2,
  starvedHours: 6,
  /** Of an offline optimum, over small worlds. */
  utilisation: 0.9,
  doubles: 0,
  /** Chutes with several instances of which one owner has all though another has room. */
  concentrated: 0.01,
} as const;

/** What is broken, in words; empty: nothing. */
export function broken(ours: Figures, random: Figures): string[] {
  const most: [string, number, number][] = [
    ['cold start p95, s', ours.coldP95, BOUNDS.coldShare * random.coldP95],
    ['switches per GPU-day', ours.switches, BOUNDS.switchesPerGpuDay],
    ['hours starved', ours.starvedHours, BOUNDS.starvedHours],
    ['double grants', ours.doubles, BOUNDS.doubles],
    ['share of chutes with one owner', ours.concentrated, BOUNDS.concentrated],
  ];
  return most.filter(([, is, may]) => is > may).map(([what, is, may]) => `${what}: ${is} is more than ${may}`);
}
