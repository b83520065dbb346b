/** The cron's errand: `closing.ts` with what this edge has. */
import * as db from '#db';
import type { Env } from '../env.ts';
import { closeDue } from './closing.ts';
import { epochFiles } from './files.ts';
import { networkOf } from './network.ts';

/** How many epochs were closed. */
export function closeEpochs(env: Env, now: number): Promise<number> {
  const files = epochFiles(env);
  return closeDue({ base: db.connect(env), network: networkOf(env), put: (sha256, bytes) => files.put(sha256, bytes), secret: env }, now);
}
