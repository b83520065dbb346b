/** The bytes of one reply that may be asked for again: a run from `start` to `end`, absolute offsets. */
export class ReplyLog {
  start = 0;
  end = 0;
  #chunks: { at: number; bytes: Uint8Array }[] = [];

  get held(): number {
    return this.end - this.start;
  }

  append(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    this.#chunks.push({ at: this.end, bytes });
    this.end += bytes.byteLength;
  }

  /** Forgets everything before the offset. Chunks go whole, so up to one chunk more stays in memory. */
  trim(offset: number): void {
    this.start = Math.min(Math.max(offset, this.start), this.end);
    let gone = 0;
    for (const chunk of this.#chunks) {
      if (chunk.at + chunk.bytes.byteLength > this.start) break;
      gone++;
    }
    if (gone > 0) this.#chunks.splice(0, gone);
  }

  /** Bytes `from`..`to`, in pieces of at most `pieceBytes`; small chunks are merged. */
  read(from: number, to: number, pieceBytes: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let index = this.#indexOf(from);
    for (let at = from; at < to;) {
      const size = Math.min(pieceBytes, to - at);
      const first = this.#chunks[index];
      if (first === undefined) break;
      const inFirst = first.at + first.bytes.byteLength - at;
      if (inFirst >= size) {
        pieces.push(first.bytes.subarray(at - first.at, at - first.at + size));
        if (inFirst === size) index++;
      } else {
        const piece = new Uint8Array(size);
        index = this.#copy(piece, at, index);
        pieces.push(piece);
      }
      at += size;
    }
    return pieces;
  }

  #copy(piece: Uint8Array, from: number, firstIndex: number): number {
    let index = firstIndex;
    for (let filled = 0; filled < piece.byteLength;) {
      const chunk = this.#chunks[index];
      if (chunk === undefined) break;
      const skip = from + filled - chunk.at;
      const part = chunk.bytes.subarray(skip, skip + piece.byteLength - filled);
      piece.set(part, filled);
      filled += part.byteLength;
      if (skip + part.byteLength === chunk.bytes.byteLength) index++;
    }
    return index;
  }

  /** Reads are nearly always near the end. */
  #indexOf(offset: number): number {
    let index = this.#chunks.length - 1;
    while (index > 0 && (this.#chunks[index]?.at ?? 0) > offset) index--;
    return Math.max(index, 0);
  }
}
