/**
 * An account without its platform: who may do what, which calls are open, what they came to, and what Postgres does not
 * know yet. Events in, an answer and effects out; no I/O, no clock, no randomness. It can be rebuilt from its rows
 * after any turn; only the rate buckets, the conductor's hints and the pace of retries are forgotten by that.
 */
import type {
  CallId,
  ExtendAnswer,
  InquiryAnswer,
  KeyClaim,
  OpenAnswer,
  OpenAsk,
  OpenRefused,
  RateState,
  RentAsk,
  Scope,
  Settlement,
} from '../calls/ports.ts';
import { quoteOf, rentOf } from '../prices/cost.ts';
import type { Terms } from '../prices/terms.ts';
import { Alerts } from './alerts.ts';
import { Calls } from './calls.ts';
import { Caps, type CapState } from './caps.ts';
import type { Effect, Turn } from './effects.ts';
import { heldFor, holdOf } from './holds.ts';
import { Keyring, type KeyChange, type KeyRefusal } from './keyring.ts';
import { Leases, type LeaseFacts, type MoveAnswer } from './lease.ts';
import { ACCOUNT_LIMITS, type AccountLimits } from './limits.ts';
import { Nonces } from './nonces.ts';
import { Outbox } from './outbox.ts';
import { termsFor } from './overrides.ts';
import type { AlertRow, AlertSettings, CallRow, KeyCap, KeyRow, Override, PoisonRow, ProfileRow, Row } from './rows.ts';

export type AuthorizeAnswer =
  | { ok: true; hotkey: string; handle: string; rate: RateState }
  | { ok: false; code: KeyRefusal; retryAfterMs?: number; rate?: RateState };
export type NonceAnswer = { ok: true; handle: string | null } | { ok: false; code: 'nonce_used' | 'rate_limited' };
export type CreateKeyAnswer = { ok: true; key: KeyView } | { ok: false; code: 'not_found' | 'rate_limited' };
export type KeyAnswer =
  | { ok: true; key: KeyView; rate: RateState }
  | { ok: false; code: KeyRefusal; retryAfterMs?: number; rate?: RateState };

/** A key to be made; the secret itself never comes here. */
export type NewKey = Pick<KeyRow, 'key' | 'name' | 'proof' | 'scopes' | 'expiresAt'> & { cap?: KeyCap | null };

/** A key as its owner sees it. */
export type KeyView = Pick<KeyRow, 'key' | 'name' | 'scopes' | 'createdAt' | 'expiresAt'> & { cap: (KeyCap & CapState) | null };

/** `short`: the lease does not cover it; more was asked for, and the same event is to be tried again after the answer. */
export type Short = 'short';

/** Nano-USD, as the account itself knows it. */
export interface Money {
  free: bigint;
  held: bigint;
  unbilled: bigint;
  /** Calls that wait for Postgres, and unix milliseconds since when the oldest does. */
  outbox: { size: number; oldestAt: number | null };
  /** What was there outside of the leases when Postgres last answered a move. */
  left: { cash: bigint; promo: bigint; at: number } | null;
  leases: LeaseFacts[];
}

export class AccountCore {
  readonly #limits: AccountLimits;
  readonly #keys: Keyring;
  readonly #nonces: Nonces;
  readonly #outbox: Outbox;
  readonly #leases: Leases;
  readonly #caps = new Caps();
  readonly #calls: Calls;
  readonly #alerts: Alerts;
  #overrides: readonly Override[] = [];
  #profile: ProfileRow | null = null;
  /** What the platform's alarm is set to, as far as this core asked for it. */
  #alarmAt: number | null;

  constructor(rows: Iterable<Row>, limits: AccountLimits = ACCOUNT_LIMITS) {
    this.#limits = limits;
    this.#keys = new Keyring(limits);
    this.#nonces = new Nonces(limits);
    this.#outbox = new Outbox(limits);
    this.#leases = new Leases(limits);
    this.#alerts = new Alerts(limits);
    this.#calls = new Calls(limits, { outbox: this.#outbox, leases: this.#leases, caps: this.#caps }, (row, now, effects) =>
      this.#watch(row, now, effects),
    );
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

  /** What there is to spend, and what is on its way. */
  money(): Money {
    const { free, held, unbilled, left } = this.#leases;
    return {
      free,
      held,
      unbilled,
      left,
      outbox: { size: this.#outbox.size, oldestAt: this.#outbox.oldestAt },
      leases: this.#leases.list(),
    };
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
      const row: KeyRow = { ...key, createdAt: now, revokedAt: null, mirrored: false };
      if (!this.#keys.create(row, effects)) return { ok: false, code: 'rate_limited' };
      this.#arm(this.#keys.due(), effects);
      return { ok: true, key: this.#view(row, now) };
    });
  }

  /** Null: there is no such key. Running calls keep their holds, whatever becomes of the cap. */
  changeKey(key: string, change: KeyChange, now: number): Turn<KeyView | null> {
    return this.#turn((effects) => {
      const row = this.#keys.change(key, change, effects);
      this.#arm(this.#keys.due(), effects);
      return row === null ? null : this.#view(row, now);
    });
  }

  listKeys(now: number): KeyView[] {
    return this.#keys.list().map((row) => this.#view(row, now));
  }

  /** The key that asks, whatever it may do. */
  thisKey(claim: KeyClaim, now: number): KeyAnswer {
    if (this.#profile === null) return { ok: false, code: 'invalid_api_key' };
    const check = this.#keys.check(claim, 'any', now);
    if (!check.ok) return check;
    const row = this.#keys.get(claim.key);
    return row === null ? { ok: false, code: 'invalid_api_key' } : { ok: true, key: this.#view(row, now), rate: check.rate };
  }

  #view({ key, name, scopes, createdAt, expiresAt, cap }: KeyRow, now: number): KeyView {
    return { key, name, scopes, createdAt, expiresAt, cap: cap ? { ...cap, ...this.#caps.state(key, cap, now) } : null };
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
    return check.ok ? { ok: true, hotkey: this.#profile.hotkey, handle: this.#profile.handle, rate: check.rate } : check;
  }

  /** For a request whose signature was verified. Also for a hotkey without an account: it may be about to register. */
  spendNonce(nonce: string, now: number): Turn<NonceAnswer> {
    return this.#turn((effects) => {
      const spent = this.#nonces.spend(nonce, now, effects);
      this.#arm(this.#nonces.due(), effects);
      return spent === 'ok' ? { ok: true, handle: this.#profile?.handle ?? null } : { ok: false, code: spent };
    });
  }

  /** `parked`: it was asked before, and is not counted against the key's rate again. */
  open(ask: OpenAsk, now: number, parked = false): Turn<OpenAnswer | Short> {
    return this.#turn((effects): OpenAnswer | Short => {
      if (this.#profile === null) return { ok: false, code: 'invalid_api_key' };
      const check = this.#keys.check(ask.claim, 'invoke', now, parked);
      if (!check.ok) return check;
      const { rate, cap } = check;
      const { chute } = ask;
      if (chute === null || !(chute.public || chute.shared === true || chute.owner === this.#profile.account))
        return { ok: false, code: 'not_found', rate };
      const known = this.#calls.get(ask.call);
      if (known !== null)
        return ask.again === true && known.closedAt === null ? opened(known, rate) : { ok: false, code: 'duplicate_call', rate };
      const full = this.#full();
      if (full !== null) return { ...full, rate };
      const terms = termsFor(this.#overrides, chute.id, ask.terms, now);
      const hold = holdOf(terms, ask.facts, ask.extensible);
      const refused = this.#overCap(ask.claim.key, cap, hold.amount, now) ?? this.#uncovered(hold.amount, now, effects);
      if (refused !== null) return refused === 'short' ? refused : { ...refused, rate };
      const { call, facts, version, agents, deadlineMs } = ask;
      const { key } = ask.claim;
      const row = this.#calls.open(
        { call, kind: 'call', key, chute: chute.id, version, terms, facts, agents, deadlineMs },
        hold,
        now,
        effects,
      );
      this.#after(row, now, effects);
      return opened(row, rate);
    });
  }

  /** Holds a running call for so many output tokens in all, not for a key that was revoked. Never less than before; the same again is harmless. */
  extend(call: CallId, tokens: number, now: number): Turn<ExtendAnswer | Short> {
    return this.#turn((effects): ExtendAnswer | Short => {
      const row = this.#calls.get(call);
      if (row === null || row.closedAt !== null) return { ok: false };
      if (row.allowance === null || tokens <= row.allowance) return { ok: true, allowance: row.allowance };
      const hold = heldFor(row.terms, row.facts, tokens);
      const more = hold.amount - row.hold;
      const key = this.#keys.get(row.key);
      if (key === null || !this.#leases.isCurrent(row.epoch)) return { ok: false };
      if (this.#overCap(row.key, key.cap ?? null, more, now) !== null) return { ok: false };
      const refused = this.#uncovered(more, now, effects);
      if (refused !== null) return refused === 'short' ? refused : { ok: false };
      this.#calls.extend(row, hold, now, effects);
      this.#leases.refill(now, effects);
      return { ok: true, allowance: row.allowance };
    });
  }

  /** Holds the rent of a period, or a bounty; what was opened before stays so. False: the account cannot pay it; null: ask again. */
  rent(ask: RentAsk, now: number): Turn<boolean | null | Short> {
    return this.#turn((effects): boolean | null | Short => {
      if (this.#profile === null) return false;
      if (this.#calls.get(ask.call) !== null) return true;
      if (this.#full() !== null) return null;
      const { call, chute, version, ms } = ask;
      const facts = { requestBytes: 0, maxTokens: 0, timeoutMs: ms, images: 0, steps: 0 };
      const bounty = ask.bounty === true;
      const terms = bounty ? ask.terms : termsFor(this.#overrides, chute, ask.terms, now);
      const amount = bounty ? quoteOf(terms, facts) : rentOf(terms, ms);
      const refused = this.#uncovered(amount, now, effects);
      if (refused === 'short') return refused;
      if (refused !== null) return refused.code === 'insufficient_credit' ? false : null;
      const deadlineMs = ms + this.#limits.rentGraceMs;
      const kind: CallRow['kind'] = bounty ? 'bounty' : 'rent';
      const rent = { call, kind, key: '', chute, version, terms, facts, agents: [], deadlineMs };
      this.#after(this.#calls.open(rent, { amount, allowance: null }, now, effects), now, effects);
      return true;
    });
  }

  /** The account's own prices, all of them: they apply to calls from now on. False: too many. */
  setOverrides(list: readonly Override[]): Turn<boolean> {
    return this.#turn((effects) => {
      if (list.length > this.#limits.overrides) return false;
      this.#overrides = [...list];
      effects.push({ kind: 'put', row: { kind: 'overrides', id: 'overrides', value: { list: [...list] } } });
      return true;
    });
  }

  /** What this account would pay by. */
  termsFor(chute: string, terms: Terms, now: number): Terms {
    return termsFor(this.#overrides, chute, terms, now);
  }

  setAlerts(settings: AlertSettings): Turn<void> {
    return this.#turn((effects) => {
      this.#alerts.set(settings, effects);
      this.#rearm(effects);
    });
  }

  /** The newest alert first. */
  alerts(): { settings: AlertSettings; list: readonly AlertRow[] } {
    return { settings: this.#alerts.settings, list: this.#alerts.list };
  }

  posted(id: string, ok: boolean, now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#alerts.posted(id, ok, now, effects);
      this.#rearm(effects);
    });
  }

  /** A call closed: does an alert fire? A low balance is told only when Postgres has confirmed it. */
  #watch(row: CallRow, now: number, effects: Effect[]): void {
    if (row.cash + row.promo === 0n) return;
    const cap = this.#keys.get(row.key)?.cap;
    if (cap) this.#alerts.onCap(row.key, cap, this.#caps.state(row.key, cap, now), now, effects);
    const { balance } = this.#leases;
    if (balance !== null && this.#alerts.wouldFire(balance) && !this.#leases.look(now, effects))
      this.#alerts.onBalance(balance, now, effects);
    this.#arm(this.#alerts.due(), effects);
  }

  #full(): OpenRefused | null {
    if (this.#calls.openCount >= this.#limits.openCalls) return { ok: false, code: 'too_many_calls', retryAfterMs: 1_000 };
    if (this.#outbox.size >= this.#limits.outbox) return { ok: false, code: 'too_many_calls', retryAfterMs: this.#limits.backOffMaxMs };
    return null;
  }

  #overCap(key: string, cap: KeyCap | null, amount: bigint, now: number): OpenRefused | null {
    if (cap === null || amount === 0n) return null;
    const { remaining, resetsAt } = this.#caps.state(key, cap, now);
    if (amount <= remaining) return null;
    const reset = resetsAt === null ? {} : { resetAt: resetsAt, retryAfterMs: resetsAt - now };
    return { ok: false, code: 'key_cap_reached', required: amount, available: remaining, ...reset };
  }

  /** Only Postgres says that there is no more. */
  #uncovered(amount: bigint, now: number, effects: Effect[]): OpenRefused | Short | null {
    if (this.#leases.covers(amount)) return null;
    const more = this.#leases.request(amount, now, effects);
    this.#arm(this.#leases.due(), effects);
    if (more === 'coming') return 'short';
    if (more === 'away') return { ok: false, code: 'unavailable', retryAfterMs: this.#leases.retryMs(now) };
    const { left, free } = this.#leases;
    return { ok: false, code: 'insufficient_credit', required: amount, available: free + (left === null ? 0n : left.cash + left.promo) };
  }

  #after(row: CallRow, now: number, effects: Effect[]): void {
    if (row.hold > 0n) this.#leases.refill(now, effects);
    this.#arm(this.#calls.dueOf(row), effects);
  }

  /** Postgres' answer to a move of the lease. */
  moved(epoch: number, n: number, answer: MoveAnswer, now: number): Turn<void> {
    return this.#turn((effects) => {
      if (!this.#leases.moved(epoch, n, answer, now, effects)) return;
      const { balance } = this.#leases;
      if (balance !== null) this.#alerts.onBalance(balance, now, effects);
      this.#rearm(effects);
    });
  }

  moveFailed(epoch: number, n: number, now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#leases.moveFailed(epoch, n, now);
      this.#rearm(effects);
    });
  }

  widen(call: CallId, agents: readonly string[]): Turn<boolean> {
    return this.#turn((effects) => this.#calls.widen(call, agents, effects));
  }

  close(call: CallId, attempts: number, code: string, now: number): Turn<void> {
    return this.#turn((effects) => {
      this.#calls.close(call, attempts, code, now, effects);
      this.#arm(this.#outbox.due(), effects);
    });
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
      this.#gone(this.#outbox.sent(through, effects), effects);
      this.#calls.sweep(now, effects);
      this.#rearm(effects);
    });
  }

  /** `fenced`: of a call in the batch the lease was taken back. */
  flushFailed(through: number, why: 'rows' | 'fenced' | 'down', now: number): Turn<void> {
    return this.#turn((effects) => {
      const aside = this.#outbox.failed(through, why === 'down' ? 'down' : 'rows', now, effects);
      this.#gone(aside, effects);
      if (why === 'fenced') this.#leases.fenced(aside, now, effects);
      this.#rearm(effects);
    });
  }

  mirrored(keys: readonly KeyRow[]): Turn<void> {
    return this.#turn((effects) => {
      for (const key of this.#keys.mirrored(keys, effects)) this.#caps.forget(key, effects);
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
      this.#leases.wake(now, effects);
      this.#alerts.wake(now, effects);
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

  /** Calls that Postgres has, or will never take. */
  #gone(rows: readonly CallRow[], effects: Effect[]): void {
    this.#leases.flushed(rows, effects);
    this.#caps.flushed(rows, (key) => this.#keys.has(key), effects);
  }

  #restore(rows: Iterable<Row>): void {
    const poison: PoisonRow[] = [];
    const calls: CallRow[] = [];
    let flushed = 0;
    for (const row of rows) {
      if (row.kind === 'profile') this.#profile = row.value;
      else if (row.kind === 'key') this.#keys.restore(row.value);
      else if (row.kind === 'nonce') this.#nonces.restore(row.value);
      else if (row.kind === 'poison') poison.push(row.value);
      else if (row.kind === 'meta') ({ flushed } = row.value);
      else if (row.kind === 'lease') this.#leases.restore(row.value);
      else if (row.kind === 'tally') this.#caps.restore(row.value);
      else if (row.kind === 'overrides') this.#overrides = row.value.list;
      else if (row.kind === 'alerts') this.#alerts.restore(row.value);
      else calls.push(row.value);
    }
    for (const row of calls.sort((a, b) => a.openedAt - b.openedAt)) this.#calls.restore(row);
    const closed = calls.filter((row) => row.seq !== null).sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    for (const row of [...closed, ...calls.filter((row) => row.seq === null)]) {
      const done = row.seq !== null && row.seq <= flushed;
      this.#leases.restoreCall(row, done);
      this.#caps.restoreCall(row, done);
    }
    this.#outbox.restore(flushed, closed, poison);
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
    const dues = [
      this.#nonces.due(),
      this.#outbox.due(),
      this.#calls.due(),
      this.#calls.sweepDue(),
      this.#keys.due(),
      this.#leases.due(),
      this.#alerts.due(),
    ];
    return dues.reduce((least, due) => (due === null ? least : Math.min(least ?? Infinity, due)), null);
  }
}

function opened({ terms, hold, allowance }: CallRow, rate: RateState): OpenAnswer {
  return { ok: true, terms, hold, allowance, rate };
}
