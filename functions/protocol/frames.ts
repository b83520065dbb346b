/**
 * Call traffic: binary frames, many per WebSocket message.
 *
 *   0        1        2                 4                          8                         12
 *   | type   | flags  | reserved (0)    | stream (u32, big endian) | length (u32, big endian)| payload …
 *
 * A stream is one call attempt (opened by the edge, even ids) or one blob (opened by the agent, odd ids). In both
 * directions DATA is a contiguous run of bytes; its position is implied by order, so a stream can be resumed by offset:
 *
 *   OPEN    who opens says what for: `OpenCall` or `OpenBlob` (JSON)
 *   HEAD    the reply's status and headers (JSON `Head`)
 *   DATA    bytes of the request (from who opened) or of the reply
 *   END     this direction is complete; from an agent it carries the signed `Receipt` (JSON), else nothing
 *   RESET   this stream is over, both directions (JSON `Reset`)
 *   CREDIT  u64: the receiver takes DATA up to this offset (absolute, so a repeated frame is harmless)
 *   ACK     u64 reply offset, then an opaque checkpoint. The agent keeps the newest and gives it back at a reconnect;
 *           with FLAG_TRIM it may also forget all reply bytes before the offset.
 *   RESUME  u64 offset, u64 credit: send the reply again from this offset (edge to agent, after a reconnect)
 */
import { LIMITS } from './limits.ts';

export const FRAME = { OPEN: 1, HEAD: 2, DATA: 3, END: 4, RESET: 5, CREDIT: 6, ACK: 7, RESUME: 8 } as const;
export type FrameType = (typeof FRAME)[keyof typeof FRAME];

/** On ACK: bytes before the offset will never be asked for again. */
export const FLAG_TRIM = 1;

export const HEADER_BYTES = 12;

export interface Frame {
  type: FrameType;
  flags: number;
  /** u32. Even: opened by the edge (a call). Odd: opened by the agent (a blob). */
  stream: number;
  payload: Uint8Array;
}

/** A peer broke the wire; the socket is closed with `closeCode`. `code` is stable, the message is for people. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code: 'malformed' | 'limit' | 'state';
  constructor(code: 'malformed' | 'limit' | 'state', message: string) {
    super(message);
    this.code = code;
  }
}

const EMPTY = new Uint8Array(0);

export function frame(type: FrameType, stream: number, payload: Uint8Array = EMPTY, flags = 0): Frame {
  return { type, flags, stream, payload };
}

/** Packs frames into one message. The caller keeps the sum below `LIMITS.messageBytes`. */
export function encodeFrames(frames: readonly Frame[]): Uint8Array {
  let size = 0;
  for (const f of frames) size += HEADER_BYTES + f.payload.byteLength;
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = 0;
  for (const f of frames) {
    view.setUint8(at, f.type);
    view.setUint8(at + 1, f.flags);
    view.setUint32(at + 4, f.stream);
    view.setUint32(at + 8, f.payload.byteLength);
    out.set(f.payload, at + HEADER_BYTES);
    at += HEADER_BYTES + f.payload.byteLength;
  }
  return out;
}

/** The frames of one message; payloads are views into it. Throws `ProtocolError` on anything that is not exactly frames. */
export function decodeFrames(message: Uint8Array): Frame[] {
  if (message.byteLength > LIMITS.messageBytes) throw new ProtocolError('limit', 'message too large');
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const frames: Frame[] = [];
  let at = 0;
  while (at < message.byteLength) {
    if (message.byteLength - at < HEADER_BYTES) throw new ProtocolError('malformed', 'truncated frame header');
    if (frames.length === LIMITS.messageFrames) throw new ProtocolError('limit', 'too many frames in a message');
    const type = view.getUint8(at);
    if (!isFrameType(type)) throw new ProtocolError('malformed', `unknown frame type ${type}`);
    if (view.getUint16(at + 2) !== 0) throw new ProtocolError('malformed', 'reserved bytes are not zero');
    const flags = view.getUint8(at + 1);
    if ((flags & ~allowedFlags(type)) !== 0) throw new ProtocolError('malformed', 'unknown frame flags');
    const length = view.getUint32(at + 8);
    if (length > message.byteLength - at - HEADER_BYTES) throw new ProtocolError('malformed', 'truncated frame payload');
    if (length > payloadLimit(type)) throw new ProtocolError('limit', `frame of type ${type} too large`);
    const start = at + HEADER_BYTES;
    frames.push({ type, flags, stream: view.getUint32(at + 4), payload: message.subarray(start, start + length) });
    at = start + length;
  }
  return frames;
}

/** Whether a message holds a frame of this type, by its headers alone; false for what is not frames. */
export function hasFrame(message: Uint8Array, type: FrameType): boolean {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  for (let at = 0; at + HEADER_BYTES <= message.byteLength; at += HEADER_BYTES + view.getUint32(at + 8)) {
    if (view.getUint8(at) === type) return true;
  }
  return false;
}

/** Splits bytes into DATA frames no larger than `LIMITS.dataBytes`. */
export function dataFrames(stream: number, bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.byteLength; at += LIMITS.dataBytes) {
    frames.push(frame(FRAME.DATA, stream, bytes.subarray(at, at + LIMITS.dataBytes)));
  }
  return frames;
}

/** Packs frames into as few messages as `LIMITS.messageBytes` and `LIMITS.messageFrames` allow. */
export function packMessages(frames: readonly Frame[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let batch: Frame[] = [];
  let size = 0;
  for (const f of frames) {
    const bytes = HEADER_BYTES + f.payload.byteLength;
    if (batch.length === LIMITS.messageFrames || size + bytes > LIMITS.messageBytes) {
      messages.push(encodeFrames(batch));
      batch = [];
      size = 0;
    }
    batch.push(f);
    size += bytes;
  }
  if (batch.length > 0) messages.push(encodeFrames(batch));
  return messages;
}

/** u64 payload helpers; offsets stay below 2^53. */
export function encodeU64(...values: number[]): Uint8Array {
  const out = new Uint8Array(8 * values.length);
  const view = new DataView(out.buffer);
  values.forEach((value, i) => view.setBigUint64(8 * i, BigInt(value)));
  return out;
}

export function decodeU64(payload: Uint8Array, index = 0): number {
  if (payload.byteLength < 8 * (index + 1)) throw new ProtocolError('malformed', 'payload too short for an offset');
  const value = new DataView(payload.buffer, payload.byteOffset).getBigUint64(8 * index);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError('malformed', 'offset out of range');
  return Number(value);
}

function isFrameType(type: number): type is FrameType {
  return type >= FRAME.OPEN && type <= FRAME.RESUME;
}

function allowedFlags(type: FrameType): number {
  return type === FRAME.ACK ? FLAG_TRIM : 0;
}

function payloadLimit(type: FrameType): number {
  switch (type) {
    case FRAME.DATA:
      return LIMITS.dataBytes;
    case FRAME.OPEN:
    case FRAME.HEAD:
      return LIMITS.headBytes;
    case FRAME.END:
    case FRAME.RESET:
      return 4096;
    case FRAME.ACK:
      return 256;
    case FRAME.CREDIT:
      return 8;
    case FRAME.RESUME:
      return 16;
  }
}
