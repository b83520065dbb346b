/**
 * What a Miner object remembers of its agent's sessions so that it can say why the agent has no work: when they ended and
 * how, what the agent said of itself, and how often it was refused. Bounded whatever the agent does. What is rare outlives
 * the object; the counts do not.
 */
import type { IdleMessage } from '#protocol';
import { Tally } from '../why/tally.ts';
import type { Row } from './rows.ts';
import type { Turn } from './turn.ts';

/** Ends of sessions kept. */
const ENDS = 8;
/** Milliseconds over which refusals and failed starts are counted. */
const WINDOW_MS = 3_600_000;
/** Milliseconds between two writes of what the agent says of itself. */
const WRITE_MS = 5_000;

export interface PastRow {
  kind: 'past';
  key: 'past';
  /** Of the newest login, unix ms. */
  since: number | null;
  /** Milliseconds that the agent's clock is ahead, as its login told; below zero: behind. */
  clockMs: number;
  /** The newest last: WebSocket close codes. */
  ends: { at: number; code: number }[];
  /** Why it takes no more work, in its own words. */
  idle: { message: IdleMessage; at: number } | null;
}

export class Past {
  row: PastRow = { kind: 'past', key: 'past', since: null, clockMs: 0, ends: [], idle: null };
  /** By code. */
  readonly refusals = new Tally(WINDOW_MS);
  /** By chute id. */
  readonly failures = new Tally(WINDOW_MS);
  /** It said that it leaves. */
  draining = false;
  /** When its own words were last written, and whether newer ones were not. */
  private writtenAt = 0;
  private unwritten = false;

  restore(row: PastRow): void {
    this.row = row;
  }

  loggedIn(turn: Turn, clockMs: number): void {
    this.draining = false;
    this.write(turn, { ...this.row, since: turn.now, clockMs });
  }

  ended(turn: Turn, code: number): void {
    this.write(turn, { ...this.row, ends: [...this.row.ends, { at: turn.now, code }].slice(-ENDS) });
  }

  told(turn: Turn, message: IdleMessage): void {
    this.row = { ...this.row, idle: { message, at: turn.now } };
    this.unwritten = true;
    this.tick(turn);
  }

  /** Writes what was told too soon after the last time. */
  tick(turn: Turn): void {
    if (!this.unwritten) return;
    const due = this.writtenAt + WRITE_MS;
    if (turn.now < due) return turn.wake(due);
    this.writtenAt = turn.now;
    this.write(turn, this.row);
  }

  private write(turn: Turn, row: PastRow): void {
    this.row = row;
    this.unwritten = false;
    turn.put(row satisfies Row);
  }
}
