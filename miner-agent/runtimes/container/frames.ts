/**
 * Takes an engine's log stream apart: frames of 8 bytes of head (stream, length) and a payload. docker-modem has a function
 * for it that calls itself once per frame and copies what is left each time: a program that writes many one-byte lines
 * would overflow the agent's stack with it.
 */
const HEAD_BYTES = 8;

export class FrameReader {
  readonly #payload: (source: 'out' | 'err', bytes: Buffer) => void;
  #head = Buffer.alloc(0);
  #source: 'out' | 'err' = 'out';
  /** Bytes of the payload still to come; passed on as they come, so a frame needs no memory. */
  #left = 0;
  constructor(payload: (source: 'out' | 'err', bytes: Buffer) => void) {
    this.#payload = payload;
  }

  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const part = chunk.subarray(at, at + this.#left);
        this.#left -= part.length;
        at += part.length;
        this.#payload(this.#source, part);
        continue;
      }
      const part = chunk.subarray(at, at + HEAD_BYTES - this.#head.length);
      this.#head = Buffer.concat([this.#head, part]);
      at += part.length;
      if (this.#head.length < HEAD_BYTES) return;
      this.#source = this.#head[0] === 2 ? 'err' : 'out';
      this.#left = this.#head.readUInt32BE(4);
      this.#head = Buffer.alloc(0);
    }
  }
}
