/** Postgres: statements on their way to the bank and back, sometimes lost, late, repeated, or done without saying so. */
import type { CallRecord } from '../../../db/calls.ts';
import type { LeaseAnswer, LeaseAsk } from '../../../db/leases.ts';
import type { UsageRecord } from '../../../db/usage.ts';
import { Bank, Refused } from '../bank.ts';
import type { Host } from '../network.ts';
import type { Sim } from '../sim.ts';

export type Statement = 'draw' | 'flush' | 'mirror';
/** `down`: it did not answer, and may have done it all the same. */
export type Failure = Refused['why'] | 'down';

/** Milliseconds after which a driver gives a silent connection up. */
const SILENCE_MS = 10_000;

export class PostgresNode {
  readonly bank = new Bank();
  /** By `call/attempt`. */
  readonly usage = new Map<string, UsageRecord>();
  /** Unix milliseconds until when it does not answer. */
  downUntil = 0;
  /** Calls of which the Account was told that they are in. */
  private readonly told = new Set<string>();
  private readonly sim: Sim;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  draw(from: Host, ask: LeaseAsk, done: (answer: LeaseAnswer) => void, failed: (why: Failure) => void): void {
    this.statement(from, 'draw', () => this.bank.moveLease(ask), done, failed);
  }

  flush(from: Host, records: readonly CallRecord[], done: () => void, failed: (why: Failure) => void): void {
    for (const { callId } of records)
      if (this.told.has(callId)) this.sim.fail('a call is flushed until it is acknowledged', `${callId} is sent again`);
    this.statement(
      from,
      'flush',
      () => {
        this.bank.flushCalls(records);
        for (const { attempts } of records) for (const row of attempts) this.usage.set(`${row.callId}/${row.attempt}`, row);
      },
      () => {
        for (const { callId } of records) this.told.add(callId);
        done();
      },
      failed,
    );
  }

  /** Usage without calls, as an Account flushes it that knows no leases. */
  insert(from: Host, records: readonly UsageRecord[], done: () => void, failed: (why: Failure) => void): void {
    const insert = (): void => {
      for (const row of records) this.usage.set(`${row.callId}/${row.attempt}`, row);
    };
    this.statement(from, 'flush', insert, done, failed);
  }

  mirror(from: Host, done: () => void, failed: (why: Failure) => void): void {
    this.statement(from, 'mirror', () => {}, done, failed);
  }

  /** One statement there and back. It arrives even if whoever sent it dies meanwhile; the answer is nobody's then. */
  private statement<T>(from: Host, what: Statement, work: () => T, done: (value: T) => void, failed: (why: Failure) => void): void {
    const { clock, random, faults } = this.sim;
    const { life } = from;
    const tell = (afterMs: number, told: () => void): void => clock.after(afterMs, () => from.life === life && told());
    if (faults.take('sql_lost', what)) return tell(SILENCE_MS, () => failed('down'));
    const unknown = faults.take('sql_unknown', what);
    const late = faults.take('sql_late', what) ? random.int(100, 45_000) : 0;
    const lateBack = faults.take('sql_reply_late', what) ? random.int(100, 45_000) : 0;
    const arrive = (answer: (value: { is: T } | Failure) => void): void => {
      if (clock.now < this.downUntil) return answer('down');
      const value = this.carryOut(what, work);
      answer(unknown ? 'down' : value);
    };
    clock.after(random.int(1, 20) + late, () =>
      arrive((answer) =>
        tell(random.int(1, 10) + lateBack, () => {
          if (typeof answer === 'string') failed(answer);
          else done(answer.is);
        }),
      ),
    );
    if (faults.take('sql_twice', what)) clock.after(random.int(1, 30_000), () => arrive(() => {}));
  }

  private carryOut<T>(what: Statement, work: () => T): { is: T } | Failure {
    const { sim } = this;
    try {
      const is = work();
      sim.trace.add(sim.now, `sql.${what}`, '');
      return { is };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      sim.trace.add(sim.now, `sql.${what}.${error.why}`, error.message);
      return error.why;
    }
  }
}
