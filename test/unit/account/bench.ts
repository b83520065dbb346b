/** A core with a disk: rows as the shell would keep them, the alarm, and what was asked of the outside. */
import { AccountCore } from '../../../functions/account/core.ts';
import type { Effect, Turn } from '../../../functions/account/effects.ts';
import { ACCOUNT_LIMITS, type AccountLimits } from '../../../functions/account/limits.ts';
import { decodeRow, encodeRow, type Row } from '../../../functions/account/rows.ts';
import type { OpenAnswer, OpenAsk, Settlement } from '../../../functions/calls/ports.ts';
import { FREE } from '../../../functions/prices/now.ts';
import type { Price, Terms } from '../../../functions/prices/terms.ts';
import { Bank } from './bank.ts';

export const CLAIM = { account: 'acc_a', key: 'key_a', proof: 'p'.repeat(64) };
export const PROFILE = { account: 'acc_a', hotkey: '5Hot', handle: 'alice' };
export const T0 = 1_790_000_000_000;

export class Bench {
  readonly disk = new Map<string, string>();
  readonly limits: AccountLimits;
  readonly bank: Bank;
  core: AccountCore;
  now = T0;
  alarm: number | null = null;
  writes = 0;
  sent: Exclude<Effect, { kind: 'put' | 'delete' | 'alarm' }>[] = [];

  constructor(limits: Partial<AccountLimits> = {}, bank = new Bank()) {
    this.limits = { ...ACCOUNT_LIMITS, ...limits };
    this.bank = bank;
    this.core = this.load();
  }

  /** With the account and one key that may do everything. */
  static registered(limits: Partial<AccountLimits> = {}, bank?: Bank): Bench {
    const bench = new Bench(limits, bank);
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

  /** Postgres answers at once where it is asked for credit. */
  open(call: string, change: Partial<OpenAsk> = {}): OpenAnswer {
    return this.covered(() => this.run(this.core.open(ask(call, change), this.now)));
  }

  covered<A>(act: () => A | 'short'): A {
    for (let tries = 0; tries < 5; tries++) {
      const answer = act();
      this.answerDraws();
      if (answer !== 'short') return answer;
    }
    throw new Error('short for ever');
  }

  /** The moves of the lease that are under way. */
  draws() {
    const draws = this.sent.filter((effect) => effect.kind === 'draw');
    this.sent = this.sent.filter((effect) => effect.kind !== 'draw');
    return draws;
  }

  answerDraws(): void {
    for (const draw of this.draws()) this.run(this.core.moved(draw.epoch, draw.n, this.bank.move(draw.epoch, draw), this.now));
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
    return new AccountCore(this.rows(), this.limits);
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
    terms: FREE,
    facts: { requestBytes: 0, maxTokens: 0, timeoutMs: 60_000, images: 0, steps: 0 },
    extensible: false,
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
    status: 200,
    tokensIn: 3,
    cachedIn: null,
    tokensOut: 0,
    waitedMs: 0,
    cold: false,
    region: '',
    startedAt: T0,
    firstByteMs: 5,
    lastByteMs: 9,
    receipt: null,
    ...change,
  };
}

export function terms(price: Partial<Price>, change: Partial<Omit<Terms, 'price'>> = {}): Terms {
  return { ...FREE, version: 'p1', ...change, price: { ...FREE.price, ...price } };
}

/** A call that is quoted 250, and costs 100 by every attempt that delivers without an output token. */
export const PAID: Partial<OpenAsk> = {
  terms: terms({ per_request: 100, output_per_million: 1_000_000 }),
  facts: { requestBytes: 0, maxTokens: 150, timeoutMs: 60_000, images: 0, steps: 0 },
};
