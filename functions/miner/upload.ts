/**
 * A streamed request body between a Worker and a Miner object. A stream that failed on one side looks like one that ended
 * on the other, and half a body must never pass for a whole one: so it travels in pieces, each after its length (u32),
 * and a length of zero says the end.
 */
const LENGTH_BYTES = 4;

/** The body in pieces, and after the last one the end. Nothing is added where the body fails. */
export function withEnd(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (chunk.byteLength === 0) return;
        controller.enqueue(lengthOf(chunk.byteLength));
        controller.enqueue(chunk);
      },
      flush(controller) {
        controller.enqueue(lengthOf(0));
      },
    }),
  );
}

/** Reads what `withEnd` wrote; every byte as soon as it is there. */
export class Upload {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Of the piece that is being read. */
  private left = 0;
  /** Bytes of the next length. */
  private length: number[] = [];
  private rest: Uint8Array = new Uint8Array(0);

  constructor(body: ReadableStream<Uint8Array>) {
    this.reader = body.getReader();
  }

  /** Some bytes; null when the body is complete. Throws when it broke. */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.rest.byteLength === 0) {
        const part = await this.reader.read();
        if (part.done) throw new Error('the upload broke');
        this.rest = part.value;
      } else if (this.left > 0) return this.take();
      else if (this.readLength() === 0) return null;
    }
  }

  private take(): Uint8Array {
    const bytes = this.rest.subarray(0, this.left);
    this.rest = this.rest.subarray(bytes.byteLength);
    this.left -= bytes.byteLength;
    return bytes;
  }

  /** The length of the next piece once all its bytes are there, else null. */
  private readLength(): number | null {
    const missing = LENGTH_BYTES - this.length.length;
    this.length.push(...this.rest.subarray(0, missing));
    this.rest = this.rest.subarray(missing);
    if (this.length.length < LENGTH_BYTES) return null;
    this.left = this.length.reduce((value, byte) => value * 256 + byte, 0);
    this.length = [];
    return this.left;
  }
}

function lengthOf(bytes: number): Uint8Array {
  const out = new Uint8Array(LENGTH_BYTES);
  new DataView(out.buffer).setUint32(0, bytes);
  return out;
}
