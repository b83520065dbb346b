/** How far a pull is, from the lines an engine sends about its layers. Pure. */
import type { PullLine } from './replies.ts';

/** Layers that count; an image has 127 at most. */
const LAYERS = 256;

export class PullProgress {
  readonly #layers = new Map<string, { got: number; total: number }>();
  #shown = 0;

  /** `pulling 40 %`, in steps of 5 that never go back; Podman tells no bytes, then it is `pulling`. */
  add(line: PullLine): string {
    const { id, status = '', progressDetail } = line;
    if (id !== undefined) this.#layer(id, status, progressDetail?.current ?? null, progressDetail?.total ?? null);
    let [got, total] = [0, 0];
    for (const layer of this.#layers.values()) [got, total] = [got + layer.got, total + layer.total];
    if (total === 0) return 'pulling';
    this.#shown = Math.max(this.#shown, Math.floor((20 * got) / total) * 5);
    return `pulling ${this.#shown} %`;
  }

  #layer(id: string, status: string, current: number | null, total: number | null): void {
    const layer = this.#layers.get(id) ?? { got: 0, total: 0 };
    if (status === 'Downloading' && current !== null && total !== null) {
      layer.total = total;
      layer.got = Math.min(current, total);
    } else if (/complete|exists/.test(status)) layer.got = layer.total;
    else return;
    if (this.#layers.size < LAYERS || this.#layers.has(id)) this.#layers.set(id, layer);
  }
}
