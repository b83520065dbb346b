/** What the agent's thread and the thread that works say to each other. */
import type { Work } from '#protocol/challenge/work.ts';

export type ToWorker =
  /** `stop` holds one number; other than 0: leave it. */
  | { type: 'prove'; id: number; work: Work; stop: Int32Array }
  | { type: 'open'; id: number; randomness: string }
  | { type: 'drop'; id: number };

export type FromWorker =
  | { type: 'proven'; id: number; root: string }
  | { type: 'opened'; id: number; bytes: Uint8Array }
  | { type: 'failed'; id: number; message: string };
