/** What happens to the connection core, and what it wants done. The core knows no socket, clock or process. */
import type { Down, Frame, InstanceReport, Inventory, OpenCall, Up } from '#protocol';

/** Why an engine's reply ended without its end. */
export type EngineFailure = 'engine_unreachable' | 'engine_error' | 'protocol';

export type CoreEvent =
  /** Socket. `failed` is a dial that came to nothing; `retryAfterMs` if the edge said when to come back. */
  | { type: 'opened' }
  | { type: 'closed'; code: number }
  | { type: 'failed'; retryAfterMs: number | null }
  | { type: 'text'; text: string }
  | { type: 'message'; bytes: Uint8Array }
  /** Whether the socket takes more; what it holds unsent is bounded by this. */
  | { type: 'writable'; yes: boolean }
  | { type: 'wake' }
  /** From the conductor. An instance with null slots takes no calls. */
  | { type: 'say'; message: Up }
  | { type: 'report'; report: InstanceReport }
  | { type: 'slots'; instance: string; slots: number | null }
  | { type: 'fetch'; instance: string; blob: string; bytes: number }
  | { type: 'stored'; instance: string; bytes: number }
  | { type: 'abandon'; instance: string }
  | { type: 'drain'; withinMs: number }
  | { type: 'leave' }
  /** From an engine, about one attempt. `taken`: it took that many bytes of the request. */
  | { type: 'head'; attempt: string; status: number; headers: [string, string][] }
  | { type: 'data'; attempt: string; bytes: Uint8Array }
  | { type: 'end'; attempt: string }
  | { type: 'broken'; attempt: string; code: EngineFailure; message: string }
  | { type: 'taken'; attempt: string; bytes: number };

export type Effect =
  | { type: 'send'; message: string | Uint8Array }
  | { type: 'connect'; inMs: number }
  | { type: 'close'; code: number; reason: string }
  /** The edge wants no reconnect. */
  | { type: 'over'; code: number }
  | { type: 'heard'; message: Down }
  | { type: 'call'; open: OpenCall }
  | { type: 'write'; attempt: string; bytes: Uint8Array }
  | { type: 'finish'; attempt: string }
  | { type: 'pause' | 'continue' | 'cancel'; attempt: string }
  | { type: 'blob'; instance: string; bytes: Uint8Array }
  | { type: 'blob-end'; instance: string }
  | { type: 'blob-failed'; instance: string; message: string }
  /** No call runs any more after a `drain`. */
  | { type: 'drained' }
  | { type: 'served'; instance: string; outcome: 'completed' | 'cancelled' | 'failed'; bytes: number; tokensOut: number | null };

/** What the core gets from outside, so that it stays a pure function of its events. */
export interface CoreDeps {
  hasher: () => Hasher;
  /** Ed25519 of the session key, base64url. */
  sign: (text: string) => string;
  /** 0 to 1. */
  random: () => number;
  inventory: Inventory;
}

export interface Hasher {
  update(bytes: Uint8Array): void;
  hex(): string;
}

/** One event's worth of work: effects in order, and frames that leave together at its end. */
export interface Turn {
  now: number;
  effects: Effect[];
  frames: Frame[];
}
