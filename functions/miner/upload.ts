/**
 * A streamed request body between a Worker and a Miner object. A stream that failed on one side looks like one that ended
 * on the other, and half a body must never pass for a whole one: so the end is said, by one last byte.
 */
const END = 0x04;

/** The body, and after its last byte the end. Nothing is added where the body fails. */
export function withEnd(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      flush(controller) {
        controller.enqueue(Uint8Array.of(END));
      },
    }),
  );
}

/** Reads what `withEnd` wrote. */
export class Upload {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  /** The last byte read: it may be the end. */
  private last: number | null = null;

  constructor(body: ReadableStream<Uint8Array>) {
    this.reader = body.getReader();
  }

  /** Some bytes; null when the body is complete. Throws when it broke. */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const part = await this.reader.read();
      if (part.done) {
        if (this.last === END) return null;
        throw new Error('the upload broke');
      }
      const bytes = this.shift(part.value);
      if (bytes.byteLength > 0) return bytes;
    }
  }

  /** What comes before the newest byte. */
  private shift(chunk: Uint8Array): Uint8Array {
    const newest = chunk.at(-1);
    if (newest === undefined) return chunk;
    const before = this.last;
    this.last = newest;
    if (before === null) return chunk.subarray(0, -1);
    const bytes = new Uint8Array(chunk.byteLength);
    bytes[0] = before;
    bytes.set(chunk.subarray(0, -1), 1);
    return bytes;
  }
}
