/** One event's worth of work: what it may know of the outside (the time, whether the agent is there) and what it asks for. */
import { FRAME, encodeJson, frame, type Down, type Frame, type ResetCode } from '#protocol';
import type { Effect } from './effects.ts';
import { inVersion } from './older.ts';
import type { Row } from './rows.ts';

export class Turn {
  /** Unix milliseconds. */
  readonly now: number;
  /** Whether frames and messages have a socket to go to. */
  connected: boolean;
  /** Of the protocol, as the session speaks it. */
  readonly version: number;
  readonly effects: Effect[] = [];
  /** The soonest time anything asked to be woken. */
  wakeAt: number | null = null;

  constructor(now: number, connected: boolean, version: number) {
    this.now = now;
    this.connected = connected;
    this.version = version;
  }

  do(effect: Exclude<Effect, { do: 'alarm' }>): void {
    this.effects.push(effect);
  }

  put(row: Row): void {
    this.do({ do: 'put', row });
  }

  send(frames: Frame[]): void {
    if (frames.length > 0 && this.connected) this.do({ do: 'send', frames });
  }

  tell(message: Down): void {
    if (this.connected) this.do({ do: 'tell', message: inVersion(this.version, message) });
  }

  reset(stream: number, code: ResetCode): void {
    this.send([frame(FRAME.RESET, stream, encodeJson({ code }))]);
  }

  wake(at: number): void {
    this.wakeAt = this.wakeAt === null ? at : Math.min(this.wakeAt, at);
  }
}
