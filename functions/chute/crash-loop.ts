/** When waiting for a start is in vain: a call is then told so, instead of waiting until its time is up. */
import type { StartFailing } from '../calls/ports.ts';
import type { BOUNDS } from './bounds.ts';
import type { State, StrikeRow } from './state.ts';

/**
 * The newest failure, if nothing serves or starts and every agent that tried the current version failed it again and
 * again and may not try now; else null. An agent that may try anew, or one whose start is under way, is reason enough to
 * wait. An agent that never tried is not known; the offer stands for it all the while.
 */
export function crashLoop(state: State, now: number, bounds: typeof BOUNDS): StrikeRow | null {
  for (const row of state.instances.values()) {
    const lost = row.goneAt !== null && row.goneAt + bounds.resumeMs <= now;
    if (row.state !== 'draining' && !lost) return null;
  }
  let newest: StrikeRow | null = null;
  for (const strike of state.strikes.values()) {
    if (strike.version !== state.chute?.current) continue;
    if (strike.count < bounds.crashLoop || strike.until <= now) return null;
    if (newest === null || strike.at > newest.at) newest = strike;
  }
  return newest;
}

/** What a call is refused with; `error` is the program's own, for the owner's eyes. */
export function startFailing(strike: StrikeRow, now: number): StartFailing {
  const [line = ''] = strike.error.split('\n');
  return {
    kind: 'refused',
    code: 'start_failing',
    retryAfterMs: Math.min(60_000, Math.max(1_000, strike.until - now)),
    error: line.trim().slice(0, 256),
  };
}
