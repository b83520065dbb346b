/** What anyone may know of how the edge does: that it answers, whether its books are right, how far its record is behind. */
import * as db from '#db';
import type { Env } from '../env.ts';

const BOUNDS = {
  /** Milliseconds for which an answer is good: asking often costs Postgres nothing. */
  freshMs: 10_000,
  /** Milliseconds the record has to answer. */
  answerMs: 2_000,
} as const;

const AWAY = { record: 'unanswered', books: null, unfolded: null, outbox: null, deposits: null } as const;

/** Per isolate; a value, never a promise: one of another request must not be awaited. */
let last: { at: number; figures: Figures } | null = null;
type Figures = typeof AWAY | ReturnType<typeof figuresOf>;

/**
 * Never throws. `ok` is of the edge alone: calls of accounts with a lease go on while Postgres is away, so a host that
 * takes an edge out of service for that would turn a pause of the record into an outage.
 */
export async function health(env: Env, now: number): Promise<{ ok: true } & Figures> {
  if (last === null || now - last.at >= BOUNDS.freshMs || now < last.at) {
    // Whoever asks meanwhile gets the answer of before, if there is one.
    if (last !== null) last = { ...last, at: now };
    const late = scheduler.wait(BOUNDS.answerMs).then(() => null);
    const found = await Promise.race([db.findHealth(db.connect(env)), late]).catch(() => null);
    last = { at: now, figures: found === null ? AWAY : figuresOf(found) };
  }
  return { ok: true, ...last.figures };
}

function figuresOf({ books, unfolded, outbox, deposits }: db.Health) {
  return {
    record: 'answers' as const,
    books: books === null ? null : { ok: books.ok, checked_at: books.at.toISOString(), broken: books.broken },
    unfolded: { count: unfolded.count, oldest_s: unfolded.oldestS },
    outbox: { p50_ms: whole(outbox.p50), p95_ms: whole(outbox.p95), max_ms: whole(outbox.max) },
    deposits: deposits === null ? null : { cursor: deposits.cursor, idle_s: deposits.idleS },
  };
}

function whole(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}
