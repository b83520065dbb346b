/** A Chute core with rows that are written, a config to deploy, and agents that claim: what the tests share. */
import { chuteConfigSchema } from '#protocol';
import type { ChuteConfig, Inventory, InstanceReport, VersionSpec } from '#protocol';
import type { AgentFacts, QueueAnswer, Ticket } from '../../../functions/calls/ports.ts';
import { ChuteCore } from '../../../functions/chute/core.ts';
import type { Outcome } from '../../../functions/chute/core.ts';
import type { PriceVersion } from '../../../functions/prices/history.ts';
import type { Effect, StoredRow } from '../../../functions/chute/state.ts';

export const CHUTE = 'cht_test';
/** Of a config that does not say. */
export const IDLE_MS = 300_000;
export const T0 = 1_700_000_000_000;

export function config(part: Partial<ChuteConfig> = {}): ChuteConfig {
  return chuteConfigSchema.parse({ name: 'demo', command: ['run'], ...part });
}

/** A version named by one letter, so that tests read well. */
export function spec(letter: string, part: Partial<ChuteConfig> = {}): VersionSpec {
  return { chute: CHUTE, name: 'owner/demo', account: 'acc_owner', version: letter.repeat(64), config: config(part), code: null };
}

export const CPU: Inventory = {
  agentVersion: '1',
  platform: 'test',
  runtimes: ['process'],
  devices: [{ id: 'cpu', kind: 'cpu', name: 'cpu', memoryMb: 1000 }],
  region: 'eu',
};

export function agent(name: string, inventory: Inventory = CPU): AgentFacts {
  return { agent: name, hotkey: `hot-${name}`, inventory };
}

export class World {
  readonly rows = new Map<string, StoredRow>();
  core: ChuteCore;
  now = T0;
  alarmAt: number | null = null;
  /** Effects since they were last looked at. */
  effects: Effect[] = [];
  #ids = 0;

  constructor() {
    this.core = new ChuteCore([]);
  }

  do<T>(outcome: Outcome<T>): T {
    for (const effect of outcome.effects) {
      if (effect.do === 'put')
        this.rows.set(
          `${effect.kind}/${effect.key}`,
          structuredClone({ kind: effect.kind, key: effect.key, value: effect.value }) as StoredRow,
        );
      else if (effect.do === 'delete') this.rows.delete(`${effect.kind}/${effect.key}`);
      else if (effect.do === 'alarm') this.alarmAt = effect.at;
      this.effects.push(effect);
    }
    // The market takes every post.
    if (outcome.effects.some((effect) => effect.do === 'post')) this.do(this.core.posted(true, this.now));
    return outcome.answer;
  }

  /** What the object is after an eviction. */
  rebuild(): void {
    this.core = new ChuteCore([...this.rows.values()].map((row) => structuredClone(row)));
  }

  /** Lets time pass, firing alarms on the way. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let fired = 0; this.alarmAt !== null && this.alarmAt <= end; fired++) {
      if (fired > 10_000) throw new Error('the alarm never rests');
      this.now = Math.max(this.now, this.alarmAt);
      this.alarmAt = null;
      this.do(this.core.alarm(this.now));
    }
    this.now = end;
  }

  take<K extends Effect['do']>(kind: K): Extract<Effect, { do: K }>[] {
    const found = this.effects.filter((effect): effect is Extract<Effect, { do: K }> => effect.do === kind);
    this.effects = this.effects.filter((effect) => effect.do !== kind);
    return found;
  }

  deploy(letter: string, part: Partial<ChuteConfig> = {}, prices: PriceVersion[] = []) {
    return this.do(this.core.deploy({ spec: spec(letter, part), slug: 'owner-demo', prices }, this.now));
  }

  claim(name: string, letter: string, inventory: Inventory = CPU) {
    return this.do(this.core.claim(agent(name, inventory), letter.repeat(64), `ins_${++this.#ids}`, this.now));
  }

  report(name: string, instance: string, letter: string, state: InstanceReport['state'], busy = 0, detail = '') {
    return this.do(this.core.report(agent(name), { instance, chute: CHUTE, version: letter.repeat(64), state, detail }, busy, this.now));
  }

  /** Claims and reports live; the id of the instance. */
  live(name: string, letter: string): string {
    const answer = this.claim(name, letter);
    if (answer.kind !== 'grant') throw new Error(`refused: ${answer.code}`);
    this.report(name, answer.instance, letter, 'live');
    return answer.instance;
  }

  enqueue(call: string, part: Partial<Ticket> = {}): QueueAnswer {
    return this.do(this.core.enqueue({ call, account: 'acc_a', since: this.now, tried: [], deadlineMs: 60_000, ...part }, this.now));
  }

  states(): Record<string, string> {
    return Object.fromEntries((this.core.describe(this.now)?.instances ?? []).map((row) => [row.instance, row.state]));
  }

  get need(): number {
    return this.core.describe(this.now)?.need ?? -1;
  }
}
