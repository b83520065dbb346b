/** How far a pull is, from the lines an engine sends about its layers. Pure. */
import type { PullLine } from './replies.ts';

/** Layers that count; an image has 127 at most. */
const LAYERS = 256;

interface Layer {
  got: number;
  /** Bytes; null as long as they are not known. */
  total: number | null;
}

export class PullProgress {
  readonly #layers = new Map<string, Layer>();
  #shown = 0;

  /** `pulling 40 %`, in steps of 5 that never go back; Podman tells no bytes, then it is `pulling`. */
  add(line: PullLine): string {
    if (line.id !== undefined) this.#layer(line.id, line);
    let [got, total, known] = [0, 0, 0];
    for (const layer of this.#layers.values()) {
      if (layer.total === null) continue;
      known++;
      got += layer.got;
      total += layer.total;
    }
    if (total === 0) return 'pulling';
    // A layer whose size is not told yet counts as one of average size.
    const all = (total / known) * this.#layers.size;
    this.#shown = Math.max(this.#shown, Math.floor((20 * got) / all) * 5);
    return `pulling ${this.#shown} %`;
  }

  #layer(id: string, { status = '', progressDetail }: PullLine): void {
    const layer = this.#layers.get(id) ?? { got: 0, total: null };
    const { current, total } = progressDetail ?? {};
    if (status === 'Already exists') return void this.#layers.delete(id);
    if (status === 'Downloading' && current !== undefined && total !== undefined && total > 0) {
      layer.total = total;
      layer.got = Math.min(current, total);
    } else if (status === 'Download complete' || status === 'Pull complete') layer.got = layer.total ?? 0;
    else if (status !== 'Pulling fs layer' && status !== 'Waiting') return;
    if (this.#layers.size < LAYERS || this.#layers.has(id)) this.#layers.set(id, layer);
  }
}
