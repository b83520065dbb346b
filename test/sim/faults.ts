/** What goes wrong in a run, when, and how often each kind really did. */
import type { Random } from './random.ts';

/** Faults that something in the network carries out once, the next time it fits. */
export const ARMED = [
  'rpc_request_lost',
  'rpc_reply_lost',
  'rpc_twice',
  'rpc_slow',
  'dispatch_late',
  'alarm_late',
  'alarm_twice',
  'login_refused',
  'engine_unreachable',
  'engine_broken',
  'engine_malformed',
  'engine_slow',
  'engine_status',
  'client_left_before',
  'client_left_within',
  'client_slow',
  'sql_lost',
  'sql_unknown',
  'sql_late',
  'sql_reply_late',
  'sql_twice',
  'start_failed',
] as const;

/** Faults that strike at once. */
export const STRIKES = [
  'delay_spike',
  'socket_cut',
  'half_open',
  'agent_crash',
  'agent_lost',
  'agent_drain',
  'agent_busy',
  'agent_stale',
  'instance_failed',
  'instance_stopped',
  'miner_crash',
  'miner_evicted',
  'account_crash',
  'chute_crash',
  'isolate_death',
  'edge_death',
  'postgres_down',
  'credit_added',
  'cap_changed',
  'lease_fenced',
  'price_changed',
  'deploy',
] as const;

/** Those that are about money, or about who keeps it. */
export const OF_MONEY: readonly Fault[] = [
  'sql_lost',
  'sql_unknown',
  'sql_late',
  'sql_reply_late',
  'sql_twice',
  'postgres_down',
  'credit_added',
  'cap_changed',
  'lease_fenced',
  'price_changed',
];

export type Armed = (typeof ARMED)[number];
export type Strike = (typeof STRIKES)[number];
export type Fault = Armed | Strike;
export const FAULTS: readonly Fault[] = [...ARMED, ...STRIKES];

interface Waiting {
  kind: Armed;
  /** Chances it lets pass. */
  skip: number;
  /** The request it is for; null: any. */
  what: string | null;
}

export class Faults {
  /** How often each kind happened. */
  readonly fired = new Map<Fault, number>();
  total = 0;
  lastAt = 0;
  /** Whether anything may go wrong now. */
  on = true;
  private readonly waiting: Waiting[] = [];
  private readonly now: () => number;
  private readonly note: (kind: Fault, detail: string) => void;

  constructor(now: () => number, note: (kind: Fault, detail: string) => void) {
    this.now = now;
    this.note = note;
  }

  count(kind: Fault, detail: string): void {
    this.fired.set(kind, (this.fired.get(kind) ?? 0) + 1);
    this.total++;
    this.lastAt = this.now();
    this.note(kind, detail);
  }

  arm(kind: Armed, random: Random, what: string | null): void {
    if (this.waiting.length < 12) this.waiting.push({ kind, skip: random.int(0, 2), what });
  }

  /** Whether this fault is due here; it counts as happened then. */
  take(kind: Armed, what: string): boolean {
    if (!this.on || this.waiting.length === 0) return false;
    const at = this.waiting.findIndex((w) => w.kind === kind && (w.what === null || w.what === what));
    const found = this.waiting[at];
    if (found === undefined || found.skip-- > 0) return false;
    this.waiting.splice(at, 1);
    this.count(kind, what);
    return true;
  }

  stop(): void {
    this.on = false;
    this.waiting.length = 0;
  }
}
