/**
 * Do an instance's answers and its device's work slow each other down (pure, whole numbers)? On one device they do; where calls are
 * passed on, or answered by another machine, neither feels the other. Both are held against their own measure without the other.
 */
import type { Interference, Load, Reason } from '#protocol/audit.ts';
import { median } from '../median.ts';

/** Thousandths that may be left of the rate of proofs, and of tokens. Not calibrated on GPUs. */
const RATE_LEFT = 750;
const TOKENS_LEFT = 850;
/** Proofs without load that a device must have. */
const LEAST_PROOFS = 3;
/** Milliseconds of load before the work, and during it; and tokens before it. */
const LEAST_BEFORE_MS = 2_000;
const LEAST_DURING_MS = 1_000;
const LEAST_TOKENS = 40;
/** Milliseconds until all answers of a load are under way. */
const WARM_MS = 2_000;

type Pace = Interference['before'];
type End = Interference['end'];

/** A device's work under load. */
export interface Worked {
  device: string;
  /** Rates of recent proofs without load, and this one's. */
  idle: readonly number[];
  loaded: number;
  /** Unix milliseconds: the seed was sent; the commit came. */
  sentAt: number;
  committedAt: number;
}

/** Which device holds the instance nobody says, so the one that was slowed most counts. Devices without a measure are left out. */
export function interference(load: Load, devices: readonly Worked[]): Interference {
  const measured = devices.map((of) => ofDevice(load, of)).filter(({ end }) => end !== 'unmeasured');
  const together = measured.filter(({ end }) => end === 'together');
  const [slowest] = (together.length > 0 ? together : measured).toSorted((a, b) => left(a) - left(b));
  return slowest ?? UNMEASURED;
}

const NO_PACE: Pace = { tokens: 0, ms: 0 };
const UNMEASURED: Interference = { end: 'unmeasured', device: null, idle: 0, loaded: 0, before: NO_PACE, during: NO_PACE };

function ofDevice(load: Load, { device, idle, loaded, sentAt, committedAt }: Worked): Interference {
  const before = paceOf(load, load.from + WARM_MS, sentAt);
  const during = paceOf(load, sentAt, committedAt);
  const measured = { device, idle: idle.length < LEAST_PROOFS ? 0 : (median(idle) ?? 0), loaded, before, during };
  return { end: endOf(measured), ...measured };
}

function endOf({ idle, loaded, before, during }: Omit<Interference, 'end'>): End {
  const enough = before.ms >= LEAST_BEFORE_MS && before.tokens >= LEAST_TOKENS && during.ms >= LEAST_DURING_MS;
  if (idle === 0 || !enough) return 'unmeasured';
  const slower = loaded * 1_000 <= idle * RATE_LEFT;
  const fewer = during.tokens * before.ms * 1_000 <= before.tokens * during.ms * TOKENS_LEFT;
  return slower && fewer ? 'together' : 'apart';
}

/** Tokens in the steps that lie wholly between two times. */
function paceOf({ from, step, tokens }: Load, since: number, until: number): Pace {
  const first = Math.max(0, Math.ceil((since - from) / step));
  const end = Math.min(tokens.length, Math.floor((until - from) / step));
  if (end <= first) return NO_PACE;
  return { tokens: tokens.slice(first, end).reduce((sum, n) => sum + n, 0), ms: (end - first) * step };
}

/** Thousandths of the idle rate. */
function left({ idle, loaded }: Interference): number {
  return Math.floor((loaded * 1_000) / Math.max(1, idle));
}

/** What the trials of an instance come to that are not settled, the newest last: a fault needs two of three. */
export function settle(ends: readonly End[]): Reason {
  const apart = ends.filter((end) => end === 'apart').length;
  const together = ends.filter((end) => end === 'together').length;
  if (ends.at(-1) === 'unmeasured' || ends.length === 0) return 'unmeasured';
  if (apart >= 2) return 'apart';
  return apart === 0 || together >= 2 ? 'interferes' : 'unconfirmed';
}
