/** Pulses that challenges wait for: asked of the beacon when they are out, and again while it has none. Forgotten when nobody needs them. */
import type { Turn } from './turn.ts';

/** Milliseconds until it is asked again, and until an ask is taken for lost. */
const RETRY_MS = 300;
const LOST_MS = 8_000;

export class Pulses {
  private readonly known = new Map<number, string>();
  /** Round → unix ms of the next ask. */
  private readonly asked = new Map<number, number>();

  /** Null: not yet; it is on its way, or `outAt` (unix ms) is to come. */
  get(turn: Turn, round: number, outAt: number): string | null {
    const randomness = this.known.get(round);
    if (randomness !== undefined) return randomness;
    if (turn.now < outAt) {
      turn.wake(outAt);
      return null;
    }
    if (turn.now >= (this.asked.get(round) ?? 0)) {
      this.asked.set(round, turn.now + LOST_MS);
      turn.do({ do: 'pulse', round });
    }
    turn.wake(this.asked.get(round) ?? turn.now);
    return null;
  }

  answered(turn: Turn, round: number, randomness: string | null): void {
    if (randomness !== null) this.known.set(round, randomness);
    else this.asked.set(round, turn.now + RETRY_MS);
  }

  keepOnly(rounds: ReadonlySet<number>): void {
    for (const round of this.known.keys()) if (!rounds.has(round)) this.known.delete(round);
    for (const round of this.asked.keys()) if (!rounds.has(round)) this.asked.delete(round);
  }
}
