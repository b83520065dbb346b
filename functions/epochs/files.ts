/** Where the files of epochs lie: in a space of the edge's own, each under its hash. */
import { blobs, type Blobs } from '../blobs.ts';
import type { Env } from '../env.ts';
import { EPOCH_LIMITS } from '../protocol/epoch.ts';

export function epochFiles(env: Pick<Env, 'BLOBS' | 'BLOBS_DISK'>): Blobs {
  return blobs(env, 'epochs', EPOCH_LIMITS.evidenceBytes);
}
