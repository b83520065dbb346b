/** Postgres: statements on their way to the bank and back, sometimes lost, late, repeated, or done without saying so. */
import type { CallRecord } from '../../../db/calls.ts';
import type { LeaseAnswer, LeaseAsk } from '../../../db/leases.ts';
import type { UsageRecord } from '../../../db/usage.ts';
import { Bank, Refused, type Money } from '../bank.ts';
import type { Host } from '../network.ts';
import type { Sim } from '../sim.ts';

export type Statement = 'draw' | 'flush' | 'mirror';
/** `down`: it did not answer, and may have done it all the same. */
export type Failure = Refused['why'] | 'down';

/** Milliseconds after which a driver gives a silent connection up. */
const SILENCE_MS = 10_000;
/** Milliseconds of a statement that went as it should, at most; and for how long an Account waits after one that did not. */
const PROMPT_MS = 1_000;
const BACK_OFF_MS = 30_000;

/** A draw under way or over (unix ms). */
interface Draw {
  account: string;
  sentAt: number;
  doneAt: number;
  endedAt: number;
  ok: boolean;
}

export class PostgresNode {
  readonly bank = new Bank();
  /** Of calls, by `call/attempt`. */
  readonly usage = new Map<string, UsageRecord>();
  /** Unix milliseconds until when it does not answer. */
  downUntil = 0;
  private readonly draws: Draw[] = [];
  /** Calls that their Account knows to be in. */
  private readonly told = new Set<string>();
  private readonly sim: Sim;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  draw(from: Host, ask: LeaseAsk, done: (answer: LeaseAnswer) => void, failed: (why: Failure) => void): void {
    const draw: Draw = { account: ask.accountId, sentAt: this.sim.now, doneAt: Infinity, endedAt: Infinity, ok: true };
    this.draws.push(draw);
    const ended = (ok: boolean): void => {
      draw.endedAt = this.sim.now;
      draw.ok = ok;
    };
    const move = (): LeaseAnswer => {
      draw.doneAt = this.sim.now;
      return this.bank.moveLease(ask);
    };
    this.statement(from, 'draw', move, done, failed, ended);
  }

  /** When what was said to an account since then was so (unix ms): an answer may be long on its way. */
  saidSince(account: string, since: number): number {
    const said = this.draws.filter((draw) => draw.account === account && draw.endedAt >= since && draw.endedAt <= this.sim.now);
    return said.reduce((first, { doneAt }) => Math.min(first, doneAt), since);
  }

  credit(account: string, amount: Money): void {
    this.bank.credit(account, amount);
    this.sim.books.moved();
  }

  /** The operator takes a lease for lost, though its object lives. */
  fence(account: string, epoch: number): void {
    this.sim.books.fence(account, epoch);
    this.bank.fence(account, epoch);
    this.sim.books.moved();
  }

  /** Whether since then (unix ms) an account had to do without an answer to a draw, or still waits before the next. */
  wasAway(account: string, since: number): boolean {
    const { now } = this.sim;
    return this.draws.some((draw) => {
      const slow = Math.min(draw.endedAt, now) - draw.sentAt > PROMPT_MS;
      return draw.account === account && (slow || !draw.ok) && draw.endedAt + BACK_OFF_MS >= since;
    });
  }

  /** `done` says whether the Account had waited for this answer. */
  flush(from: Host, records: readonly CallRecord[], done: () => boolean, failed: (why: Failure) => void): void {
    for (const { callId } of records)
      if (this.told.has(callId)) this.sim.fail('a call is flushed until it is acknowledged', `${callId} is sent again`);
    const flush = (): void => {
      this.bank.flushCalls(records);
      const calls = records.filter(({ kind }) => kind === 'call');
      for (const { attempts } of calls) for (const row of attempts) this.usage.set(`${row.callId}/${row.attempt}`, row);
    };
    const acknowledged = (): void => {
      if (done()) for (const { callId } of records) this.told.add(callId);
    };
    this.statement(from, 'flush', flush, acknowledged, failed);
  }

  mirror(from: Host, done: () => void, failed: (why: Failure) => void): void {
    this.statement(from, 'mirror', () => {}, done, failed);
  }

  /**
   * One statement there and back. It arrives even if whoever sent it dies meanwhile; the answer is nobody's then. `ended`:
   * whoever there is, an answer is there.
   */
  private statement<T>(
    from: Host,
    what: Statement,
    work: () => T,
    done: (value: T) => void,
    failed: (why: Failure) => void,
    ended: (ok: boolean) => void = () => {},
  ): void {
    const { clock, random, faults } = this.sim;
    const { life } = from;
    const tell = (ms: number, answer: { is: T } | Failure): void =>
      clock.after(ms, () => {
        ended(typeof answer !== 'string');
        if (from.life !== life) return;
        if (typeof answer === 'string') failed(answer);
        else done(answer.is);
      });
    if (faults.take('sql_lost', what)) return tell(SILENCE_MS, 'down');
    const unknown = faults.take('sql_unknown', what);
    const late = faults.take('sql_late', what) ? random.int(100, 45_000) : 0;
    const lateBack = faults.take('sql_reply_late', what) ? random.int(100, 45_000) : 0;
    const arrive = (): { is: T } | Failure => (clock.now < this.downUntil ? 'down' : this.carryOut(what, work));
    clock.after(random.int(1, 20) + late, () => {
      const answer = arrive();
      tell(random.int(1, 10) + lateBack, unknown ? 'down' : answer);
    });
    if (faults.take('sql_twice', what)) clock.after(random.int(1, 30_000), arrive);
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
    } finally {
      sim.books.moved();
    }
  }
}
