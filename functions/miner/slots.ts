/**
 * The slots of an agent's instances: running attempts, slots kept for a call, and slots offered to a Chute that has
 * waiting calls. Busy or free is decided here and nowhere else.
 */
import type { CallId, RelayRefusal } from '../calls/ports.ts';
import type { InstanceRow } from './rows.ts';

/** Milliseconds a slot is kept for the call that the Chute named. */
export const KEEP_MS = 5_000;

interface Instance extends InstanceRow {
  running: Set<string>;
  /** call → unix ms until which its slot is kept. */
  kept: Map<CallId, number>;
  /** Offers to the Chute that are not answered yet: number → unix ms of the next try. */
  offered: Map<number, number>;
  watched: boolean;
}

export class Slots {
  private readonly instances = new Map<string, Instance>();
  private offers = 0;

  put(row: InstanceRow): void {
    const known = this.instances.get(row.instance);
    if (known === undefined)
      this.instances.set(row.instance, { ...row, running: new Set(), kept: new Map(), offered: new Map(), watched: false });
    else Object.assign(known, row);
  }

  get(instance: string): InstanceRow | undefined {
    return this.instances.get(instance);
  }

  get size(): number {
    return this.instances.size;
  }

  all(): InstanceRow[] {
    return [...this.instances.values()];
  }

  remove(instance: string): void {
    this.instances.delete(instance);
  }

  busy(instance: string): number {
    return this.instances.get(instance)?.running.size ?? 0;
  }

  /** Takes a slot for an attempt, or says why not. A kept slot is for its call alone; a watched instance takes nobody else. */
  take(instance: string, version: string, call: CallId, attempt: string): RelayRefusal | null {
    const it = this.instances.get(instance);
    if (it === undefined || it.version !== version || it.state !== 'live') return 'stale';
    if (!it.kept.delete(call) && (it.watched || free(it) <= 0)) return 'busy';
    it.running.add(attempt);
    return null;
  }

  /** Keeps a slot for a call that would get it. */
  keep(instance: string, version: string, call: CallId, now: number): boolean {
    const it = this.instances.get(instance);
    if (it === undefined || it.version !== version || it.state !== 'live') return false;
    if (!it.kept.has(call) && (it.watched || free(it) <= 0)) return false;
    it.kept.set(call, now + KEEP_MS);
    return true;
  }

  /** Frees an attempt's slot; on a watched instance it is offered to the Chute instead. Returns the offer made. */
  release(instance: string, attempt: string, now: number): { chute: string; instance: string; offer: number } | null {
    const it = this.instances.get(instance);
    if (it === undefined || !it.running.delete(attempt)) return null;
    return this.offer(it, now);
  }

  /** An attempt found in the rows of an object that starts again. */
  restore(instance: string, attempt: string): void {
    this.instances.get(instance)?.running.add(attempt);
  }

  watch(chute: string, names: readonly string[]): { instance: string; free: number }[] {
    const told: { instance: string; free: number }[] = [];
    for (const it of this.instances.values()) {
      if (it.chute !== chute) continue;
      it.watched = names.includes(it.instance);
      it.offered.clear();
      if (it.watched && it.state === 'live') told.push({ instance: it.instance, free: Math.max(0, free(it)) });
    }
    return told;
  }

  unwatch(chute: string): void {
    for (const it of this.instances.values()) {
      if (it.chute !== chute) continue;
      it.watched = false;
      it.offered.clear();
    }
  }

  reserve(instance: string, call: CallId, now: number): boolean {
    const it = this.instances.get(instance);
    if (it === undefined || it.state !== 'live' || (!it.kept.has(call) && free(it) <= 0)) return false;
    it.kept.set(call, now + KEEP_MS);
    return true;
  }

  /** The call that a slot was kept for went away. Returns the offer of it to the next. */
  unreserve(instance: string, call: CallId, now: number): { chute: string; instance: string; offer: number } | null {
    const it = this.instances.get(instance);
    return it?.kept.delete(call) === true ? this.offer(it, now) : null;
  }

  /** The Chute's answer to an offer: the call that gets the slot, or nobody. An answer to a withdrawn offer is void. */
  answered(instance: string, offer: number, call: CallId | null, now: number): boolean {
    const it = this.instances.get(instance);
    if (it === undefined || !it.offered.delete(offer)) return false;
    if (call !== null) it.kept.set(call, now + KEEP_MS);
    return true;
  }

  /** Offers that were never answered are made again, slots kept in vain are offered anew. */
  tick(now: number): { chute: string; instance: string; offer: number }[] {
    const again: { chute: string; instance: string; offer: number }[] = [];
    for (const it of this.instances.values()) {
      for (const [call, until] of it.kept) {
        if (until > now) continue;
        it.kept.delete(call);
        const offer = this.offer(it, now);
        if (offer !== null) again.push(offer);
      }
      for (const [offer, retryAt] of it.offered) {
        if (retryAt > now) continue;
        it.offered.set(offer, now + OFFER_RETRY_MS);
        again.push({ chute: it.chute, instance: it.instance, offer });
      }
    }
    return again;
  }

  /** When `tick` has something to do, unix ms, or null. */
  nextAt(): number | null {
    let at: number | null = null;
    for (const it of this.instances.values()) {
      for (const t of [...it.kept.values(), ...it.offered.values()]) at = at === null ? t : Math.min(at, t);
    }
    return at;
  }

  private offer(it: Instance, now: number): { chute: string; instance: string; offer: number } | null {
    if (!it.watched || it.state !== 'live' || free(it) <= 0) return null;
    const offer = ++this.offers;
    it.offered.set(offer, now + OFFER_RETRY_MS);
    return { chute: it.chute, instance: it.instance, offer };
  }
}

const OFFER_RETRY_MS = 1_000;

function free(it: Instance): number {
  return it.slots - it.running.size - it.kept.size - it.offered.size;
}
