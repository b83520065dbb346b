/** The shell of an Account object in the simulator: `functions/account/object.ts`, effect by effect. */
import type { InquiryAnswer, OpenAnswer, OpenAsk, Settlement } from '../../../functions/calls/ports.ts';
import { AccountCore } from '../../../functions/account/core.ts';
import type { Effect, Turn } from '../../../functions/account/effects.ts';
import { usageRecord } from '../../../functions/account/records.ts';
import { decodeRow, encodeRow } from '../../../functions/account/rows.ts';
import { ObjectHost } from '../network.ts';
import type { Sim } from '../sim.ts';

export class AccountNode extends ObjectHost {
  readonly name: string;
  readonly account: string;
  readonly rows = new Map<string, { kind: string; id: string; text: string }>();
  private readonly sim: Sim;
  private booted: AccountCore | null = null;

  constructor(sim: Sim, account: string) {
    super(sim.clock, sim.random, sim.faults);
    this.sim = sim;
    this.account = account;
    this.name = `account/${account}`;
  }

  get core(): AccountCore {
    this.boot();
    return this.booted as AccountCore;
  }

  boot(): void {
    if (this.booted !== null) return;
    const rows = [...this.rows.values()].map(({ kind, id, text }) => decodeRow(kind, id, text));
    this.booted = new AccountCore(rows);
    const { alarmAt } = this.booted;
    if (alarmAt !== null && this.getAlarm() === null) this.setAlarm(Math.max(alarmAt, 1));
  }

  protected forget(): void {
    this.booted = null;
  }

  /** Registered, with a key. */
  found(key: string, proof: string): void {
    this.run(this.core.register({ account: this.account, hotkey: `hotkey-${this.account}`, handle: 'demo' }, this.sim.now));
    this.run(this.core.createKey({ key, name: 'k', proof, scopes: ['invoke'], expiresAt: null }, this.sim.now));
  }

  open(ask: OpenAsk): OpenAnswer {
    return this.run(this.core.open(ask, this.sim.now));
  }

  widen(call: string, agents: string[]): boolean {
    return this.run(this.core.widen(call, agents));
  }

  close(call: string, attempts: number, code: string): void {
    this.run(this.core.close(call, attempts, code, this.sim.now));
  }

  settle(settlements: Settlement[]): string[] {
    return this.run(this.core.settle(settlements, this.sim.now));
  }

  protected onAlarm(): void {
    const { effects } = this.core.wake(this.sim.now);
    for (const effect of effects) this.applyOne(effect);
    for (const effect of effects) this.send(effect);
  }

  private send(effect: Effect): void {
    const { sim, core } = this;
    switch (effect.kind) {
      case 'inquire': {
        const { call, agent } = effect;
        const miner = sim.miner(agent);
        const told = (answer: InquiryAnswer | null): void => this.run(core.inquired(call, agent, answer, sim.now));
        sim.network.ask<InquiryAnswer>(
          this,
          miner,
          'inquire',
          (answer) => answer(miner.inquire(call)),
          told,
          () => told(null),
        );
        return;
      }
      case 'flush': {
        const { through, attempts } = effect;
        sim.postgres.insert(
          this,
          structuredClone(attempts).map(usageRecord),
          () => this.run(core.flushed(through, sim.now)),
          (why) => this.run(core.flushFailed(through, why === 'down' ? 'down' : 'rows', sim.now)),
        );
        return;
      }
      case 'mirror':
        sim.postgres.mirror(
          this,
          () => this.run(core.mirrored(effect.keys)),
          () => this.run(core.mirrorFailed(sim.now)),
        );
        return;
      case 'put':
      case 'delete':
      case 'alarm':
        return;
    }
  }

  private run<A>({ answer, effects }: Turn<A>): A {
    for (const effect of effects) this.applyOne(effect);
    this.sim.oracle.accountStepped(this);
    return answer;
  }

  private applyOne(effect: Effect): void {
    switch (effect.kind) {
      case 'put':
        this.rows.set(`${effect.row.kind} ${effect.row.id}`, { kind: effect.row.kind, id: effect.row.id, text: encodeRow(effect.row) });
        return;
      case 'delete':
        this.rows.delete(`${effect.row} ${effect.id}`);
        return;
      case 'alarm':
        this.setAlarm(effect.at === null ? null : Math.max(effect.at, 1));
        return;
      case 'inquire':
      case 'flush':
      case 'mirror':
        return;
    }
  }
}
