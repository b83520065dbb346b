/** Blobs on their way from the edge: opened by the agent, odd ids, opened again where they stood after a reconnect. Pure. */
import { FRAME, LIMITS, ProtocolError, decodeJson, encodeJson, encodeU64, frame, headSchema, resetSchema } from '#protocol';
import type { Frame } from '#protocol';
import type { Turn } from './events.ts';

interface BlobStream {
  id: number;
  instance: string;
  blob: string;
  /** What the grant says it has. */
  bytes: number;
  received: number;
  stored: number;
  granted: number;
  headed: boolean;
}

export class BlobStreams {
  readonly #byInstance = new Map<string, BlobStream>();
  #nextId = 1;

  fetch(instance: string, blob: string, bytes: number, ready: boolean, turn: Turn): void {
    const stream = { id: 0, instance, blob, bytes, received: 0, stored: 0, granted: 0, headed: false };
    this.#byInstance.set(instance, stream);
    if (ready) this.#open(stream, turn);
  }

  /** Every blob under way is asked for on the new connection. */
  reopen(turn: Turn): void {
    for (const stream of this.#byInstance.values()) this.#open(stream, turn);
  }

  abandon(instance: string, ready: boolean, turn: Turn): void {
    const stream = this.#byInstance.get(instance);
    if (stream === undefined) return;
    this.#byInstance.delete(instance);
    if (ready) turn.frames.push(frame(FRAME.RESET, stream.id, encodeJson({ code: 'cancelled' })));
  }

  stored(instance: string, bytes: number, ready: boolean, turn: Turn): void {
    const stream = this.#byInstance.get(instance);
    if (stream === undefined) return;
    stream.stored += bytes;
    if (!ready || stream.stored + LIMITS.windowBytes - stream.granted < LIMITS.windowBytes / 2) return;
    stream.granted = stream.stored + LIMITS.windowBytes;
    turn.frames.push(frame(FRAME.CREDIT, stream.id, encodeU64(stream.granted)));
  }

  frame(f: Frame, turn: Turn): void {
    const stream = [...this.#byInstance.values()].find((s) => s.id === f.stream);
    if (stream === undefined) return;
    switch (f.type) {
      case FRAME.HEAD: {
        const { status } = decodeJson(headSchema, f.payload, 'HEAD');
        if (status !== 200 && status !== 206) return this.#fail(stream, `the edge answered ${status} for the code`, turn);
        stream.headed = true;
        return;
      }
      case FRAME.DATA:
        return this.#data(stream, f.payload, turn);
      case FRAME.END:
        if (stream.received !== stream.bytes) return this.#fail(stream, 'the code ended early', turn);
        this.#byInstance.delete(stream.instance);
        turn.effects.push({ type: 'blob-end', instance: stream.instance });
        return;
      case FRAME.RESET:
        return this.#fail(stream, `the edge sent no code (${decodeJson(resetSchema, f.payload, 'RESET').code})`, turn);
      case FRAME.OPEN:
      case FRAME.CREDIT:
      case FRAME.ACK:
      case FRAME.RESUME:
        throw new ProtocolError('state', `frame of type ${f.type} on a blob`);
    }
  }

  #data(stream: BlobStream, bytes: Uint8Array, turn: Turn): void {
    if (!stream.headed) throw new ProtocolError('state', 'DATA before HEAD on a blob');
    stream.received += bytes.byteLength;
    if (stream.received > stream.bytes) return this.#fail(stream, 'the code is larger than its grant says', turn);
    turn.effects.push({ type: 'blob', instance: stream.instance, bytes });
  }

  #open(stream: BlobStream, turn: Turn): void {
    stream.id = this.#nextId;
    this.#nextId = (this.#nextId + 2) % 2 ** 32;
    stream.headed = false;
    // Offsets of the blob, also after a reconnect. The blob's size, not the credit, bounds what is taken.
    stream.granted = stream.received + LIMITS.windowBytes;
    turn.frames.push(frame(FRAME.OPEN, stream.id, encodeJson({ blob: stream.blob, instance: stream.instance, offset: stream.received })));
  }

  #fail(stream: BlobStream, message: string, turn: Turn): void {
    this.#byInstance.delete(stream.instance);
    turn.frames.push(frame(FRAME.RESET, stream.id, encodeJson({ code: 'cancelled' })));
    turn.effects.push({ type: 'blob-failed', instance: stream.instance, message });
  }
}
