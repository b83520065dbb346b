/** Messages to Chutes that must arrive: kept until acknowledged, and sent again. */
import { LIMITS, type InstanceReport } from '#protocol';
import type { Effect } from './effects.ts';
import type { Turn } from './turn.ts';

/** Milliseconds until a message that was not acknowledged is sent again. */
const RETRY_MS = 2_000;
/** Messages owed at a time beyond which nothing is told of instances nobody knows. */
const OWED = 4 * LIMITS.instances;

type Owable = Extract<Effect, { do: 'report' | 'gone' }>;

export class Owed {
  private readonly messages = new Map<string, { effect: Owable; sentAt: number }>();

  get full(): boolean {
    return this.messages.size >= OWED;
  }

  /** A newer message about the same thing replaces one still owed. */
  send(turn: Turn, effect: Owable): void {
    const key = effect.do === 'report' ? `report ${effect.report.instance}` : `gone ${effect.chute}`;
    this.messages.set(key, { effect, sentAt: turn.now });
    turn.do(effect);
    turn.wake(turn.now + RETRY_MS);
  }

  reportArrived(report: InstanceReport): void {
    const key = `report ${report.instance}`;
    const effect = this.messages.get(key)?.effect;
    if (effect?.do === 'report' && effect.report === report) this.messages.delete(key);
  }

  goneArrived(chute: string): void {
    this.messages.delete(`gone ${chute}`);
  }

  /** The agent is back: that it was gone is not to be told any more. */
  back(): void {
    for (const [key, { effect }] of this.messages) if (effect.do === 'gone') this.messages.delete(key);
  }

  tick(turn: Turn): void {
    for (const owed of this.messages.values()) {
      if (turn.now >= owed.sentAt + RETRY_MS) {
        owed.sentAt = turn.now;
        turn.do(owed.effect);
      }
      turn.wake(owed.sentAt + RETRY_MS);
    }
  }
}
