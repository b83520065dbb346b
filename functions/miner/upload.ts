/**
 * A streamed request body between a Worker and a Miner object. A stream that failed on one side looks like one that ended
 * on the other, and half a body must never pass for a whole one: so every piece says its length (u32), and the end is a
 * piece of none.
 */
const HEADER_BYTES = 4;

/** The body in pieces, and its end. No end is written where the body fails. */
export function withEnd(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (chunk.byteLength === 0) return;
        controller.enqueue(header(chunk.byteLength));
        controller.enqueue(chunk);
      },
      flush(controller) {
        controller.enqueue(header(0));
      },
    }),
  );
}

function header(length: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  new DataView(bytes.buffer).setUint32(0, length);
  return bytes;
}

/** Reads what `withEnd` wrote, however it was cut on the way. */
export class Upload {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private unread: Uint8Array = new Uint8Array(0);
  /** Bytes of the piece under way that are still to come. */
  private left = 0;
  private length = 0;
  private lengthBytes = 0;

  constructor(body: ReadableStream<Uint8Array>) {
    this.reader = body.getReader();
  }

  /** Some bytes, as soon as there are any; null when the body is complete. Throws when it broke. */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.left > 0 && this.unread.byteLength > 0) return this.take();
      if (this.left === 0 && this.readLength() && this.left === 0) return null;
      if (this.unread.byteLength > 0) continue;
      const part = await this.reader.read();
      if (part.done) throw new Error('the upload broke');
      this.unread = part.value;
    }
  }

  private take(): Uint8Array {
    const bytes = this.unread.subarray(0, this.left);
    this.unread = this.unread.subarray(bytes.byteLength);
    this.left -= bytes.byteLength;
    return bytes;
  }

  /** Whether the length of the next piece is known now; it is in `left`. */
  private readLength(): boolean {
    for (const byte of this.unread.subarray(0, HEADER_BYTES - this.lengthBytes)) {
      this.length = this.length * 256 + byte;
      this.lengthBytes += 1;
      this.unread = this.unread.subarray(1);
    }
    if (this.lengthBytes < HEADER_BYTES) return false;
    this.left = this.length;
    this.length = 0;
    this.lengthBytes = 0;
    return true;
  }
}
