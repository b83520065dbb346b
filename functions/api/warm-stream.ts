/**
 * The way of a chute to its first instance as server-sent events. The Worker looks at the Chute each second: an object
 * that pushed would need its own list of readers, its own timers, and would have to stay in memory for the slowest of them.
 */
import type { WarmView } from '../chute/warm-view.ts';
import { RipcordError } from '../errors.ts';

export const WARM_STREAMS = {
  /** Milliseconds between two looks, and looks without news until a comment shows that the stream lives. */
  lookMs: 1_000,
  quiet: 5,
  /** Milliseconds after which a stream ends whatever came of it. */
  longestMs: 600_000,
  /** Streams of one isolate, and of one account in it: each costs its Chute one small question a second. */
  together: 256,
  ofAccount: 16,
} as const;

/** The time; a test has its own. */
const CLOCK = { now: () => Date.now(), wait: (ms: number) => scheduler.wait(ms) };

interface Seat {
  account: string;
  /** Unix ms: where a client leaves, the end of its stream may never be told. */
  until: number;
}

const taken = new Set<Seat>();

/** One `data:` line of JSON per change, until it is ready, failed or gone. Throws `rate_limited` where too many are open. */
export function warmStream(
  account: string,
  look: () => Promise<WarmView | null>,
  signal: AbortSignal,
  clock = CLOCK,
): ReadableStream<Uint8Array> {
  const seat = takeSeat(account, clock.now());
  const leave = (): void => void taken.delete(seat);
  signal.addEventListener('abort', leave, { once: true });
  let last: string | null = null;

  /** What to send next; null: it is over. */
  async function next(): Promise<string | null> {
    for (let looks = 0; looks < WARM_STREAMS.quiet; looks++) {
      if (last !== null) await clock.wait(WARM_STREAMS.lookMs);
      if (!taken.has(seat) || clock.now() >= seat.until) return null;
      // A Chute that does not answer is asked again.
      const view = await look().catch(() => undefined);
      if (view === null) return null;
      const news = view === undefined ? last : JSON.stringify({ ...view, waiting_ms: null });
      if (view === undefined || news === last) {
        last ??= '';
        continue;
      }
      last = news;
      if (view.phase === 'ready' || view.phase === 'failed') leave();
      return `data: ${JSON.stringify(view)}\n\n`;
    }
    return ': waiting\n\n';
  }

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const text = await next();
      if (text !== null) controller.enqueue(encoder.encode(text));
      if (text !== null && taken.has(seat)) return;
      leave();
      controller.close();
    },
    cancel: leave,
  });
}

function takeSeat(account: string, now: number): Seat {
  for (const seat of taken) if (seat.until <= now) taken.delete(seat);
  const own = [...taken].filter((seat) => seat.account === account).length;
  if (taken.size >= WARM_STREAMS.together || own >= WARM_STREAMS.ofAccount)
    throw new RipcordError('rate_limited', {
      message: 'Too many streams of warm-ups.',
      hint: 'Ask without a stream.',
      retryAfterMs: 5_000,
    });
  const seat = { account, until: now + WARM_STREAMS.longestMs };
  taken.add(seat);
  return seat;
}

const encoder = new TextEncoder();
