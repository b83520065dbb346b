/** The keys of an account: what each may do, how often, and which of them Postgres does not know yet. Pure. */
import type { KeyClaim, OpenRefusal, RateState, Scope } from '../calls/ports.ts';
import { sameText } from '../gate/constant-time.ts';
import type { Effect } from './effects.ts';
import type { AccountLimits } from './limits.ts';
import type { KeyCap, KeyRow } from './rows.ts';

export type KeyRefusal = Extract<OpenRefusal, 'invalid_api_key' | 'key_expired' | 'insufficient_scope' | 'rate_limited'>;
export type KeyCheck =
  | { ok: true; rate: RateState; cap: KeyCap | null }
  | { ok: false; code: KeyRefusal; retryAfterMs?: number; rate?: RateState };

/** What can be changed of a key. */
export type KeyChange = Partial<Pick<KeyRow, 'name' | 'expiresAt' | 'cap'>>;

interface Bucket {
  tokens: number;
  at: number;
}

export class Keyring {
  readonly #limits: AccountLimits;
  readonly #keys = new Map<string, KeyRow>();
  /** In memory only: after an eviction every bucket is full again. */
  readonly #buckets = new Map<string, Bucket>();
  /** Unix milliseconds before which nothing is mirrored. */
  #mirrorAt = 0;
  #backOffMs = 0;

  constructor(limits: AccountLimits) {
    this.#limits = limits;
  }

  restore(row: KeyRow): void {
    this.#keys.set(row.key, row);
  }

  /** Those that are not revoked. */
  list(): KeyRow[] {
    return [...this.#keys.values()].filter((k) => k.revokedAt === null);
  }

  /** Null: there is no such key, or it is revoked. */
  get(key: string): KeyRow | null {
    const row = this.#keys.get(key);
    return row === undefined || row.revokedAt !== null ? null : row;
  }

  /** Revoked ones too, until they are forgotten. */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** False: the account has as many keys as it may. */
  create(row: KeyRow, effects: Effect[]): boolean {
    if (this.list().length >= this.#limits.keys) return false;
    this.#put(row, effects);
    return true;
  }

  /** Null: there is no such key. */
  change(key: string, change: KeyChange, effects: Effect[]): KeyRow | null {
    const row = this.get(key);
    if (row === null) return null;
    const told = (change.name ?? row.name) === row.name && change.expiresAt === undefined;
    const changed: KeyRow = { ...row, ...change, mirrored: row.mirrored && told };
    this.#put(changed, effects);
    return changed;
  }

  /** False: there is no such key. From this turn on the key opens nothing. */
  revoke(key: string, now: number, effects: Effect[]): boolean {
    const row = this.#keys.get(key);
    if (row === undefined || row.revokedAt !== null) return false;
    this.#buckets.delete(key);
    this.#put({ ...row, revokedAt: now, mirrored: false }, effects);
    return true;
  }

  /** A wrong secret takes no token, so nobody can slow down a key by guessing. */
  check(claim: KeyClaim, scope: Scope | 'any', now: number, counted = false): KeyCheck {
    const row = this.#keys.get(claim.key);
    if (row === undefined || row.revokedAt !== null || !sameText(row.proof, claim.proof)) return { ok: false, code: 'invalid_api_key' };
    if (row.expiresAt !== null && row.expiresAt <= now) return { ok: false, code: 'key_expired' };
    if (scope !== 'any' && !row.scopes.includes(scope)) return { ok: false, code: 'insufficient_scope' };
    return this.#take(row, counted ? 0 : 1, now);
  }

  unmirrored(): KeyRow[] {
    return [...this.#keys.values()].filter((k) => !k.mirrored);
  }

  /** Unix milliseconds when keys should be mirrored; null: all are. */
  due(): number | null {
    return this.unmirrored().length === 0 ? null : this.#mirrorAt;
  }

  /** Told by `mirror` effects: these rows, as they were then, are in Postgres. Returns the keys that are forgotten by it. */
  mirrored(rows: readonly KeyRow[], effects: Effect[]): string[] {
    this.#backOffMs = 0;
    const gone: string[] = [];
    for (const row of rows) {
      if (this.#keys.get(row.key) !== row) continue; // changed meanwhile
      if (row.revokedAt === null) this.#put({ ...row, mirrored: true }, effects);
      else {
        this.#keys.delete(row.key);
        effects.push({ kind: 'delete', row: 'key', id: row.key });
        gone.push(row.key);
      }
    }
    return gone;
  }

  mirrorSent(now: number): void {
    this.#mirrorAt = now + this.#limits.flushLostMs;
  }

  mirrorFailed(now: number): void {
    this.#backOffMs = Math.min(Math.max(this.#limits.backOffMs, 2 * this.#backOffMs), this.#limits.backOffMaxMs);
    this.#mirrorAt = now + this.#backOffMs;
  }

  #put(row: KeyRow, effects: Effect[]): void {
    this.#keys.set(row.key, row);
    if (!row.mirrored && this.#backOffMs === 0) this.#mirrorAt = 0;
    effects.push({ kind: 'put', row: { kind: 'key', id: row.key, value: row } });
  }

  #take({ key, cap }: KeyRow, count: 0 | 1, now: number): KeyCheck {
    const { keyRate, keyBurst } = this.#limits;
    const bucket = this.#buckets.get(key) ?? { tokens: keyBurst, at: now };
    const tokens = Math.min(keyBurst, bucket.tokens + (Math.max(0, now - bucket.at) * keyRate) / 1000);
    const left = tokens < count ? tokens : tokens - count;
    this.#buckets.set(key, { tokens: left, at: now });
    const rate = this.#rate(left);
    if (tokens < count) return { ok: false, code: 'rate_limited', retryAfterMs: Math.ceil(((1 - tokens) * 1000) / keyRate), rate };
    return { ok: true, rate, cap: cap ?? null };
  }

  #rate(tokens: number): RateState {
    const { keyRate, keyBurst } = this.#limits;
    return {
      limit: keyBurst,
      windowMs: Math.ceil((keyBurst * 1000) / keyRate),
      remaining: Math.floor(tokens),
      resetMs: Math.ceil(((keyBurst - tokens) * 1000) / keyRate),
    };
  }
}
