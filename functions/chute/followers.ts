/** Clients that follow the log of a chute: NDJSON, what is kept first, then what comes. */
import type { BOUNDS } from './bounds.ts';
import type { LogChunk } from './logs.ts';

type Written = Pick<LogChunk, 'instance' | 'lines'>;

export class Followers {
  readonly #open = new Set<ReadableByteStreamController>();
  readonly #bounds: typeof BOUNDS;

  constructor(bounds: typeof BOUNDS) {
    this.#bounds = bounds;
  }

  /** Whether one more may follow. */
  get full(): boolean {
    return this.#open.size >= this.#bounds.followers;
  }

  stream(kept: Iterable<Written>, follow: boolean): ReadableStream<Uint8Array> {
    const open = this.#open;
    let mine: ReadableByteStreamController | undefined;
    return new ReadableStream({
      type: 'bytes',
      start(controller) {
        for (const chunk of kept) controller.enqueue(ndjson(chunk));
        if (!follow) return controller.close();
        mine = controller;
        open.add(controller);
      },
      cancel() {
        if (mine !== undefined) open.delete(mine);
      },
    });
  }

  /** A reader that lags too far behind is cut, not waited for. */
  tell(chunk: Written): void {
    if (this.#open.size === 0) return;
    for (const controller of this.#open) {
      try {
        if ((controller.desiredSize ?? 0) < -this.#bounds.followBytes) throw new Error('the reader is too slow');
        controller.enqueue(ndjson(chunk));
      } catch (error) {
        this.#open.delete(controller);
        controller.error(error);
      }
    }
  }
}

const encoder = new TextEncoder();

function ndjson(chunk: Written): Uint8Array {
  return encoder.encode(chunk.lines.map((line) => `${JSON.stringify({ instance_id: chunk.instance, ...line })}\n`).join(''));
}
