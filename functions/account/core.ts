/**
 * An account without its platform: who may do what, which calls are open, what they came to, and what Postgres does not
 * know yet. Events in, an answer and effects out; no I/O, no clock, no randomness. It can be rebuilt from its rows
 * after any turn; only the rate buckets, the conductor's hints and the pace of retries are forgotten by that.
 */
import type { CallId, InquiryAnswer, KeyClaim, OpenAnswer, OpenAsk, Scope, Settlement } from '../calls/ports.ts';
import { Calls } from './calls.ts';
import type { Effect, Turn } from './effects.ts';
import { Keyring, type KeyRefusal, type KeyView } from './keyring.ts';
import { ACCOUNT_LIMITS, type AccountLimits } from './limits.ts';
import { Nonces } from './nonces.ts';
import { Outbox } from './outbox.ts';
import type { AttemptRow, CallRow, KeyRow, PoisonRow, ProfileRow, Row } from './rows.ts';

export type AuthorizeAnswer = { ok: true; hotkey: string; handle: string } | { ok: false; code: KeyRefusal; retryAfterMs?: number };
export type NonceAnswer = { ok: true; handle: string | null } | { ok: false; code: 'nonce_used' | 'rate_limited' };
export type CreateKeyAnswer = { ok: true; key: KeyView } | { ok: false; code: 'not_found' | 'rate_limited' };

/** A key to be made; the secret itself never comes here. */
export type NewKey = Pick<KeyRow, 'key' | 'name' | 'proof' | 'scopes' | 'expiresAt'>;

export class AccountCore {
  readonly #limits: AccountLimits;
  readonly #keys: Keyring;
  readonly #nonces: Nonces;
  readonly #outbox: Outbox;
  readonly #calls: Calls;
  #profile: ProfileRow | null = null;
  /** What the platform's alarm is set to, as far as this core asked for it. */
  #alarmAt: number | null;

  constructor(rows: Iterable<Row>, limits: AccountLimits = ACCOUNT_LIMITS) {
    this.#limits = limits;
    this.#keys = new Keyring(limits);
    this.#nonces = new Nonces(limits);
    this.#outbox = new Outbox(limits);
    this.#calls = new Calls(limits, this.#outbox);
    this.#restore(rows);
    this.#alarmAt = this.#due();
  }

  /** What the alarm must be set to; asked by the shell once, after a rebuild. */
  get alarmAt(): number | null {
    return this.#alarmAt;
  }

  get profile(): ProfileRow | null {
    return this.#profile;
  }

  /** Nano-USD held for open calls. */
  get held(): bigint {
    return this.#calls.held();
  }

  /** Whether nothing is kept here, so that the object may vanish. */
  get empty(): boolean {
    return this.#profile === null && this.#nonces.size === 0;
  }

  /** The first time only; the same again is harmless. False: it is registered as something else. */
  register(profile: Omit<ProfileRow, 'createdAt'>, now: number): Turn<boolean> {
    return this.#turn((effects) => {
      if (this.#profile !== null) return this.#profile.hotkey === profile.hotkey && this.#profile.handle === profile.handle;
      this.#profile = { ...profile, createdAt: now };
      effects.push({ kind: 'put', row: { kind: 'profile', id: 'profile', value: this.#profile } });
      return true;
    });
  }

  createKey(key: NewKey, now: number): Turn<CreateKeyAnswer> {
    return this.#turn((effects) => {
      if (this.#profile === null) return { ok: false, code: 'not_found' };
      const made = this.#keys.create({ ...key, createdAt: now, revokedAt: null, mirrored: false }, effects);
      this.#arm(this.#keys.due(), effects);
      return made === null ? { ok: false, code: 'rate_limited' } : { ok: true, key: made };
    });
  }

  listKeys(): KeyView[] {
    return this.#keys.list();
  }

  revokeKey(key: string, now: number): Turn<boolean> {
    return this.#turn((effects) => {
      const revoked = this.#keys.revoke(key, now, effects);
      this.#arm(this.#keys.due(), effects);
      return revoked;
    });
  }

  authorize(claim: KeyClaim, scope: Scope, now: number): AuthorizeAnswer {
    if (this.#profile === null) return { ok: false, code: 'invalid_api_key' };
    const check = this.#keys.check(claim, scope, now);
    return check.ok ? { ok: true, hotkey: this.#profile.hotkey, handle: this.#profile.handle } : check;
  }

  /** For a request whose signature was verified. Also for a hotkey without an account: it may be about to register. */
  spendNonce(nonce: string, now: number): Turn<NonceAnswer> {
    return this.#turn((effects) => {
      const spent = this.#nonces.spend(nonce, now, effects);
      this.#arm(this.#nonces.due(), effects);
      return spent === 'ok' ? { ok: true, handle: this.#profile?.handle ?? null } : { ok: false, code: spent };
    });
  }

  open(ask: OpenAsk, now: number): Turn<OpenAnswer> {
    return this.#turn((effects): OpenAnswer => {
      if (this.#profile === null) return { ok: false, code: 'invalid_api_key' };
      const check = this.#keys.check(ask.claim, 'invoke', now);
      if (!check.ok) return check;
      const { chute } = ask;
      if (chute === null || !(chute.public || chute.owner === this.#profile.account)) return { ok: false, code: 'not_found' };
      const known = this.#calls.get(ask.call);
      if (known !== null)
        return ask.again === true && known.closedAt === null ? this.#opened(known) : { ok: false, code: 'duplicate_call' };
      if (this.#calls.openCount >= this.#limits.openCalls) return { ok: false, code: 'too_many_calls', retryAfterMs: 1_000 };
      if (this.#outbox.size >= this.#limits.outbox) return { ok: false, code: 'too_many_calls', retryAfterMs: this.#limits.backOffMaxMs };
      this.#arm(this.#calls.hold(ask, chute.id, now, effects), effects);
      const row = this.#calls.get(ask.call);
      return row === null ? { ok: false, code: 'unavailable' } : this.#opened(row);
    });
  }

  #opened({ terms, hold, allowance }: CallRow): OpenAnswer {
    return { ok: true, terms, hold, allowance, rate: { limit: 0, windowMs: 0, remaining: 0, resetMs: 0 } };
  }

  widen(call: CallId, agents: readonly string[]): Turn<boolean> {
    return this.#turn((effects) => this.#calls.widen(call, agents, effects));
  }

  close(call: CallId, attempts: number, code: string, now: number): Turn<void> {
    return this.#turn((effects) => this.#calls.close(call, attempts, code, now, effects));
  }

  /** The attempts (`call/k`) that are dealt with: all of them, see `Calls.settle`. */
  settle(settlements: readonly Settlement[], now: number): Turn<string[]> {
    return this.#turn((effects) => {
      if (this.#profile !== null) this.#calls.settle(settlements, now, effects);
      this.#arm(this.#outbox.due(), effects);
      return settlements.map((s) => `${s.call}/${s.attempt}`);
    });
  }

  inquired(call: CallId, agent: string, answer: InquiryAnswer | null, now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#calls.inquired(call, agent, answer, now, effects);
      this.#arm(this.#outbox.due(), effects);
    });
  }

  flushed(through: number, now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#outbox.sent(through, effects);
      this.#calls.sweep(now, effects);
      this.#rearm(effects);
    });
  }

  flushFailed(through: number, why: 'rows' | 'down', now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#outbox.failed(through, why, now, effects);
      this.#rearm(effects);
    });
  }

  mirrored(keys: readonly KeyRow[]): Turn<void> {
    return this.#turn((effects) => {
      this.#keys.mirrored(keys, effects);
      this.#rearm(effects);
    });
  }

  mirrorFailed(now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#keys.mirrorFailed(now);
      this.#rearm(effects);
    });
  }

  /** The alarm rang. Whatever is due is sent; being woken too early is harmless. */
  wake(now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#nonces.sweep(now, effects);
      this.#calls.sweep(now, effects);
      this.#calls.inquire(now, effects);
      this.#outbox.send(now, effects);
      this.#mirror(now, effects);
      this.#alarmAt = null;
      this.#rearm(effects);
    });
  }

  call(call: CallId): CallRow | null {
    return this.#calls.get(call);
  }

  /** Newest first. */
  recent(count: number): CallRow[] {
    return this.#calls.recent(count);
  }

  #mirror(now: number, effects: Effect[]): void {
    const due = this.#keys.due();
    if (due === null || due > now) return;
    effects.push({ kind: 'mirror', keys: this.#keys.unmirrored() });
    this.#keys.mirrorSent(now);
  }

  #restore(rows: Iterable<Row>): void {
    const attempts: AttemptRow[] = [];
    const poison: PoisonRow[] = [];
    let flushed = 0;
    const calls = [];
    for (const row of rows) {
      if (row.kind === 'profile') this.#profile = row.value;
      else if (row.kind === 'key') this.#keys.restore(row.value);
      else if (row.kind === 'nonce') this.#nonces.restore(row.value);
      else if (row.kind === 'poison') poison.push(row.value);
      else if (row.kind === 'meta') flushed = row.value.flushed;
      else calls.push(row.value);
    }
    for (const row of calls.sort((a, b) => a.openedAt - b.openedAt)) {
      this.#calls.restore(row);
      attempts.push(...row.attempts);
    }
    this.#outbox.restore(flushed, attempts, poison);
  }

  #turn<A>(act: (effects: Effect[]) => A): Turn<A> {
    const effects: Effect[] = [];
    return { answer: act(effects), effects };
  }

  /** Brings the alarm forward if needed. */
  #arm(at: number | null, effects: Effect[]): void {
    if (at === null || (this.#alarmAt !== null && this.#alarmAt <= at)) return;
    this.#alarmAt = at;
    effects.push({ kind: 'alarm', at });
  }

  /** Sets the alarm to what is due next; costs a pass over the open calls. */
  #rearm(effects: Effect[]): void {
    const due = this.#due();
    if (due === this.#alarmAt && due !== null) return;
    this.#alarmAt = due;
    effects.push({ kind: 'alarm', at: due });
  }

  #due(): number | null {
    const dues = [this.#nonces.due(), this.#outbox.due(), this.#calls.due(), this.#calls.sweepDue(), this.#keys.due()];
    return dues.reduce((least, due) => (due === null ? least : Math.min(least ?? Infinity, due)), null);
  }
}
