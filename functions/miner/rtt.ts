/**
 * The least round trip to the agent within a day, of pings that the edge sends now and then. It is credited against the time of a
 * proof: an agent can only make it longer, so the least counts.
 */
import type { Row } from './rows.ts';
import type { Turn } from './turn.ts';

const HOUR_MS = 3_600_000;
/** Hours that count. */
const HOURS = 24;
/** Milliseconds after which a ping is not waited for. */
const LOST_MS = 30_000;

export interface RttRow {
  kind: 'rtt';
  key: 'rtt';
  /** The least of each hour since 1970, the newest last. */
  hours: { hour: number; ms: number }[];
}

export class Rtt {
  private row: RttRow = { kind: 'rtt', key: 'rtt', hours: [] };
  private open: { id: string; at: number } | null = null;

  restore(row: RttRow): void {
    this.row = row;
  }

  /** One at a time. */
  ping(turn: Turn): void {
    if (!turn.connected || (this.open !== null && turn.now - this.open.at < LOST_MS)) return;
    this.open = { id: `rtt-${turn.now}`, at: turn.now };
    turn.tell({ type: 'ping', id: this.open.id });
  }

  pong(turn: Turn, id: string): void {
    if (this.open?.id !== id) return;
    const ms = Math.max(0, turn.now - this.open.at);
    this.open = null;
    const hour = Math.floor(turn.now / HOUR_MS);
    const known = this.row.hours.find((h) => h.hour === hour);
    if (known !== undefined && known.ms <= ms) return;
    const others = this.row.hours.filter((h) => h.hour !== hour && h.hour > hour - HOURS).slice(1 - HOURS);
    this.row = { ...this.row, hours: [...others, { hour, ms }] };
    turn.put(this.row satisfies Row);
  }

  /** Milliseconds; null: none was measured. */
  least(now: number): number | null {
    const from = Math.floor(now / HOUR_MS) - HOURS;
    const counted = this.row.hours.filter((h) => h.hour > from).map((h) => h.ms);
    return counted.length === 0 ? null : Math.min(...counted);
  }
}
