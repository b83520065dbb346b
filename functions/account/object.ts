/** The shell of an Account object: rows, the alarm, and what is asked of Miner objects and Postgres. Rules are in `core.ts`. */
import { DurableObject } from 'cloudflare:workers';
import { connect, insertUsage, isRowFault, upsertKeys } from '#db';
import type { AccountPort, CallId, ExtendAnswer, InquiryAnswer, KeyClaim, OpenAnswer, OpenAsk, Scope, Settlement } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { event } from '../events.ts';
import { minerStub } from '../stubs.ts';
import { Together } from '../together.ts';
import { AccountCore, type AuthorizeAnswer, type CreateKeyAnswer, type NewKey, type NonceAnswer } from './core.ts';
import type { Effect, Turn } from './effects.ts';
import type { KeyView } from './keyring.ts';
import { keyRecord, usageRecord } from './records.ts';
import { decodeRow, encodeRow, type AttemptRow, type CallRow, type KeyRow, type ProfileRow, type Row } from './rows.ts';

/** What leaves the object: sent by an alarm, answered by an event of the core. */
type Errand = Extract<Effect, { kind: 'inquire' | 'flush' | 'mirror' }>;

export class AccountObject extends DurableObject<Env> implements AccountPort {
  private readonly core: AccountCore;
  private readonly together = new Together();
  /** An object that was never registered has no table. */
  private hasTable: boolean;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.hasTable = ctx.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'rows'").toArray().length > 0;
    this.core = new AccountCore(this.readRows());
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
    return Promise.resolve(this.core.listKeys());
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
    return this.together.ask(() => this.apply(this.core.open(ask, Date.now())), ask.crowd === true);
  }

  /** Before an attempt goes to an agent that `open` did not name; false: too late or too many. */
  widen(call: CallId, agents: string[]): Promise<boolean> {
    return this.run(this.core.widen(call, agents));
  }

  close(call: CallId, attempts: number, code: string): Promise<void> {
    return this.run(this.core.close(call, attempts, code, Date.now()));
  }

  extend(): Promise<ExtendAnswer> {
    return Promise.resolve({ ok: false });
  }

  rent(): Promise<boolean> {
    return Promise.resolve(false);
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

  /** For fault tests: dies as by a crash. */
  reset(): void {
    if (this.env.FAULTS === '1') this.ctx.abort('fault test');
  }

  // ── the alarm and its errands ──

  override async alarm(): Promise<void> {
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
        return this.flush(errand.through, errand.attempts);
      case 'mirror':
        return this.mirror(errand.keys);
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

  private async flush(through: number, attempts: AttemptRow[]): Promise<void> {
    try {
      await insertUsage(connect(this.env), attempts.map(usageRecord));
    } catch (error) {
      const why = isRowFault(error) ? 'rows' : 'down';
      const [first] = attempts;
      if (why === 'rows' && attempts.length === 1 && first)
        event('usage_quarantined', { call: first.settlement.call, attempt: first.settlement.attempt });
      return this.run(this.core.flushFailed(through, why, Date.now()));
    }
    return this.run(this.core.flushed(through, Date.now()));
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
        void (effect.at === null ? this.ctx.storage.deleteAlarm() : this.ctx.storage.setAlarm(alarmTime(effect.at)));
        return;
      case 'inquire':
      case 'flush':
      case 'mirror':
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

  /** The platform keeps an alarm over restarts; this is for one that was lost with a failed handler. */
  private async restoreAlarm(): Promise<void> {
    const { alarmAt } = this.core;
    if (alarmAt !== null && (await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(alarmTime(alarmAt));
  }

  /** Only nonces of a hotkey without an account were here, and they expired. */
  private async vanish(): Promise<void> {
    await this.ctx.storage.deleteAll();
    this.hasTable = false;
  }
}

/** For the core any time in the past means now; the platform wants a positive one. */
function alarmTime(at: number): number {
  return Math.max(at, 1);
}

function isErrand(effect: Effect): effect is Errand {
  return effect.kind === 'inquire' || effect.kind === 'flush' || effect.kind === 'mirror';
}
