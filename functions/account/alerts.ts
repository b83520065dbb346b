/**
 * Alerts of an account: the balance fell below an amount, a key spent so much of its cap. Each crossing fires once; the
 * balance has to rise a tenth above the amount before it can fire again, a cap starts anew with its period. Pure.
 */
import type { CapState } from './caps.ts';
import type { Effect } from './effects.ts';
import type { AccountLimits } from './limits.ts';
import type { AlertRow, AlertSettings, AlertsRow, KeyCap } from './rows.ts';

const NONE: AlertsRow = { settings: { below: null, capPercent: [], webhook: null }, next: 1, isBelow: false, fired: {}, list: [] };

export class Alerts {
  readonly #limits: AccountLimits;
  #row: AlertsRow = NONE;

  constructor(limits: AccountLimits) {
    this.#limits = limits;
  }

  restore(row: AlertsRow): void {
    this.#row = row;
  }

  get settings(): AlertSettings {
    return this.#row.settings;
  }

  /** Newest first. */
  get list(): readonly AlertRow[] {
    return this.#row.list;
  }

  set(settings: AlertSettings, effects: Effect[]): void {
    const same = settings.below === this.#row.settings.below;
    this.#put({ ...this.#row, settings, isBelow: same && this.#row.isBelow }, effects);
  }

  /** Whether this balance (nano-USD) would fire, were it certain. */
  wouldFire(balance: bigint): boolean {
    const { below } = this.#row.settings;
    return below !== null && !this.#row.isBelow && balance < below;
  }

  onBalance(balance: bigint, now: number, effects: Effect[]): void {
    const { below } = this.#row.settings;
    if (below === null) return;
    if (this.wouldFire(balance)) {
      this.#put({ ...this.#row, isBelow: true }, effects);
      this.#fire({ kind: 'balance_below', key: null, percent: null, limit: below, value: balance }, now, effects);
    } else if (this.#row.isBelow && balance >= below + below / 10n) this.#put({ ...this.#row, isBelow: false }, effects);
  }

  onCap(key: string, { limit }: KeyCap, { spent, resetsAt }: CapState, now: number, effects: Effect[]): void {
    if (limit === 0n) return;
    const before = this.#row.fired[key];
    const done = before?.resetsAt === resetsAt && before.limit === limit ? before.percent : 0;
    const percent = this.#row.settings.capPercent.findLast((p) => spent * 100n >= limit * BigInt(p)) ?? 0;
    if (percent <= done) return;
    const others = Object.entries(this.#row.fired).filter(([one]) => one !== key);
    const fired = Object.fromEntries([...others.slice(1 - this.#limits.keys), [key, { resetsAt, limit, percent }]]);
    this.#put({ ...this.#row, fired }, effects);
    this.#fire({ kind: 'cap_percent', key, percent, limit, value: spent }, now, effects);
  }

  /** Unix milliseconds of the next delivery; null: none waits. */
  due(): number | null {
    let due: number | null = null;
    for (const { sendAt } of this.#row.list) if (sendAt !== null) due = Math.min(due ?? Infinity, sendAt);
    return due;
  }

  /** Deliveries that are due. */
  wake(now: number, effects: Effect[]): void {
    const { webhook } = this.#row.settings;
    const due = this.due();
    if (due === null || due > now) return;
    const list = this.#row.list.map((alert) => {
      if (alert.sendAt === null || alert.sendAt > now) return alert;
      if (webhook === null) return { ...alert, sendAt: null };
      const sent = { ...alert, tries: alert.tries + 1, sendAt: now + this.#limits.webhookLostMs };
      effects.push({ kind: 'post', alert: sent, webhook });
      return sent;
    });
    this.#put({ ...this.#row, list }, effects);
  }

  /** What the receiver said to a delivery. */
  posted(id: string, ok: boolean, now: number, effects: Effect[]): void {
    const list = this.#row.list.map((alert) => {
      if (alert.id !== id || alert.sendAt === null) return alert;
      if (ok) return { ...alert, sendAt: null, deliveredAt: now };
      const wait = this.#limits.webhookRetryMs * 8 ** (alert.tries - 1);
      return { ...alert, sendAt: alert.tries < this.#limits.webhookTries ? now + wait : null };
    });
    this.#put({ ...this.#row, list }, effects);
  }

  #fire(what: Pick<AlertRow, 'kind' | 'key' | 'percent' | 'limit' | 'value'>, now: number, effects: Effect[]): void {
    const { next, list, settings } = this.#row;
    const sendAt = settings.webhook === null ? null : now;
    const alert: AlertRow = { ...what, id: `alert_${next}`, at: now, tries: 0, sendAt, deliveredAt: null };
    this.#put({ ...this.#row, next: next + 1, list: [alert, ...list].slice(0, this.#limits.alerts) }, effects);
  }

  #put(row: AlertsRow, effects: Effect[]): void {
    this.#row = row;
    effects.push({ kind: 'put', row: { kind: 'alerts', id: 'alerts', value: row } });
  }
}
