/**
 * The challenges there are, their sizes, windows and how often they come: one table, public, named by a version that every
 * epoch's file carries. Sizes and tolerances: docs/challenges.md.
 */

/** Tests that the edge relays. Canaries and `interfere` are calls of each judge's own; `rtt` is measured by the edge all the time. */
export const CHALLENGE_KINDS = ['pow.mm', 'pow.mem', 'fs', 'weights'] as const;
export type ChallengeKind = (typeof CHALLENGE_KINDS)[number];

/** Challenges of a device; the others are of an instance. */
export type DeviceChallenge = 'pow.mm' | 'pow.mem';

/**
 * `pow.mm`: T sequential products of n×n matrices with 4-bit entries. A leaf sums up one row over a tile of W columns.
 * `opened` steps S are opened, at `rows` rows R each. One row a step: whoever leaves out whole steps is found as surely as one who
 * leaves out rows.
 */
export interface MmProfile {
  n: number;
  tile: number;
  opened: number;
  rows: number;
}

/** `pow.mem`: pages of `chain` elements of 64 bytes; `lanes` walkers make `steps` dependent reads. */
export interface MemProfile {
  chain: number;
  lanes: number;
  steps: number;
  checkpoints: number;
  /** Lane segments that are opened. */
  opened: number;
}

export const MM_PROFILES = {
  /** For tests and for the CPU: a step is 2·128³ operations. */
  'mm-128': { n: 128, tile: 32, opened: 16, rows: 1 },
  'mm-512': { n: 512, tile: 64, opened: 16, rows: 1 },
  /** GPUs: 1.0995 TFLOP a step. */
  'mm-8192': { n: 8192, tile: 1024, opened: 16, rows: 1 },
} as const satisfies Record<string, MmProfile>;
export type MmProfileName = keyof typeof MM_PROFILES;

export const MEM_PROFILES = {
  'mem-cpu': { chain: 16, lanes: 64, steps: 256, checkpoints: 16, opened: 8 },
  'mem-gpu': { chain: 64, lanes: 131_072, steps: 256, checkpoints: 16, opened: 8 },
} as const satisfies Record<string, MemProfile>;
export type MemProfileName = keyof typeof MEM_PROFILES;

/**
 * What a class of device is tested with and paid by. A device is of the class its proven rate puts it in, whatever it calls itself:
 * names are shown and never trusted.
 */
export interface DeviceClass {
  name: string;
  kind: 'cpu' | 'gpu';
  mm: MmProfileName;
  mem: MemProfileName;
  /** 10⁶ multiply-adds per second of a whole device of the class; the most that is paid. */
  rate: number;
  /** MiB. */
  memoryMb: number;
  /** Weight of one second of a whole device in the score. 0: it earns no capacity. */
  units: number;
  /** When a proof is in time, in thousandths of what a whole device of the class takes. */
  window: { least: number; most: number };
}

/** Seconds a proof should take on a whole device; the number of steps follows from the class's rate. */
export const EXPECTED_MS = 4_000;

/** Milliseconds that a proof may come later than its class's window, for what is not the device's doing. */
export const WINDOW_SLACK_MS = 100;

const GPU_WINDOW = { least: 500, most: 1_250 };
/** Any machine will do: it is paid by the rate it proves. */
const CPU_WINDOW = { least: 10, most: 60_000 };

/** Bounds of a challenge on its way. */
export const CHALLENGE_LIMITS = {
  /** Bytes of an opening: 80 KiB of `pow.mm` at its largest, 32 leaves of 4 KiB with their paths of `fs`. */
  openingBytes: 262_144,
  /** Milliseconds from the seed to the commit, and from the sample to the opening. */
  commitMs: 60_000,
  openMs: 30_000,
  /** Milliseconds after the seed's round came out by which it must be sent: who watches the beacon itself could begin at once. */
  seedLateMs: 5_000,
  /** Milliseconds from the seed to the leaves of files, as a disk and an uplink need them; later is late. */
  filesMs: 1_500,
  /** Milliseconds of round trip that are credited at most, of the least that was measured in 24 h. */
  rttCreditMs: 300,
  /** Challenges of one agent that run at once; the others of a flash wait their turn for the upload only. */
  runningPerAgent: 64,
  /** Repeats out of turn that all judges together may ask of one device in an hour, one judge of it, and one judge of all devices. */
  repeatsPerDeviceHour: 3,
  repeatsPerJudgeDeviceHour: 2,
  repeatsPerJudgeHour: 600,
} as const;

/** How often, in slots; each a mean, drawn by the beacon. 0: never. */
export interface Cadence {
  /** Seconds. Every slot has one draw; an epoch is a whole number of slots. */
  slotSeconds: number;
  /** Rounds of the beacon from a slot's begin to the round that seeds its challenges. */
  leadRounds: number;
  /** All devices at once. */
  flash: number;
  mem: number;
  fs: number;
  weights: number;
  /** Slots after a device's first one in which it is tested anyway. */
  newcomer: readonly number[];
}

/** What a network goes by. `hash` of it is in every epoch's file. */
export interface Suite {
  name: 'mainnet' | 'development';
  expectedMs: number;
  cadence: Cadence;
  classes: readonly DeviceClass[];
}

const CPU: DeviceClass = { name: 'cpu', kind: 'cpu', mm: 'mm-128', mem: 'mem-cpu', rate: 1_000, memoryMb: 0, units: 0, window: CPU_WINDOW };

/** Rates: half of the fp16 FLOP/s that subnet 27 publishes for its fleet, as multiply-adds (trust note §1.3); not measured here. */
const GPUS: readonly DeviceClass[] = [
  gpu('h200', 305_000_000, 144_384, 3_600),
  gpu('h100', 285_000_000, 81_920, 2_800),
  gpu('a100', 119_500_000, 81_920, 1_600),
  gpu('l40s', 85_500_000, 49_152, 950),
  gpu('4090', 78_500_000, 24_576, 450),
  gpu('3090', 33_000_000, 24_576, 250),
  gpu('a5000', 30_000_000, 24_576, 240),
  gpu('l4', 25_500_000, 24_576, 240),
  gpu('a6000', 24_250_000, 49_152, 480),
];

export const MAINNET: Suite = {
  name: 'mainnet',
  expectedMs: EXPECTED_MS,
  cadence: { slotSeconds: 60, leadRounds: 10, flash: 360, mem: 1_440, fs: 120, weights: 360, newcomer: [1, 3] },
  classes: [...GPUS, CPU],
};

/** One machine, its CPU paid, a test every few seconds: so that people see in a minute what takes a day. */
export const DEVELOPMENT: Suite = {
  name: 'development',
  expectedMs: 125,
  cadence: { slotSeconds: 10, leadRounds: 1, flash: 3, mem: 12, fs: 6, weights: 6, newcomer: [1] },
  // More than a thread of today's machines does, so that a faster one earns more.
  classes: [...GPUS, { ...CPU, rate: 8_000, units: 100, window: { least: 10, most: 240_000 } }],
};

/** The suite of a network by its name; mainnet's where none is named. */
export function suiteOf(name: string | undefined): Suite {
  return name === 'development' ? DEVELOPMENT : MAINNET;
}

/** The class that a device is tested as, by what it says of itself; what it is paid as follows from what it proves. */
export function classFor(suite: Suite, device: { kind: 'cpu' | 'gpu'; name: string; memoryMb: number }): DeviceClass | null {
  const own = suite.classes.filter((c) => c.kind === device.kind);
  const name = device.name.toLowerCase();
  return own.find((c) => name.includes(c.name)) ?? own.at(-1) ?? null;
}

/** Steps T of a `pow.mm` that takes a whole device of the class the expected time. */
export function mmSteps(suite: Suite, of: DeviceClass): number {
  const { n } = MM_PROFILES[of.mm];
  return Math.max(4, Math.round((suite.expectedMs * of.rate * 1000) / n ** 3));
}

function gpu(name: string, rate: number, memoryMb: number, units: number): DeviceClass {
  return { name, kind: 'gpu', mm: 'mm-8192', mem: 'mem-gpu', rate, memoryMb, units, window: GPU_WINDOW };
}
