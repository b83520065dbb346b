/**
 * How often trials are right: the real decision over many trials of instances on their own device and of ones that pass calls on. What a
 * load takes from either is made up here; nobody has measured it on GPUs.
 */
import type { Load } from '#protocol/audit.ts';
import { interference, settle, type Worked } from '../../validator-cron/interfere/decide.ts';
import { Random } from '../sim/random.ts';

/** How much of the rate of proofs and of tokens a load leaves, thousandths from–to. */
interface Behaviour {
  proof: readonly [number, number];
  tokens: readonly [number, number];
}

const UNMOVED = [1_000, 1_000] as const;

export const INSTANCES = {
  /** Generation and proof share one device. */
  honest: { proof: [400, 650], tokens: [400, 750] },
  /** A device with room for both: slowed hardly more than is asked for. */
  roomy: { proof: [600, 740], tokens: [700, 840] },
  /** Calls are passed on to another machine, and to a busy one. */
  reseller: { proof: UNMOVED, tokens: UNMOVED },
  busy_reseller: { proof: UNMOVED, tokens: [500, 1_000] },
} as const satisfies Record<string, Behaviour>;

export interface TrialFigures {
  sessions: number;
  /** Of first trials. */
  apart: number;
  /** Of whole sessions: up to three trials. */
  faults: number;
  merits: number;
}

export function trialsOf(behaviour: Behaviour, sessions: number, seed: number): TrialFigures {
  const figures = { sessions, apart: 0, faults: 0, merits: 0 };
  for (let at = 0; at < sessions; at++) {
    const random = new Random(seed + at);
    const ends: ReturnType<typeof trial>[] = [];
    while (ends.length < 3 && !['interferes', 'apart'].includes(settle(ends))) ends.push(trial(behaviour, random));
    if (ends[0] === 'apart') figures.apart += 1;
    if (settle(ends) === 'apart') figures.faults += 1;
    if (settle(ends) === 'interferes') figures.merits += 1;
  }
  return figures;
}

const STEP_MS = 250;
const SEED_MS = 8_000;
const ALL_MS = 20_000;
const RATE = 285_000_000;
const WORK_MS = 4_000;

/** Recent proofs spread by 3 %, one in five while callers were served; tokens of a step spread by 15 %. */
function trial({ proof, tokens }: Behaviour, random: Random) {
  const idle = Array.from({ length: 12 }, () => spread(random, RATE, 30) * (random.chance(0.2) ? random.int(700, 1_000) / 1_000 : 1)).map(
    Math.floor,
  );
  const rate = spread(random, Math.floor((RATE * random.int(...proof)) / 1_000), 30);
  const workedMs = Math.floor((WORK_MS * RATE) / rate);
  const usual = random.int(20, 60);
  const left = random.int(...tokens);
  const counts = Array.from({ length: ALL_MS / STEP_MS }, (_, step) => {
    const works = step * STEP_MS >= SEED_MS && step * STEP_MS < SEED_MS + workedMs;
    return spread(random, works ? Math.floor((usual * left) / 1_000) : usual, 150);
  });
  const load: Load = { from: 0, step: STEP_MS, tokens: counts, proofs: ['chl_1'] };
  const worked: Worked = { device: 'agt_1/gpu0', idle, loaded: rate, sentAt: SEED_MS, committedAt: SEED_MS + workedMs };
  return interference(load, [worked]).end;
}

/** Around a middle, by so many thousandths: the sum of six dice is round enough. */
function spread(random: Random, middle: number, thousandths: number): number {
  const dice = Array.from({ length: 6 }, () => random.next() - 0.5).reduce((sum, n) => sum + n, 0);
  return Math.max(0, Math.round(middle * (1 + (dice * Math.SQRT2 * thousandths) / 1_000)));
}

/** Everything at once, for `npm run test:long -- --only interfere`. */
export function interferenceFigures(sessions: number, seed: number): Record<keyof typeof INSTANCES, TrialFigures> {
  const of = (name: keyof typeof INSTANCES) => trialsOf(INSTANCES[name], sessions, seed);
  return { honest: of('honest'), roomy: of('roomy'), reseller: of('reseller'), busy_reseller: of('busy_reseller') };
}
