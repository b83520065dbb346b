/** One keyed call or request while it runs: its recording, and the clock that ends it when nobody has read for long. */
import type { CallId, ByteSink } from '../../calls/ports.ts';
import type { Reply } from '../../calls/pump.ts';
import { RipcordError, openAiError } from '../../errors.ts';
import { headBytes } from './head.ts';
import type { ReplayLimits } from './limits.ts';
import { Recording } from './recording.ts';

export interface Clock {
  now(): number;
  /** Rejects when the signal says so. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface RunWatcher {
  /** The answer is too large to be kept. */
  outgrew(): void;
  /** It is over, and its last reader has left. */
  unread(): void;
}

export class Run {
  readonly call: CallId;
  /** Of the request's body, which is in memory as long as this. */
  readonly bodyBytes: number;
  readonly recording: Recording;
  /** Nobody waits for it any more. */
  readonly left = new AbortController();
  /** The Account agreed to it. */
  opened = false;
  /** An instance may have seen it. */
  attempted = false;
  /** The answer broke off. */
  cut = false;
  private alone: AbortController | null = null;
  private readonly limits: ReplayLimits;
  private readonly clock: Clock;
  private readonly watcher: RunWatcher;

  constructor(call: CallId, bodyBytes: number, limits: ReplayLimits, clock: Clock, watcher: RunWatcher) {
    this.call = call;
    this.bodyBytes = bodyBytes;
    this.limits = limits;
    this.clock = clock;
    this.watcher = watcher;
    this.recording = new Recording(limits, {
      outgrew: () => {
        watcher.outgrew();
        if (this.recording.readers === 0) this.left.abort();
      },
      readers: (count) => this.watched(count),
    });
  }

  /** Records a reply; never throws. Its readers are not told of the end: that is for `finish`, when the answer is kept. */
  async record(reply: Reply): Promise<void> {
    await this.recording.write(headBytes({ status: reply.status, headers: reply.headers }));
    if ('body' in reply) return this.recording.write(reply.body);
    await reply.pump(this.sink(reply.headers)).catch(() => (this.cut = true));
  }

  /** The answer is an error. */
  fail(error: unknown): Promise<void> {
    const known = this.left.signal.aborted ? this.leftAlone() : error instanceof RipcordError ? error : new RipcordError('internal');
    return this.recording.write(headBytes({ error: known.code, detail: known.detail }));
  }

  finish(): void {
    this.alone?.abort();
    this.recording.finish(this.cut ? 'cut' : 'end');
  }

  private sink(headers: [string, string][]): ByteSink {
    const events = headers.some(([name, value]) => name === 'content-type' && value.startsWith('text/event-stream'));
    const end = async (broken: boolean): Promise<void> => {
      // The reply of a call that was left ends like one that is complete. Whoever comes back is told why there is no more.
      const left = this.left.signal.aborted;
      if (left && events) await this.recording.write(eventOf(this.leftAlone(), this.call));
      else if (left || broken) this.cut = true;
    };
    return { write: (chunk) => this.recording.write(chunk), close: () => end(false), abort: () => end(true) };
  }

  private leftAlone(): RipcordError {
    return new RipcordError('cancelled', { message: `Nobody read this answer for ${this.limits.aloneMs / 1000} s; it was ended here.` });
  }

  private watched(readers: number): void {
    if (readers > 0) {
      this.alone?.abort();
      this.alone = null;
    } else if (!this.recording.running) this.watcher.unread();
    else if (this.recording.tooLarge) this.left.abort();
    else if (this.alone === null) void this.waitAlone((this.alone = new AbortController()));
  }

  private async waitAlone(alone: AbortController): Promise<void> {
    try {
      await this.clock.sleep(this.limits.aloneMs, alone.signal);
      if (!alone.signal.aborted) this.left.abort();
    } catch {
      // Somebody came, or it is over.
    }
  }
}

function eventOf(error: RipcordError, call: CallId): Uint8Array {
  return new TextEncoder().encode(`data: ${JSON.stringify({ error: openAiError(error, call) })}\n\n`);
}
