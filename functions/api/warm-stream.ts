/**
 * The way of a chute to its first instance as server-sent events. The Worker looks at the Chute each second: an object
 * that pushed would need its own list of readers, its own timers, and would have to stay in memory for the slowest of them.
 */
import { PHASES, type WarmView } from '../chute/warm-view.ts';
import { RipcordError } from '../errors.ts';

export const WARM_STREAMS = {
  /** Milliseconds between two looks, and looks without news until a comment shows that the stream lives. */
  lookMs: 1_000,
  quiet: 5,
  /** Milliseconds after which a stream ends whatever came of it. */
  longestMs: 600_000,
  /** Streams of one isolate: each costs its Chute one small question a second. */
  together: 256,
} as const;

/** When each open stream is over at the latest, unix ms: where a client leaves, its end may never be told. */
const open = new Map<symbol, number>();

/** One `data:` line of JSON per change, until it is ready, failed or gone. Throws `rate_limited` where too many are open. */
export function warmStream(look: () => Promise<WarmView | null>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const own = Symbol('stream');
  const until = Date.now() + WARM_STREAMS.longestMs;
  for (const [one, at] of open) if (at < Date.now()) open.delete(one);
  if (open.size >= WARM_STREAMS.together)
    throw new RipcordError('rate_limited', {
      message: 'Too many clients follow warm-ups.',
      hint: 'Ask without a stream.',
      retryAfterMs: 5_000,
    });
  open.set(own, until);
  let last = '';
  let looks = 0;
  const end = (): void => void open.delete(own);
  signal.addEventListener('abort', end, { once: true });
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (let quiet = 0; quiet < WARM_STREAMS.quiet; quiet++) {
        if (looks++ > 0) await scheduler.wait(WARM_STREAMS.lookMs);
        const view = open.has(own) && Date.now() < until ? await look().catch(() => undefined) : null;
        // A Chute that does not answer is asked again.
        if (view === undefined) continue;
        const text = view === null ? last : JSON.stringify({ ...view, waiting_ms: null });
        if (view !== null && text !== last) controller.enqueue(encoder.encode(`data: ${JSON.stringify(view)}\n\n`));
        if (view === null || isOver(view)) {
          end();
          controller.close();
          return;
        }
        if (text === last) continue;
        last = text;
        return;
      }
      controller.enqueue(encoder.encode(': waiting\n\n'));
    },
    cancel: end,
  });
}

const encoder = new TextEncoder();

function isOver({ phase }: WarmView): boolean {
  return PHASES.indexOf(phase) >= PHASES.indexOf('ready');
}
