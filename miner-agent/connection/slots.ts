/** Slots of this agent's instances: how many each has, how many calls run on it. */
export class Slots {
  readonly #slots = new Map<string, number>();
  readonly #running = new Map<string, number>();

  /** Null: the instance takes no calls. */
  set(instance: string, slots: number | null): void {
    if (slots === null) this.#slots.delete(instance);
    else this.#slots.set(instance, slots);
  }

  /** Takes a slot, or says why not. */
  take(instance: string): 'stale' | 'busy' | null {
    const slots = this.#slots.get(instance);
    if (slots === undefined) return 'stale';
    const running = this.runningOn(instance);
    if (running >= slots) return 'busy';
    this.#running.set(instance, running + 1);
    return null;
  }

  release(instance: string): void {
    const left = this.runningOn(instance) - 1;
    if (left > 0) this.#running.set(instance, left);
    else this.#running.delete(instance);
  }

  runningOn(instance: string): number {
    return this.#running.get(instance) ?? 0;
  }

  get running(): number {
    let sum = 0;
    for (const count of this.#running.values()) sum += count;
    return sum;
  }
}
