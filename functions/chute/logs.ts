/**
 * What instances said: a ring of bytes per instance, kept for the last instances also after they are gone. Lines carry
 * the agent's numbers, so a repeat is dropped and a gap is told.
 */
import type { LogLine } from '#protocol';
import type { BOUNDS } from './bounds.ts';

export interface StoredLine {
  /** Number per instance; a line of the edge's own carries the number of the agent's line that comes next. */
  seq: number;
  at: number;
  source: LogLine['source'] | 'edge';
  text: string;
}

/** Lines that were written together; one SQLite row. */
export interface LogChunk {
  id: number;
  instance: string;
  /** The number that the next line of the agent should have. */
  next: number;
  bytes: number;
  lines: StoredLine[];
}

export type ChunkFacts = Omit<LogChunk, 'lines'>;

interface Shelf {
  next: number;
  bytes: number;
  chunks: ChunkFacts[];
}

export interface Appended {
  put: LogChunk[];
  drop: number[];
}

export class LogBook {
  readonly #shelves = new Map<string, Shelf>();
  readonly #bounds: typeof BOUNDS;
  #id = 0;

  /** From what is stored, by id. */
  constructor(chunks: Iterable<ChunkFacts>, bounds: typeof BOUNDS) {
    this.#bounds = bounds;
    for (const chunk of chunks) {
      this.#id = Math.max(this.#id, chunk.id);
      this.#shelve(chunk);
    }
  }

  /** Lines of an agent, the first numbered `seq`. */
  append(instance: string, seq: number, lines: LogLine[]): Appended {
    const next = this.#shelves.get(instance)?.next ?? 0;
    const numbered = lines.map((line, k): StoredLine => ({ seq: seq + k, ...line })).filter((line) => line.seq >= next);
    const first = numbered[0];
    if (first === undefined) return { put: [], drop: [] };
    const lost = seq - next;
    if (lost > 0) numbered.unshift({ seq, at: first.at, source: 'edge', text: `${lost} lines were lost on the way here` });
    return this.#add(instance, numbered, seq + lines.length);
  }

  /** A line of the edge's own. */
  note(instance: string, at: number, text: string): Appended {
    const next = this.#shelves.get(instance)?.next ?? 0;
    return this.#add(instance, [{ seq: next, at, source: 'edge', text }], next);
  }

  clear(): void {
    this.#shelves.clear();
  }

  #add(instance: string, lines: StoredLine[], next: number): Appended {
    const put: LogChunk[] = [];
    let part: StoredLine[] = [];
    let bytes = 0;
    const close = (): void => {
      const last = part.findLast((line) => line.source !== 'edge');
      put.push({ id: ++this.#id, instance, next: last === undefined ? next : last.seq + 1, bytes, lines: part });
      part = [];
      bytes = 0;
    };
    for (const line of lines) {
      // Three bytes are the most one UTF-16 unit takes; 64 cover the rest of the line.
      const size = line.text.length * 3 + 64;
      if (part.length > 0 && bytes + size > this.#bounds.logChunkBytes) close();
      part.push(line);
      bytes += size;
    }
    if (part.length > 0) close();
    for (const chunk of put) this.#shelve({ id: chunk.id, instance, next: chunk.next, bytes: chunk.bytes });
    return { put, drop: [...this.#trim(instance), ...this.#forgetOldest(instance)] };
  }

  #shelve(chunk: ChunkFacts): void {
    const shelf = this.#shelves.get(chunk.instance) ?? { next: 0, bytes: 0, chunks: [] };
    this.#shelves.set(chunk.instance, shelf);
    shelf.next = Math.max(shelf.next, chunk.next);
    shelf.bytes += chunk.bytes;
    shelf.chunks.push(chunk);
  }

  #trim(instance: string): number[] {
    const shelf = this.#shelves.get(instance);
    const dropped: number[] = [];
    while (
      shelf !== undefined &&
      shelf.chunks.length > 1 &&
      (shelf.bytes > this.#bounds.logBytes || shelf.chunks.length > this.#bounds.logChunks)
    ) {
      const oldest = shelf.chunks.shift();
      if (oldest === undefined) break;
      shelf.bytes -= oldest.bytes;
      dropped.push(oldest.id);
    }
    return dropped;
  }

  /** Makes room for the logs of a new instance: the one that was silent longest goes. */
  #forgetOldest(keep: string): number[] {
    const dropped: number[] = [];
    while (this.#shelves.size > this.#bounds.logInstances) {
      const lastId = (name: string): number => this.#shelves.get(name)?.chunks.at(-1)?.id ?? 0;
      const oldest = [...this.#shelves.keys()].filter((name) => name !== keep).reduce((a, b) => (lastId(b) < lastId(a) ? b : a));
      dropped.push(...(this.#shelves.get(oldest)?.chunks ?? []).map((chunk) => chunk.id));
      this.#shelves.delete(oldest);
    }
    return dropped;
  }
}
