/** Output of the instances here, for `ripcord-miner logs`: from the first line on, bounded; what had to go is counted. Pure. */
import type { LogLine } from '#protocol';

export interface KeptLine extends LogLine {
  instance: string;
  /** `owner/name`, if it is known. */
  name: string;
}

export const KEPT = {
  /** First lines of an instance: they say why a start failed. */
  first: 200,
  /** Newest lines of it. */
  last: 1_000,
  /** Characters of one line. */
  chars: 2_000,
  /** Instances, those that ended included; the one that spoke least lately goes. */
  instances: 32,
} as const;

interface Ring {
  name: string;
  first: KeptLine[];
  last: KeptLine[];
  dropped: number;
}

export type Listener = (line: KeptLine) => void;

export class LogRings {
  readonly #rings = new Map<string, Ring>();
  readonly #listeners = new Set<Listener>();

  /** Lines before the name is known carry the instance alone. */
  name(instance: string, name: string): void {
    this.#ring(instance).name = name;
  }

  add(instance: string, line: LogLine): void {
    const ring = this.#ring(instance);
    const kept = { instance, name: ring.name, ...line, text: line.text.slice(0, KEPT.chars) };
    if (ring.first.length < KEPT.first) ring.first.push(kept);
    else ring.last.push(kept);
    if (ring.last.length > KEPT.last) {
      ring.last.shift();
      ring.dropped++;
    }
    for (const listener of this.#listeners) listener(kept);
  }

  /** Of one instance (its id or the start of it, or a chute's name), or of all; by time. */
  lines(of: string | null): KeptLine[] {
    const rings = [...this.#rings].filter(([id, ring]) => fits(of, id, ring.name)).map(([id, ring]) => linesOf(id, ring));
    return rings.flat().toSorted((a, b) => a.at - b.at);
  }

  has(of: string | null): boolean {
    return of === null || [...this.#rings].some(([id, ring]) => fits(of, id, ring.name));
  }

  /** Returns the way to stop. */
  follow(of: string | null, listener: Listener): () => void {
    const only: Listener = (line) => {
      if (fits(of, line.instance, line.name)) listener(line);
    };
    this.#listeners.add(only);
    return () => void this.#listeners.delete(only);
  }

  #ring(instance: string): Ring {
    const ring = this.#rings.get(instance) ?? { name: '', first: [], last: [], dropped: 0 };
    // The order of the map is who spoke last.
    this.#rings.delete(instance);
    this.#rings.set(instance, ring);
    if (this.#rings.size > KEPT.instances) this.#rings.delete(this.#rings.keys().next().value ?? '');
    return ring;
  }
}

function fits(of: string | null, instance: string, name: string): boolean {
  return of === null || instance.startsWith(of) || name === of;
}

function linesOf(instance: string, { name, first, last, dropped }: Ring): KeptLine[] {
  const at = last[0]?.at ?? 0;
  const gap: KeptLine[] = dropped === 0 ? [] : [{ instance, name, at, source: 'agent', text: `${dropped} lines are not kept` }];
  return [...first, ...gap, ...last];
}
