/** How busy each instance is, told to its Chute at most once a second. */
import type { InstanceRow } from './rows.ts';
import type { Turn } from './turn.ts';

const INTERVAL_MS = 1_000;

export class Loads {
  private readonly told = new Map<string, { at: number; busy: number }>();
  private readonly due = new Map<string, InstanceRow>();

  note(turn: Turn, instance: InstanceRow, busy: number): void {
    const told = this.told.get(instance.instance);
    if (told !== undefined && turn.now < told.at + INTERVAL_MS) {
      this.due.set(instance.instance, instance);
      turn.wake(told.at + INTERVAL_MS);
      return;
    }
    this.due.delete(instance.instance);
    if (told?.busy === busy) return;
    this.told.set(instance.instance, { at: turn.now, busy });
    turn.do({ do: 'load', chute: instance.chute, loads: [{ instance: instance.instance, busy }] });
  }

  forget(instance: string): void {
    this.told.delete(instance);
    this.due.delete(instance);
  }

  tick(turn: Turn, busyOf: (instance: string) => number): void {
    for (const instance of this.due.values()) this.note(turn, instance, busyOf(instance.instance));
  }
}
