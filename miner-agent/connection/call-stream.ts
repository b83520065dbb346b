/** The state of one attempt: its request on the way to the engine, its reply on the way to the edge. */
import { FRAME, LIMITS, encodeJson, encodeU64, frame } from '#protocol';
import type { Frame, Head, HeldStream, OpenCall } from '#protocol';
import { UsageTail } from '../calls/usage.ts';
import type { Hasher } from './events.ts';
import { ReplyLog } from './reply-log.ts';

const EMPTY = new Uint8Array(0);
/** Read this far beyond the edge's credit, so that the next CREDIT finds a frame ready. */
const AHEAD_BYTES = LIMITS.dataBytes;

export class CallStream {
  readonly id: number;
  readonly attempt: string;
  readonly instance: string;
  readonly openedAt: number;
  readonly deadline: number;

  /** Request: bytes received, taken by the engine, and granted to the edge. */
  received = 0;
  taken = 0;
  granted: number = LIMITS.windowBytes;
  requestEnded = false;

  /** Reply. `last` is the frame after the last byte: END, or the RESET of a reply that broke. */
  head: Head | null = null;
  readonly log = new ReplyLog();
  readonly hash: Hasher;
  readonly usage = new UsageTail();
  last: Frame | null = null;
  firstByteAt: number | null = null;

  /** What this socket has had of it. Not attached: nothing is sent until the edge says from where. */
  attached = true;
  /** Unix milliseconds since when no edge holds it, while not attached. */
  lostAt = 0;
  credit: number = LIMITS.windowBytes;
  sent = 0;
  headSent = false;
  lastSent = false;
  /** The first bytes of the reply have left: from now on they may be coalesced. */
  flowing = false;

  base: Uint8Array = EMPTY;
  latest: Uint8Array = EMPTY;
  latestAt = 0;

  /** The engine works on it; it holds a slot. */
  running = true;
  reading = true;

  constructor(id: number, open: OpenCall, now: number, hash: Hasher) {
    this.id = id;
    this.attempt = open.attempt;
    this.instance = open.instance;
    this.openedAt = now;
    this.deadline = now + Math.min(open.deadlineMs, LIMITS.callMs);
    this.hash = hash;
  }

  /** Whether the engine should be read: not while the edge holds back, nor while too much is kept. */
  wantsMore(): boolean {
    return this.log.held < LIMITS.retainBytes && this.log.end < this.credit + AHEAD_BYTES;
  }

  /** The frames that may leave now; what they carry counts as sent. */
  takeFrames(): Frame[] {
    if (!this.attached) return [];
    const frames: Frame[] = [];
    if (!this.headSent && this.head !== null) {
      frames.push(frame(FRAME.HEAD, this.id, encodeJson(this.head)));
      this.headSent = true;
    }
    const to = Math.min(this.log.end, this.credit);
    if (to > this.sent) {
      for (const piece of this.log.read(this.sent, to, LIMITS.dataBytes)) frames.push(frame(FRAME.DATA, this.id, piece));
      this.sent = to;
      this.flowing = true;
    }
    if (this.last !== null && this.sent === this.log.end && !this.lastSent) {
      frames.push(this.last);
      this.lastSent = true;
    }
    return frames;
  }

  /** A CREDIT frame once half a window is free again, or null. */
  grant(): Frame | null {
    if (this.requestEnded || this.taken + LIMITS.windowBytes - this.granted < LIMITS.windowBytes / 2) return null;
    this.granted = this.taken + LIMITS.windowBytes;
    return this.grantFrame();
  }

  grantFrame(): Frame {
    return frame(FRAME.CREDIT, this.id, encodeU64(this.granted));
  }

  detach(now: number): void {
    this.attached = false;
    this.lostAt = now;
    this.headSent = false;
    this.lastSent = false;
  }

  /** Sends again from here; the caller has checked that the bytes are kept. */
  attach(offset: number, credit: number): void {
    this.attached = true;
    this.sent = offset;
    this.credit = Math.max(credit, offset);
    this.headSent = false;
    this.lastSent = false;
  }

  held(): HeldStream {
    return {
      stream: this.id,
      attempt: this.attempt,
      instance: this.instance,
      received: this.received,
      requestEnded: this.requestEnded,
      kept: this.log.start,
      produced: this.log.end,
      base: base64url(this.base),
      latest: base64url(this.latest),
    };
  }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function base64url(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.byteLength; i += 3) {
    const left = bytes.byteLength - i;
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out += `${ALPHABET[word >> 18]}${ALPHABET[(word >> 12) & 63]}`;
    if (left > 1) out += ALPHABET[(word >> 6) & 63];
    if (left > 2) out += ALPHABET[word & 63];
  }
  return out;
}
