/**
 * Events that come close together are handled in one turn, so that one commit to disk serves them all. Alone, an event is
 * handled at once: the pause (1 to 2 ms of timer) is only taken where a crowd makes it pay.
 */
export class Together {
  private queue: (() => void)[] | null = null;

  /** Runs `work` now, or with others in the order they came. It must not throw. */
  run(work: () => void, crowded: boolean): void {
    if (this.queue !== null) {
      this.queue.push(work);
      return;
    }
    if (!crowded) {
      work();
      return;
    }
    this.queue = [work];
    void scheduler.wait(0).then(() => {
      const queue = this.queue ?? [];
      this.queue = null;
      for (const one of queue) one();
    });
  }

  ask<T>(work: () => T, crowded: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      this.run(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      }, crowded);
    });
  }
}
