/** The shell of an Account object: rows, the alarm, and what is asked of Miner objects and Postgres. Rules are in `core.ts`. */
import { DurableObject } from 'cloudflare:workers';
import { connect, flushCalls, isFenced, isRowFault, moveLease, upsertKeys, type LeaseAnswer } from '#db';
import type {
  AccountPort,
  CallId,
  ExtendAnswer,
  InquiryAnswer,
  KeyClaim,
  OpenAnswer,
  OpenAsk,
  RentAsk,
  Scope,
  Settlement,
} from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { event } from '../events.ts';
import type { Terms } from '../prices/terms.ts';
import { minerStub } from '../stubs.ts';
import { Together } from '../together.ts';
import {
  AccountCore,
  type AuthorizeAnswer,
  type CreateKeyAnswer,
  type KeyAnswer,
  type KeyView,
  type Money,
  type NewKey,
  type NonceAnswer,
  type Short,
} from './core.ts';
import type { Effect, Turn } from './effects.ts';
import type { KeyChange } from './keyring.ts';
import { ACCOUNT_LIMITS } from './limits.ts';
import { callRecord, keyRecord } from './records.ts';
import {
  decodeRow,
  encodeRow,
  type AlertRow,
  type AlertSettings,
  type CallRow,
  type KeyRow,
  type Override,
  type ProfileRow,
  type Row,
} from './rows.ts';
import { Waiters } from './waiters.ts';
import { post } from './webhook.ts';
import type { Answered, ReplayCall, ReplayRequest, Streamed, ToldAnswer, Unanswered } from './replays/ask.ts';
import { hostOf, streamed } from './replays/host.ts';
import { REPLAY_LIMITS } from './replays/limits.ts';
import { Replays } from './replays/replays.ts';

/** What leaves the object by an alarm; answered by an event of the core. */
type Errand = Extract<Effect, { kind: 'inquire' | 'flush' | 'mirror' | 'post' }>;
type Draw = Extract<Effect, { kind: 'draw' }>;

export class AccountObject extends DurableObject<Env> implements AccountPort {
  private readonly core: AccountCore;
  private readonly together = new Together();
  /** Calls that wait for credit. */
  private readonly waiters = new Waiters(ACCOUNT_LIMITS.parked, ACCOUNT_LIMITS.parkMs);
  private readonly replays: Replays;
  /** An object that was never registered has no table. */
  private hasTable: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.hasTable = ctx.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'rows'").toArray().length > 0;
    this.core = new AccountCore(this.readRows());
    this.replays = new Replays(hostOf(ctx, env, this), REPLAY_LIMITS);
    void ctx.blockConcurrencyWhile(() => this.restoreAlarm());
  }

  // ── registration, keys, signed requests ──

  register(profile: Omit<ProfileRow, 'createdAt'>): Promise<boolean> {
    return this.run(this.core.register(profile, Date.now()));
  }

  createKey(key: NewKey): Promise<CreateKeyAnswer> {
    return this.run(this.core.createKey(key, Date.now()));
  }

  listKeys(): Promise<KeyView[]> {
    return Promise.resolve(this.core.listKeys(Date.now()));
  }

  changeKey(key: string, change: KeyChange): Promise<KeyView | null> {
    return this.run(this.core.changeKey(key, change, Date.now()));
  }

  thisKey(claim: KeyClaim): Promise<KeyAnswer> {
    return Promise.resolve(this.core.thisKey(claim, Date.now()));
  }

  revokeKey(key: string): Promise<boolean> {
    return this.run(this.core.revokeKey(key, Date.now()));
  }

  authorize(claim: KeyClaim, scope: Scope): Promise<AuthorizeAnswer> {
    return Promise.resolve(this.core.authorize(claim, scope, Date.now()));
  }

  spendNonce(nonce: string): Promise<NonceAnswer> {
    return this.run(this.core.spendNonce(nonce, Date.now()));
  }

  // ── calls ──

  open(ask: OpenAsk): Promise<OpenAnswer> {
    const opened = (parked: boolean) => this.together.ask(() => this.apply(this.core.open(ask, Date.now(), parked)), ask.crowd === true);
    return this.covered(opened, { ok: false, code: 'unavailable', retryAfterMs: 1_000 });
  }

  /** Before an attempt goes to an agent that `open` did not name; false: too late or too many. */
  widen(call: CallId, agents: string[]): Promise<boolean> {
    return this.run(this.core.widen(call, agents));
  }

  close(call: CallId, attempts: number, code: string): Promise<void> {
    return this.run(this.core.close(call, attempts, code, Date.now()));
  }

  extend(call: CallId, tokens: number): Promise<ExtendAnswer> {
    return this.known(() => this.run(this.core.extend(call, tokens, Date.now())));
  }

  rent(ask: RentAsk): Promise<boolean> {
    return this.known(() => this.run(this.core.rent(ask, Date.now())));
  }

  settle(settlements: Settlement[]): Promise<string[]> {
    return this.run(this.core.settle(settlements, Date.now()));
  }

  getCall(call: CallId): Promise<CallRow | null> {
    return Promise.resolve(this.core.call(call));
  }

  /** Newest first. */
  recentCalls(count: number): Promise<CallRow[]> {
    return Promise.resolve(this.core.recent(count));
  }

  // ── money ──

  money(): Promise<Money> {
    return Promise.resolve(this.core.money());
  }

  /** All prices of its own that the account has. False: too many. */
  setOverrides(list: Override[]): Promise<boolean> {
    return this.run(this.core.setOverrides(list));
  }

  setAlerts(settings: AlertSettings): Promise<void> {
    return this.run(this.core.setAlerts(settings));
  }

  alerts(): Promise<{ settings: AlertSettings; list: AlertRow[] }> {
    const { settings, list } = this.core.alerts();
    return Promise.resolve({ settings, list: [...list] });
  }

  /** What a chute's terms are for this account. */
  termsFor(chute: string, terms: Terms): Promise<Terms> {
    return Promise.resolve(this.core.termsFor(chute, terms, Date.now()));
  }

  /** Asks the core again after every answer of Postgres about the lease, for a few seconds. */
  private async covered<A>(ask: (parked: boolean) => Promise<A | Short>, otherwise: A): Promise<A> {
    const until = Date.now() + ACCOUNT_LIMITS.parkMs;
    for (let parked = false; ; parked = true) {
      const seen = this.waiters.count;
      const answer = await ask(parked);
      if (answer !== 'short') return answer;
      if (Date.now() >= until || !(await this.waiters.wait(seen))) return otherwise;
    }
  }

  /** Throws while it cannot be said whether the account can pay: who asked asks again. */
  private async known<A>(ask: () => Promise<A | Short | null>): Promise<A> {
    const answer = await this.covered<A | null>(ask, null);
    if (answer === null) throw new Error('the credit of the account is not known now');
    return answer;
  }

  private async draw({ epoch, n, want, cash, promo }: Draw): Promise<void> {
    const accountId = this.core.profile?.account;
    if (accountId === undefined) return;
    let answer: LeaseAnswer | null = null;
    try {
      answer = await moveLease(connect(this.env), { accountId, epoch, n, want, cash, promo });
      if (answer.kind === 'stale') event('lease_lost', { account: accountId, epoch, newest: answer.epoch });
    } catch {
      event('ask_failed', { of: 'postgres', what: 'lease', account: accountId });
    }
    const now = Date.now();
    this.apply(answer === null ? this.core.moveFailed(epoch, n, now) : this.core.moved(epoch, n, answer, now));
    this.waiters.wake();
  }

  // ── requests with an Idempotency-Key: see replays/ ──

  get registered(): boolean {
    return this.core.profile !== null;
  }

  async replay(ask: ReplayCall): Promise<Answered<Streamed>> {
    return streamed(await this.replays.call(ask));
  }

  async replayRequest(ask: ReplayRequest): Promise<Answered<Streamed> | Unanswered> {
    return streamed(await this.replays.request(ask));
  }

  replayAnswered(told: ToldAnswer): Promise<void> {
    return this.replays.answered(told);
  }

  /** For fault tests: dies as by a crash. */
  reset(): void {
    if (this.env.FAULTS === '1') this.ctx.abort('fault test');
  }

  // ── the alarm and its errands ──

  override async alarm(): Promise<void> {
    this.replays.sweep();
    const turn = this.core.wake(Date.now());
    this.apply(turn);
    if (this.core.empty) await this.vanish();
    await Promise.all(turn.effects.filter(isErrand).map((errand) => this.send(errand)));
  }

  private send(errand: Errand): Promise<void> {
    switch (errand.kind) {
      case 'inquire':
        return this.inquire(errand.call, errand.agent);
      case 'flush':
        return this.flush(errand.through, errand.calls);
      case 'mirror':
        return this.mirror(errand.keys);
      case 'post':
        return this.post(errand);
    }
  }

  private async inquire(call: CallId, agent: string): Promise<void> {
    let answer: InquiryAnswer | null = null;
    try {
      answer = await minerStub(this.env, agent).inquire(call);
    } catch {
      event('ask_failed', { of: 'miner', what: 'inquire', agent, call });
    }
    await this.run(this.core.inquired(call, agent, answer, Date.now()));
  }

  private async flush(through: number, calls: CallRow[]): Promise<void> {
    const account = this.core.profile?.account;
    if (account === undefined) return;
    try {
      await flushCalls(
        connect(this.env),
        calls.map((row) => callRecord(account, row)),
      );
    } catch (error) {
      const why = isFenced(error) ? 'fenced' : isRowFault(error) ? 'rows' : 'down';
      const [first] = calls;
      if (why !== 'down' && calls.length === 1 && first) event('call_quarantined', { account, call: first.call, why });
      return this.run(this.core.flushFailed(through, why, Date.now()));
    }
    return this.run(this.core.flushed(through, Date.now()));
  }

  private async post({ alert, webhook }: Extract<Errand, { kind: 'post' }>): Promise<void> {
    const account = this.core.profile?.account;
    if (account === undefined) return;
    const ok = await post(account, alert, webhook, Date.now());
    if (!ok) event('ask_failed', { of: 'webhook', what: alert.id, account });
    return this.run(this.core.posted(alert.id, ok, Date.now()));
  }

  private async mirror(keys: KeyRow[]): Promise<void> {
    const account = this.core.profile?.account;
    if (account === undefined) return;
    try {
      await upsertKeys(
        connect(this.env),
        keys.map((key) => keyRecord(account, key)),
      );
    } catch {
      return this.run(this.core.mirrorFailed(Date.now()));
    }
    return this.run(this.core.mirrored(keys));
  }

  // ── rows ──

  /** Everything of a turn is written before its answer leaves: the platform holds answers back until the disk has it. */
  private run<A>(turn: Turn<A>): Promise<A> {
    return Promise.resolve(this.apply(turn));
  }

  private apply<A>({ answer, effects }: Turn<A>): A {
    try {
      for (const effect of effects) this.applyOne(effect);
      return answer;
    } catch (error) {
      this.ctx.abort('a row could not be written'); // memory is ahead of the disk: start again from the rows
      throw error;
    }
  }

  private applyOne(effect: Effect): void {
    const { sql } = this.ctx.storage;
    switch (effect.kind) {
      case 'put':
        this.makeTable();
        sql.exec('INSERT OR REPLACE INTO rows (kind, id, value) VALUES (?, ?, ?)', effect.row.kind, effect.row.id, encodeRow(effect.row));
        return;
      case 'delete':
        sql.exec('DELETE FROM rows WHERE kind = ? AND id = ?', effect.row, effect.id);
        return;
      case 'alarm':
        this.arm();
        return;
      case 'draw':
        this.ctx.waitUntil(this.draw(effect));
        return;
      case 'inquire':
      case 'flush':
      case 'mirror':
      case 'post':
        return; // sent by the alarm
    }
  }

  private makeTable(): void {
    if (this.hasTable) return;
    this.ctx.storage.sql.exec('CREATE TABLE rows (kind TEXT, id TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID');
    this.hasTable = true;
  }

  private readRows(): Row[] {
    if (!this.hasTable) return [];
    const cursor = this.ctx.storage.sql.exec<{ kind: string; id: string; value: string }>('SELECT kind, id, value FROM rows');
    return cursor.toArray().map((row) => decodeRow(row.kind, row.id, row.value));
  }

  /** The one alarm is for what is due first. */
  arm(): void {
    const at = this.due;
    void (at === null ? this.ctx.storage.deleteAlarm() : this.ctx.storage.setAlarm(alarmTime(at)));
  }

  private get due(): number | null {
    return earliest(this.core.alarmAt, this.replays.due);
  }

  /**
   * The platform keeps an alarm over restarts; this is for one that was lost with a failed handler, or that is later than
   * what is due by the rows: the core takes it for set, and would not bring it forward.
   */
  private async restoreAlarm(): Promise<void> {
    const { due } = this;
    if (due === null) return;
    const set = await this.ctx.storage.getAlarm();
    if (set === null || set > alarmTime(due)) this.arm();
  }

  /** Only nonces of a hotkey without an account were here, and they expired. */
  private async vanish(): Promise<void> {
    await this.ctx.storage.deleteAll();
    this.hasTable = false;
  }
}

function earliest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** For the core any time in the past means now; the platform wants a positive one. */
function alarmTime(at: number): number {
  return Math.max(at, 1);
}

function isErrand(effect: Effect): effect is Errand {
  return effect.kind === 'inquire' || effect.kind === 'flush' || effect.kind === 'mirror' || effect.kind === 'post';
}
