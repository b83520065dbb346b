/** A token bucket per isolate and client address: what unauthenticated routes pass before any cryptography. */
interface Bucket {
  tokens: number;
  at: number;
}

export class Buckets {
  private readonly buckets = new Map<string, Bucket>();
  private readonly perSecond: number;
  private readonly burst: number;
  private readonly remembered: number;

  constructor(perSecond: number, burst: number, remembered = 10_000) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.remembered = remembered;
  }

  /** Milliseconds to wait, 0 when a token was there. */
  take(key: string, now: number): number {
    const bucket = this.buckets.get(key) ?? { tokens: this.burst, at: now };
    const tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.at) / 1000) * this.perSecond);
    if (!this.buckets.has(key) && this.buckets.size >= this.remembered) this.buckets.clear();
    // A refusal takes nothing: else those who ask too often would keep the bucket empty for everybody.
    this.buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / this.perSecond) * 1000);
  }
}
