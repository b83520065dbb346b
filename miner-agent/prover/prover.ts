/**
 * What proves a device. One of these per kind of device and helper: the CPU's is here, a GPU's is one more file that `provers.ts`
 * names. See docs/provers.md.
 */
import type { Work } from '#protocol/challenge/work.ts';

/** Work that is done and bound to by its root. */
export interface Proof {
  root: string;
  /** The samples that this pulse's randomness (hex) names. */
  open: (randomness: string) => Promise<Uint8Array>;
  /** Nothing of it will be asked any more. */
  drop: () => void;
}

export interface Prover {
  kind: 'cpu' | 'gpu';
  /** Its name, as commits carry it: `cpu`, `triton`, … */
  helper: string;
  /** What it can be tested with, and the most steps of each that it takes on. */
  profiles: Readonly<Record<string, number>>;
  /** Never blocks the thread it is called on. Throws `NotProven`, or the reason of the signal. */
  prove: (work: Work, signal: AbortSignal) => Promise<Proof>;
  stop: () => Promise<void>;
}

/** No proof will come; the message is what the edge hears. */
export class NotProven extends Error {
  override readonly name = 'NotProven';
}
