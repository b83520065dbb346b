/** Snapshots of chutes, per isolate: fresh for 2 s, usable for 30 s while a new one is fetched in the background, one fetch at a time. */
import type { Snapshot } from './ports.ts';

export const FRESH_MS = 2_000;
const USABLE_MS = 30_000;
/** How long "there is no such chute" is believed; short, since a deploy may just be happening. */
const ABSENT_MS = 500;
/** Chutes remembered per isolate. */
const REMEMBERED = 2_000;

/** A background fetch older than this is taken for dead with the request that started it. */
const FETCH_MS = 5_000;

interface Entry {
  snapshot: Snapshot | null;
  /** Unix ms of the last fetch that ended, and of the start of the one under way (0: none). */
  at: number;
  fetchingSince: number;
}

export class Finder {
  private readonly entries = new Map<string, Entry>();

  /**
   * `background` keeps a fetch alive after the request that started it. A request without a usable snapshot fetches for
   * itself: the promise of another request may die with it.
   */
  async find(
    chute: string,
    fresh: boolean,
    now: number,
    fetch: (chute: string) => Promise<Snapshot | null>,
    background: (work: Promise<unknown>) => void,
  ): Promise<Snapshot | null> {
    const entry = this.entry(chute);
    const age = fresh ? Infinity : now - entry.at;
    if (entry.snapshot === null ? age < ABSENT_MS : age < FRESH_MS) return entry.snapshot;
    if (entry.snapshot === null || age >= USABLE_MS) return this.refresh(entry, chute, now, fetch);
    if (now - entry.fetchingSince > FETCH_MS) background(this.refresh(entry, chute, now, fetch).catch(() => {}));
    return entry.snapshot;
  }

  /** A Miner object told the truth about an instance: the next pick here knows it. */
  fold(chute: string, instance: string, code: string, busy: number): void {
    const entry = this.entries.get(chute);
    if (entry === undefined || entry.snapshot === null) return;
    const instances = entry.snapshot.instances.flatMap((i) => {
      if (i.instance !== instance) return [i];
      if (code === 'stale' || code === 'offline') return [];
      if (code === 'gated') return [{ ...i, open: false }];
      return [{ ...i, busy: Math.max(busy, code === 'busy' ? i.slots : 0) }];
    });
    entry.snapshot = { ...entry.snapshot, instances };
  }

  private async refresh(
    entry: Entry,
    chute: string,
    now: number,
    fetch: (chute: string) => Promise<Snapshot | null>,
  ): Promise<Snapshot | null> {
    entry.fetchingSince = now;
    try {
      entry.snapshot = await fetch(chute);
      entry.at = now;
      return entry.snapshot;
    } finally {
      entry.fetchingSince = 0;
    }
  }

  private entry(chute: string): Entry {
    const known = this.entries.get(chute);
    if (known !== undefined) return known;
    if (this.entries.size >= REMEMBERED) this.entries.delete(this.entries.keys().next().value ?? '');
    const entry: Entry = { snapshot: null, at: -Infinity, fetchingSince: 0 };
    this.entries.set(chute, entry);
    return entry;
  }
}
