/** What an account spends in its busiest minute of the last hour: how much credit it should have at hand. In memory only. Pure. */
const MINUTE_MS = 60_000;
const REMEMBERED = 60;

export class Peaks {
  readonly #minutes = new Map<number, bigint>();
  #newest = -Infinity;
  #peak = 0n;

  /** Nano-USD. */
  get peak(): bigint {
    return this.#peak;
  }

  add(at: number, amount: bigint): void {
    const minute = Math.floor(at / MINUTE_MS);
    if (minute > this.#newest) this.#turnTo(minute);
    if (minute <= this.#newest - REMEMBERED) return;
    const sum = (this.#minutes.get(minute) ?? 0n) + amount;
    this.#minutes.set(minute, sum);
    if (sum > this.#peak) this.#peak = sum;
  }

  /** Once a minute, so a pass is cheap. */
  #turnTo(minute: number): void {
    this.#newest = minute;
    this.#peak = 0n;
    for (const [at, sum] of this.#minutes) {
      if (at <= minute - REMEMBERED) this.#minutes.delete(at);
      else if (sum > this.#peak) this.#peak = sum;
    }
  }
}
