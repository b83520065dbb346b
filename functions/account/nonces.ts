/** Nonces of signed requests, each good once. Pure. */
import { SIGNATURE_NONCE_MS } from '../gate/windows.ts';
import type { Effect } from './effects.ts';
import type { AccountLimits } from './limits.ts';
import type { NonceRow } from './rows.ts';

export class Nonces {
  readonly #limits: AccountLimits;
  /** Nonce to expiry; in the order of expiry, since all live equally long. */
  readonly #spent = new Map<string, number>();

  constructor(limits: AccountLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#spent.size;
  }

  restore(row: NonceRow): void {
    this.#spent.set(row.nonce, row.expiresAt);
  }

  spend(nonce: string, now: number, effects: Effect[]): 'ok' | 'nonce_used' | 'rate_limited' {
    if (this.#spent.has(nonce)) return 'nonce_used';
    if (this.#spent.size >= this.#limits.nonces) return 'rate_limited';
    const row: NonceRow = { nonce, expiresAt: now + SIGNATURE_NONCE_MS };
    this.restore(row);
    effects.push({ kind: 'put', row: { kind: 'nonce', id: nonce, value: row } });
    return 'ok';
  }

  sweep(now: number, effects: Effect[]): void {
    for (const [nonce, expiresAt] of this.#spent) {
      if (expiresAt > now) continue;
      this.#spent.delete(nonce);
      effects.push({ kind: 'delete', row: 'nonce', id: nonce });
    }
  }

  /** Unix milliseconds when the first one expires. */
  due(): number | null {
    let due: number | null = null;
    for (const expiresAt of this.#spent.values()) due = Math.min(due ?? Infinity, expiresAt);
    return due;
  }
}
