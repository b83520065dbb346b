/** Blobs on their way to an agent: read as the agent grants credit. */
import { FRAME, LIMITS, dataFrames, encodeJson, frame, type Frame } from '#protocol';
import type { Blobs } from '../blobs.ts';

interface Open {
  sent: number;
  credit: number;
  stopped: boolean;
  /** Called when credit comes or the stream stops. */
  changed: () => void;
}

export class BlobStreams {
  private readonly open = new Map<number, Open>();
  private readonly send: (frames: Frame[]) => void;

  constructor(send: (frames: Frame[]) => void) {
    this.send = send;
  }

  async start(stream: number, store: Blobs, sha256: string, offset: number): Promise<void> {
    const it: Open = { sent: offset, credit: offset + LIMITS.windowBytes, stopped: false, changed: () => {} };
    this.open.set(stream, it);
    try {
      const body = await store.get(sha256, offset);
      if (it.stopped) {
        await body?.cancel();
        return;
      }
      if (body === null) {
        this.send([frame(FRAME.RESET, stream, encodeJson({ code: 'not_found' }))]);
        return;
      }
      this.send([frame(FRAME.HEAD, stream, encodeJson({ status: 200, headers: [] }))]);
      await this.pump(stream, it, body.getReader());
    } catch {
      // Nothing of this stream may come after it was stopped: its id may be of another session by now.
      if (!it.stopped) this.send([frame(FRAME.RESET, stream, encodeJson({ code: 'gap' }))]);
    } finally {
      if (this.open.get(stream) === it) this.open.delete(stream);
    }
  }

  credit(stream: number, offset: number): void {
    const it = this.open.get(stream);
    if (it === undefined) return;
    // No more than a window may be under way, whatever the agent grants.
    it.credit = Math.max(it.credit, Math.min(offset, it.sent + LIMITS.windowBytes));
    it.changed();
  }

  stop(stream: number): void {
    const it = this.open.get(stream);
    if (it === undefined) return;
    it.stopped = true;
    it.changed();
  }

  stopAll(): void {
    for (const stream of this.open.keys()) this.stop(stream);
  }

  private async pump(stream: number, it: Open, reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    for (;;) {
      const part = await reader.read();
      if (part.done) {
        if (!it.stopped) this.send([frame(FRAME.END, stream)]);
        return;
      }
      let bytes = part.value;
      while (bytes.byteLength > 0) {
        while (!it.stopped && it.sent >= it.credit) await new Promise<void>((resolve) => (it.changed = resolve));
        if (it.stopped) {
          await reader.cancel();
          return;
        }
        const now = bytes.subarray(0, it.credit - it.sent);
        this.send(dataFrames(stream, now));
        it.sent += now.byteLength;
        bytes = bytes.subarray(now.byteLength);
      }
    }
  }
}
