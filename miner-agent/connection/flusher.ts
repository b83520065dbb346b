/**
 * When a stream's frames leave. The first bytes, heads and ends go at the end of the turn; after that a stream sends at
 * most once per window, and the windows of all streams end together, so that one message carries many of them.
 */
import type { CallStream } from './call-stream.ts';
import type { Turn } from './events.ts';

/** Milliseconds between two sends of one stream, by how many streams are open. */
export function windowMs(streams: number): number {
  if (streams <= 8) return 0;
  if (streams <= 32) return 5;
  return streams <= 100 ? 20 : 50;
}

export class Flusher {
  /** Unix milliseconds when `flush` is due next, or null. */
  dueAt: number | null = null;
  #urgent = new Set<CallStream>();
  #later = new Set<CallStream>();
  #laterAt = 0;
  #blocked = false;

  /** The stream has something to send. */
  add(stream: CallStream, now: number, openStreams: number): void {
    const window = windowMs(openStreams);
    if (window === 0 || !stream.flowing || stream.last !== null || !stream.headSent) {
      this.#urgent.add(stream);
    } else {
      if (this.#later.size === 0) this.#laterAt = now + window;
      this.#later.add(stream);
    }
    this.#plan(now);
  }

  remove(stream: CallStream): void {
    this.#urgent.delete(stream);
    this.#later.delete(stream);
  }

  /** The socket holds too much, or takes more again. */
  block(blocked: boolean, now: number): void {
    this.#blocked = blocked;
    this.#plan(now);
  }

  /** Puts what is due into the turn; returns the streams whose last frame left. */
  flush(turn: Turn): CallStream[] {
    const finished: CallStream[] = [];
    if (this.#blocked) return finished;
    this.#take(this.#urgent, turn, finished);
    if (this.#later.size > 0 && turn.now >= this.#laterAt) this.#take(this.#later, turn, finished);
    this.#plan(turn.now);
    return finished;
  }

  clear(): void {
    this.#urgent.clear();
    this.#later.clear();
    this.#blocked = false;
    this.dueAt = null;
  }

  #take(streams: Set<CallStream>, turn: Turn, finished: CallStream[]): void {
    for (const stream of streams) {
      turn.frames.push(...stream.takeFrames());
      if (stream.lastSent) finished.push(stream);
    }
    streams.clear();
  }

  #plan(now: number): void {
    if (this.#blocked) this.dueAt = null;
    else if (this.#urgent.size > 0) this.dueAt = now;
    else this.dueAt = this.#later.size > 0 ? this.#laterAt : null;
  }
}
