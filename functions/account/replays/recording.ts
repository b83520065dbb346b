/**
 * One answer while it comes: its bytes from the start, read by any number of clients, each at its own pace. Up to
 * `answerBytes` it takes all that comes, whoever reads. Above that it is too large to be kept: nobody new may read it, it
 * waits for its fastest reader, and a reader far behind is cut. So no reader holds another, and memory stays bounded.
 */
import type { ByteSource } from '../../calls/ports.ts';
import type { ReplayLimits } from './limits.ts';

/** Bytes of one read. */
const PIECE = 64 * 1024;

export interface Watcher {
  /** It is too large to be kept, once. */
  outgrew(): void;
  /** How many clients read it now. */
  readers(count: number): void;
}

export class Recording {
  readonly #limits: ReplayLimits;
  readonly #watcher: Watcher;
  readonly #readers = new Set<Reader>();
  #buffer = new Uint8Array(1024);
  /** Offset in the answer of the buffer's first byte; above 0 once the answer is too large. */
  #base = 0;
  #end = 0;
  #over: 'end' | 'cut' | null = null;
  /** Called when there may be room for more. */
  #room = (): void => {};

  constructor(limits: ReplayLimits, watcher: Watcher) {
    this.#limits = limits;
    this.#watcher = watcher;
  }

  /** Bytes it takes in memory. */
  get held(): number {
    return this.#buffer.byteLength;
  }

  get readers(): number {
    return this.#readers.size;
  }

  get tooLarge(): boolean {
    return this.#end > this.#limits.answerBytes;
  }

  get running(): boolean {
    return this.#over === null;
  }

  /** All of it; only of one that is not too large. */
  whole(): Uint8Array {
    return this.#buffer.subarray(0, this.#end);
  }

  /** Resolves when there is room for more. After the end it does nothing. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#over !== null || bytes.byteLength === 0) return;
    const outgrows = !this.tooLarge && this.#end + bytes.byteLength > this.#limits.answerBytes;
    this.#append(bytes);
    if (outgrows) this.#watcher.outgrew();
    for (const reader of this.#readers) reader.wake();
    if (!this.tooLarge) return;
    await this.#waitForRoom();
    for (const reader of this.#readers) if (this.#end - reader.offset > this.#limits.behindBytes) this.leave(reader.drop());
  }

  /** `cut`: it broke off, and so it does for each reader. */
  finish(how: 'end' | 'cut'): void {
    this.#over ??= how;
    for (const reader of this.#readers) reader.wake();
    this.#room();
  }

  /** From the first byte. */
  read(): ByteSource {
    const reader = new Reader(this);
    this.#readers.add(reader);
    this.#watcher.readers(this.#readers.size);
    return reader;
  }

  /** For its readers: the next bytes from this offset; null: none yet. */
  at(offset: number): Uint8Array | 'end' | 'cut' | null {
    if (offset < this.#end) return this.#buffer.subarray(offset - this.#base, Math.min(this.#end, offset + PIECE) - this.#base);
    return this.#over;
  }

  /** For its readers. */
  taken(): void {
    this.#room();
  }

  /** For its readers. */
  leave(reader: Reader): void {
    if (!this.#readers.delete(reader)) return;
    this.#watcher.readers(this.#readers.size);
    this.#room();
  }

  async #waitForRoom(): Promise<void> {
    while (this.#over === null && this.#readers.size > 0 && this.#end - this.#furthest() > this.#limits.aheadBytes)
      await new Promise<void>((resolve) => (this.#room = resolve));
  }

  #furthest(): number {
    return Math.max(...[...this.#readers].map((reader) => reader.offset));
  }

  /** Never writes where a reader may look: what was given out stays as it is. */
  #append(bytes: Uint8Array): void {
    const end = this.#end + bytes.byteLength;
    if (end - this.#base > this.#buffer.byteLength) {
      const from = this.tooLarge ? Math.min(this.#end, ...[...this.#readers].map((reader) => reader.offset)) : 0;
      const grown = new Uint8Array(2 ** Math.ceil(Math.log2(end - from)));
      grown.set(this.#buffer.subarray(from - this.#base, this.#end - this.#base));
      this.#buffer = grown;
      this.#base = from;
    }
    this.#buffer.set(bytes, this.#end - this.#base);
    this.#end = end;
  }
}

class Reader implements ByteSource {
  offset = 0;
  wake = (): void => {};
  private readonly recording: Recording;
  private gone: 'left' | 'dropped' | null = null;

  constructor(recording: Recording) {
    this.recording = recording;
  }

  async read(): Promise<{ done: false; value: Uint8Array } | { done: true }> {
    for (;;) {
      if (this.gone === 'left') return { done: true };
      if (this.gone === 'dropped') throw new Error('the reader is too slow');
      const next = this.recording.at(this.offset);
      if (next === 'end' || next === 'cut') {
        this.recording.leave(this);
        if (next === 'cut') throw new Error('the answer broke off');
        return { done: true };
      }
      if (next !== null) {
        this.offset += next.byteLength;
        this.recording.taken();
        return { done: false, value: next };
      }
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  cancel(): Promise<void> {
    this.gone = 'left';
    this.wake();
    this.recording.leave(this);
    return Promise.resolve();
  }

  drop(): this {
    this.gone = 'dropped';
    this.wake();
    return this;
  }
}
