/** Plain workerd has no cron: this calls the Workers' internal route at the times their wrangler.toml names. */
import type { Say } from './supervise.ts';

/** A tick that takes longer is given up; the next one goes on. */
const TICK_LIMIT_MS = 60_000;

/** Milliseconds into its slot at which a tick comes. */
const LATE_MS = 200;

export interface Beat {
  /** Shown to people. */
  name: string;
  /** Read at every tick. */
  origin: string;
  token: string;
  everyMs: number;
}

/** Ticks each Worker now and then at its pace, one tick of a Worker at a time. Returns how to stop. */
export function startTicker(beats: Beat[], say: Say): () => Promise<void> {
  const stopping = new AbortController();
  const loops = beats.map((beat) => loop(beat, stopping.signal, say));
  return async () => {
    stopping.abort();
    await Promise.all(loops);
  };
}

async function loop(beat: Beat, signal: AbortSignal, say: Say): Promise<void> {
  let healthy = true;
  while (!signal.aborted) {
    const startedAt = Date.now();
    const failure = await tick(beat, signal);
    if (signal.aborted) return;
    // A failing Worker says so in its own log every time; here only the change is news.
    if (failure !== null && healthy) say(`The cron tick of the ${beat.name} failed (${failure}).`);
    if (failure === null && !healthy) say(`The cron tick of the ${beat.name} works again.`);
    healthy = failure === null;
    await pause(nextBeat(startedAt, beat.everyMs) - Date.now(), signal);
  }
}

/** Crons come with the clock, as slots do: soon after the next one begins, and at once where it has begun already. */
function nextBeat(startedAt: number, everyMs: number): number {
  return (Math.floor(startedAt / everyMs) + 1) * everyMs + LATE_MS;
}

async function tick({ origin, token }: Beat, signal: AbortSignal): Promise<string | null> {
  try {
    const response = await fetch(`${origin}/internal/cron`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TICK_LIMIT_MS)]),
    });
    await response.body?.cancel();
    return response.ok ? null : `HTTP ${response.status}`;
  } catch {
    return 'no answer';
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal.addEventListener('abort', done);
  });
}
