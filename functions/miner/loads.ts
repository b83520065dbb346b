/** How busy each instance is, and what its calls earned since, told to its Chute at most once a second. */
import type { InstanceRow } from './rows.ts';
import type { Turn } from './turn.ts';

const INTERVAL_MS = 1_000;

export class Loads {
  private readonly told = new Map<string, { at: number; busy: number }>();
  private readonly due = new Map<string, InstanceRow>();
  /** Nano-USD that were not told yet. What is lost with the object, or on the way, is missing from an average. */
  private readonly earned = new Map<string, number>();

  earn(turn: Turn, instance: InstanceRow, nanousd: number, busy: number): void {
    if (nanousd <= 0) return;
    this.earned.set(instance.instance, (this.earned.get(instance.instance) ?? 0) + nanousd);
    this.note(turn, instance, busy);
  }

  note(turn: Turn, instance: InstanceRow, busy: number): void {
    const told = this.told.get(instance.instance);
    if (told !== undefined && turn.now < told.at + INTERVAL_MS) {
      this.due.set(instance.instance, instance);
      turn.wake(told.at + INTERVAL_MS);
      return;
    }
    this.due.delete(instance.instance);
    const earned = this.earned.get(instance.instance);
    if (told?.busy === busy && earned === undefined) return;
    this.earned.delete(instance.instance);
    this.told.set(instance.instance, { at: turn.now, busy });
    const load = { instance: instance.instance, busy, ...(earned === undefined ? {} : { earned }) };
    turn.do({ do: 'load', chute: instance.chute, loads: [load] });
  }

  forget(instance: string): void {
    this.told.delete(instance);
    this.due.delete(instance);
    this.earned.delete(instance);
  }

  tick(turn: Turn, busyOf: (instance: string) => number): void {
    for (const instance of this.due.values()) this.note(turn, instance, busyOf(instance.instance));
  }
}
