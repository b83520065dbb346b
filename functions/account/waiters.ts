/** Requests that wait for one event, a bounded number for a bounded time. */
export class Waiters {
  private readonly most: number;
  private readonly waitMs: number;
  private readonly waiting = new Set<(woken: boolean) => void>();
  /** How often it happened. */
  count = 0;

  constructor(most: number, waitMs: number) {
    this.most = most;
    this.waitMs = waitMs;
  }

  /**
   * Until it happened more often than `seen`. False: too many wait, or nothing happened in time. No timer is left behind:
   * it would keep the object awake.
   */
  wait(seen: number): Promise<boolean> {
    if (this.count > seen) return Promise.resolve(true);
    if (this.waiting.size >= this.most) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (woken: boolean): void => {
        clearTimeout(timer);
        this.waiting.delete(end);
        resolve(woken);
      };
      const timer = setTimeout(end, this.waitMs, false);
      this.waiting.add(end);
    });
  }

  wake(): void {
    this.count++;
    for (const end of this.waiting) end(true);
  }
}
