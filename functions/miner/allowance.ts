/**
 * How much of a running reply is paid for. A call that may be long holds a block of its cost at a time; more is asked for
 * before it is used up, so that a client with credit never waits for it. Pure.
 */
import type { ExtendAnswer } from '../calls/ports.ts';

/** Output tokens held at a time. */
export const BLOCK_TOKENS = 1_024;
/** More is asked for when so few are left. */
const AHEAD_TOKENS = BLOCK_TOKENS / 4;
/** A long reply asks for more at a time, up to this. */
const MOST_TOKENS = 8 * BLOCK_TOKENS;
/** Milliseconds until an Account that did not answer is asked again. */
export const ASK_AGAIN_MS = 1_000;

export class Allowance {
  /** Output tokens that are paid for; null: all that may come. */
  private paid: number | null;
  private step = BLOCK_TOKENS;
  private asking = false;
  private askAgainAt = 0;
  private refused = false;

  constructor(paid: number | null) {
    this.paid = paid;
  }

  /** Output tokens to be paid for next, or null: no need, or it was asked already. `used`: what was handed on. */
  next(used: number, now: number): number | null {
    if (this.paid === null || this.refused || this.asking || now < this.askAgainAt) return null;
    if (used < this.paid - AHEAD_TOKENS) return null;
    this.asking = true;
    return Math.max(this.paid, used) + this.step;
  }

  /** At the end of a reply: what it came to, if that is more than was paid for. Nobody waits for the answer. */
  rest(used: number): number | null {
    return this.paid === null || this.refused || used <= this.paid ? null : used;
  }

  /** Null: the Account could not answer. A refusal of much is followed by a smaller wish; a refusal of one block is the last word. */
  answered(answer: ExtendAnswer | null, now: number): void {
    this.asking = false;
    if (answer === null) this.askAgainAt = now + ASK_AGAIN_MS;
    else if (answer.ok && this.grows(answer.allowance)) {
      this.paid = answer.allowance;
      this.step = Math.min(2 * this.step, MOST_TOKENS);
    } else if (this.step > BLOCK_TOKENS) this.step = BLOCK_TOKENS;
    else this.refused = true;
  }

  /** No text may follow after so many tokens; null: there is no such end. */
  get end(): number | null {
    return this.refused ? this.paid : null;
  }

  /** One block more than was paid for went out without an answer: nothing further is taken from the agent. */
  waits(used: number): boolean {
    return this.paid !== null && !this.refused && used >= this.paid + BLOCK_TOKENS;
  }

  private grows(allowance: number | null): boolean {
    return allowance === null || (this.paid !== null && allowance > this.paid);
  }
}
