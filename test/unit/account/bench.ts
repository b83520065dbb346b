/** A core with a disk: rows as the shell would keep them, the alarm, and what was asked of the outside. */
import { AccountCore } from '../../../functions/account/core.ts';
import type { Price } from '../../../functions/account/calls.ts';
import type { Effect, Turn } from '../../../functions/account/effects.ts';
import { ACCOUNT_LIMITS, type AccountLimits } from '../../../functions/account/limits.ts';
import { decodeRow, encodeRow, type Row } from '../../../functions/account/rows.ts';
import type { OpenAsk, Settlement } from '../../../functions/calls/ports.ts';

export const CLAIM = { account: 'acc_a', key: 'key_a', proof: 'p'.repeat(64) };
export const PROFILE = { account: 'acc_a', hotkey: '5Hot', handle: 'alice' };
export const T0 = 1_790_000_000_000;

export class Bench {
  readonly disk = new Map<string, string>();
  readonly limits: AccountLimits;
  readonly price: Price;
  core: AccountCore;
  now = T0;
  alarm: number | null = null;
  writes = 0;
  sent: Exclude<Effect, { kind: 'put' | 'delete' | 'alarm' }>[] = [];

  constructor(limits: Partial<AccountLimits> = {}, price: Price = () => 0n) {
    this.limits = { ...ACCOUNT_LIMITS, ...limits };
    this.price = price;
    this.core = this.load();
  }

  /** With the account and one key that may do everything. */
  static registered(limits: Partial<AccountLimits> = {}, price?: Price): Bench {
    const bench = new Bench(limits, price);
    bench.run(bench.core.register(PROFILE, bench.now));
    bench.run(
      bench.core.createKey(
        { key: CLAIM.key, name: 'first', proof: CLAIM.proof, scopes: ['invoke', 'read', 'write', 'keys'], expiresAt: null },
        bench.now,
      ),
    );
    bench.run(bench.core.mirrored(bench.wake().flatMap((e) => (e.kind === 'mirror' ? e.keys : []))));
    bench.writes = 0;
    return bench;
  }

  run<A>(turn: Turn<A>): A {
    for (const effect of turn.effects) this.apply(effect);
    return turn.answer;
  }

  /** The alarm rings now; returns what was asked of the outside by it. */
  wake() {
    this.sent = [];
    this.run(this.core.wake(this.now));
    return this.sent;
  }

  open(call: string, change: Partial<OpenAsk> = {}) {
    return this.run(this.core.open(ask(call, change), this.now));
  }

  settle(...settlements: Settlement[]) {
    return this.run(this.core.settle(settlements, this.now));
  }

  /** The object is evicted and comes back. */
  rebuild(): void {
    this.core = this.load();
  }

  rows(): Row[] {
    return [...this.disk].map(([key, value]) => {
      const [kind = '', id = ''] = key.split(' ');
      return decodeRow(kind, id, value);
    });
  }

  private load(): AccountCore {
    return new AccountCore(this.rows(), this.limits, this.price);
  }

  private apply(effect: Effect): void {
    if (effect.kind === 'put') this.disk.set(`${effect.row.kind} ${effect.row.id}`, encodeRow(effect.row));
    else if (effect.kind === 'delete') this.disk.delete(`${effect.row} ${effect.id}`);
    else if (effect.kind === 'alarm') this.alarm = effect.at;
    else this.sent.push(effect);
    if (effect.kind === 'put' || effect.kind === 'delete') this.writes++;
  }
}

export function ask(call: string, change: Partial<OpenAsk> = {}): OpenAsk {
  return {
    call,
    claim: CLAIM,
    chute: { id: 'cht_1', owner: 'acc_z', public: true },
    version: 'v',
    quote: 0n,
    agents: ['agt_1', 'agt_2'],
    deadlineMs: 60_000,
    ...change,
  };
}

export function settlement(call: string, attempt = 0, change: Partial<Settlement> = {}): Settlement {
  return {
    call,
    attempt,
    account: CLAIM.account,
    key: CLAIM.key,
    chute: 'cht_1',
    version: 'v',
    instance: 'ins_1',
    agent: 'agt_1',
    hotkey: '5Miner',
    outcome: 'completed',
    code: '',
    final: true,
    bytes: 10,
    tokensIn: 3,
    tokensOut: 7,
    startedAt: T0,
    firstByteMs: 5,
    lastByteMs: 9,
    receipt: null,
    ...change,
  };
}
