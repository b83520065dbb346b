/** The shell of an Account object in the simulator: `functions/account/object.ts`, effect by effect. */
import type { ExtendAnswer, InquiryAnswer, OpenAnswer, OpenAsk, RentAsk, Settlement } from '../../../functions/calls/ports.ts';
import { AccountCore, type NewKey, type Short } from '../../../functions/account/core.ts';
import type { Effect, Turn } from '../../../functions/account/effects.ts';
import { ACCOUNT_LIMITS, type AccountLimits } from '../../../functions/account/limits.ts';
import { callRecord } from '../../../functions/account/records.ts';
import { decodeRow, encodeRow, type KeyCap, type Override } from '../../../functions/account/rows.ts';
import { SKEW_MS } from '../books.ts';
import { ObjectHost } from '../network.ts';
import type { Sim } from '../sim.ts';

export class AccountNode extends ObjectHost {
  readonly name: string;
  readonly account: string;
  readonly rows = new Map<string, { kind: string; id: string; text: string }>();
  /** The furthest its clock ever was, unix ms. */
  latest = 0;
  private readonly limits: AccountLimits;
  /** Chance that it is put out of memory after a turn. */
  private readonly sleepiness: number;
  private readonly skewed: boolean;
  /** Milliseconds by which its clock is behind; another machine's after each start. */
  private skewMs = 0;
  private errands = 0;
  private readonly waiting = new Set<(woken: boolean) => void>();
  private readonly sim: Sim;
  private booted: AccountCore | null = null;

  constructor(sim: Sim, account: string) {
    super(sim.clock, sim.random, sim.faults);
    this.sim = sim;
    this.account = account;
    this.name = `account/${account}`;
    // Ten minutes are long in a run: in most, credit comes and goes while calls do.
    this.limits = { ...ACCOUNT_LIMITS, idleMs: sim.random.pick([1_000, 5_000, 30_000, ACCOUNT_LIMITS.idleMs]) };
    this.sleepiness = sim.random.pick([0, 0, 0.1, 1]);
    this.skewed = sim.random.chance(0.3);
  }

  get core(): AccountCore {
    this.boot();
    return this.booted as AccountCore;
  }

  get idleMs(): number {
    return this.limits.idleMs;
  }

  /** Unix ms, by its own clock. */
  get now(): number {
    const now = this.sim.now - this.skewMs;
    this.latest = Math.max(this.latest, now);
    return now;
  }

  boot(): void {
    if (this.booted !== null) return;
    if (this.skewed) this.skewMs = this.sim.random.int(0, SKEW_MS);
    const rows = [...this.rows.values()].map(({ kind, id, text }) => decodeRow(kind, id, text));
    this.booted = new AccountCore(rows, this.limits);
    const { alarmAt } = this.booted;
    if (alarmAt !== null && this.getAlarm() === null) this.wakeAt(alarmAt);
  }

  protected forget(): void {
    this.booted = null;
    this.errands = 0;
    this.waiting.clear();
  }

  /** Out of memory, with nothing under way. */
  private evict(): void {
    const { sim } = this;
    if (this.sleepiness === 0 || this.booted === null || !this.idle || this.errands > 0 || !sim.faults.on) return;
    if (sim.random.chance(this.sleepiness)) this.crash();
  }

  // ── as its owner has it ──

  register(): void {
    this.run(this.core.register({ account: this.account, hotkey: `hotkey-${this.account}`, handle: 'demo' }, this.now));
  }

  found(keys: NewKey[], overrides: Override[]): void {
    for (const key of keys) this.run(this.core.createKey(key, this.now));
    this.run(this.core.setOverrides(overrides));
  }

  changeCap(key: string, cap: KeyCap | null): void {
    this.run(this.core.changeKey(key, { cap }, this.now));
  }

  // ── calls ──

  open(ask: OpenAsk, answer: (answer: OpenAnswer) => void): void {
    const since = this.sim.now;
    this.covered(
      () => this.core.open(ask, this.now),
      { ok: false, code: 'unavailable', retryAfterMs: 1_000 },
      (opened) => {
        this.sim.books.answered(this, ask, opened, since);
        answer(structuredClone(opened));
      },
    );
  }

  extend(call: string, tokens: number, answer: (answer: ExtendAnswer) => void): void {
    const asked = { id: call, tokens, before: this.sim.books.holdOf(this.account, call), since: this.sim.now };
    this.covered(
      () => this.core.extend(call, tokens, this.now),
      { ok: false },
      (extended) => {
        this.sim.trace.add(this.sim.now, `extend.${extended.ok ? 'ok' : 'refused'}`, `${call} ${tokens}`);
        this.sim.books.extended(this, asked, extended);
        answer(structuredClone(extended));
      },
    );
  }

  rent(ask: RentAsk, answer: (held: boolean | null) => void): void {
    const since = this.sim.now;
    this.covered<boolean | null>(
      () => this.core.rent(ask, this.now),
      null,
      (held) => {
        this.sim.books.rented(this, ask, held, since);
        answer(held);
      },
    );
  }

  widen(call: string, agents: string[]): boolean {
    return this.run(this.core.widen(call, agents));
  }

  close(call: string, attempts: number, code: string): void {
    this.run(this.core.close(call, attempts, code, this.now));
  }

  settle(settlements: Settlement[]): string[] {
    return this.run(this.core.settle(settlements, this.now));
  }

  /** Asks again after every answer of Postgres about the lease, for a few seconds. */
  private covered<A>(ask: () => Turn<A | Short>, otherwise: A, answer: (answer: A) => void): void {
    const { clock } = this.sim;
    const until = clock.now + this.limits.parkMs;
    const again = (woken: boolean): void => {
      if (!woken) return answer(otherwise);
      const told = this.run(ask());
      if (told !== 'short') return answer(told);
      if (clock.now >= until) return answer(otherwise);
      this.waiting.add(again);
      clock.after(this.limits.parkMs, () => this.waiting.delete(again) && again(false));
    };
    again(true);
  }

  // ── errands ──

  protected onAlarm(): void {
    this.run(this.core.wake(this.now));
  }

  private send(effect: Effect): void {
    const { sim, core } = this;
    this.errands++;
    const told = (turn: Turn<void>): void => {
      this.errands--;
      this.run(turn);
    };
    switch (effect.kind) {
      case 'inquire': {
        const { call, agent } = effect;
        const miner = sim.miner(agent);
        sim.network.ask<InquiryAnswer>(
          this,
          miner,
          'inquire',
          (answer) => answer(miner.inquire(call)),
          (answer) => told(core.inquired(call, agent, answer, this.now)),
          () => told(core.inquired(call, agent, null, this.now)),
        );
        return;
      }
      case 'flush': {
        const { through, calls } = effect;
        sim.postgres.flush(
          this,
          calls.map((row) => structuredClone(callRecord(this.account, row))),
          () => {
            const before = this.rows.get('meta meta')?.text;
            told(core.flushed(through, this.now));
            return this.rows.get('meta meta')?.text !== before;
          },
          (why) => told(core.flushFailed(through, why === 'down' ? 'down' : 'rows', this.now)),
        );
        return;
      }
      case 'draw': {
        const { epoch, n, want, cash, promo } = effect;
        const answered = (turn: Turn<void>): void => {
          told(turn);
          const woken = [...this.waiting];
          this.waiting.clear();
          for (const again of woken) again(true);
        };
        sim.postgres.draw(
          this,
          { accountId: this.account, epoch, n, want, cash, promo },
          (answer) => {
            if (answer.kind === 'stale') sim.books.lost(this.account, epoch, n);
            answered(core.moved(epoch, n, answer, this.now));
          },
          () => answered(core.moveFailed(epoch, n, this.now)),
        );
        return;
      }
      case 'post':
        return sim.fail('only what is asked for happens', `effect ${effect.kind} of ${this.name}`);
      case 'mirror':
        sim.postgres.mirror(
          this,
          () => told(core.mirrored(effect.keys)),
          () => told(core.mirrorFailed(this.now)),
        );
        return;
      case 'put':
      case 'delete':
      case 'alarm':
        return;
    }
  }

  // ── effects ──

  private run<A>({ answer, effects }: Turn<A>): A {
    for (const effect of effects) this.applyOne(effect);
    for (const effect of effects)
      if (effect.kind === 'inquire' || effect.kind === 'flush' || effect.kind === 'draw' || effect.kind === 'mirror') this.send(effect);
    this.sim.oracle.accountStepped(this);
    this.sim.clock.after(0, () => this.evict());
    return answer;
  }

  private applyOne(effect: Effect): void {
    switch (effect.kind) {
      case 'put':
        this.rows.set(`${effect.row.kind} ${effect.row.id}`, { kind: effect.row.kind, id: effect.row.id, text: encodeRow(effect.row) });
        this.sim.books.written(this.account, effect.row);
        return;
      case 'delete':
        this.rows.delete(`${effect.row} ${effect.id}`);
        this.sim.books.deleted(this.account, effect.row, effect.id);
        return;
      case 'alarm':
        this.wakeAt(effect.at);
        return;
      case 'inquire':
      case 'flush':
      case 'draw':
      case 'mirror':
      case 'post':
        return;
    }
  }

  private wakeAt(at: number | null): void {
    this.setAlarm(at === null ? null : Math.max(at + this.skewMs, 1));
  }
}
