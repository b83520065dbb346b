/** Objects are torn down by deploys and crashes, and are back at once: a request that failed with one is made again. */
import { RipcordError } from '../errors.ts';
import type { World } from './call.ts';

/** Milliseconds between looks at an object that is being torn down. */
export const PAUSE_MS = 250;
const TRIES = 4;

/** Asks a few times. Throws `unavailable` when there is no answer. Only for what may be asked twice. */
export async function insist<T>(world: Pick<World, 'sleep'>, ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch {
      if (tries === TRIES) throw new RipcordError('unavailable', { retryAfterMs: 1_000 });
      await world.sleep(PAUSE_MS);
    }
  }
}
