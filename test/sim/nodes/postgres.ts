/** Postgres as far as usage goes: a table with a primary key, sometimes away, sometimes done without saying so. */
import type { UsageRecord } from '../../../db/usage.ts';
import type { Host } from '../network.ts';
import type { Sim } from '../sim.ts';

export class PostgresNode {
  readonly usage = new Map<string, UsageRecord>();
  /** Unix milliseconds until when it does not answer. */
  downUntil = 0;
  /** Attempts of which the Account was told that they are in. */
  private readonly told = new Set<string>();
  private readonly sim: Sim;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  insert(from: Host, records: UsageRecord[], done: () => void, failed: () => void): void {
    const { sim } = this;
    for (const record of records) {
      const key = `${record.callId}/${record.attempt}`;
      if (this.told.has(key)) sim.fail('usage is flushed once', `${key} was acknowledged and is sent again`);
    }
    const unknown = sim.faults.take('flush_unknown', from.name);
    this.reach(
      from,
      () => {
        for (const record of records) {
          const key = `${record.callId}/${record.attempt}`;
          if (!this.usage.has(key)) this.usage.set(key, record);
        }
        sim.trace.add(sim.now, 'flush', String(records.length));
        if (unknown) return failed();
        for (const record of records) this.told.add(`${record.callId}/${record.attempt}`);
        done();
      },
      failed,
    );
  }

  /** One statement there and back. */
  reach(from: Host, done: () => void, failed: () => void): void {
    const { life } = from;
    const { clock, random } = this.sim;
    clock.after(random.int(1, 30), () => {
      if (from.life !== life) return;
      if (clock.now < this.downUntil) failed();
      else done();
    });
  }
}
