/** Virtual time: events in a heap, by time and then by the order in which they were planned. */
interface Planned {
  at: number;
  order: number;
  run: () => void;
}

export class Clock {
  /** Unix milliseconds. */
  now = 1_800_000_000_000;
  private readonly heap: Planned[] = [];
  private orders = 0;

  after(ms: number, run: () => void): void {
    this.at(this.now + Math.max(0, ms), run);
  }

  at(at: number, run: () => void): void {
    const planned = { at: Math.max(at, this.now), order: ++this.orders, run };
    const { heap } = this;
    let i = heap.length;
    heap.push(planned);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Planned;
      if (!before(planned, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = planned;
  }

  /** Runs the next event; false if there is none until then. */
  step(until: number): boolean {
    const first = this.heap[0];
    if (first === undefined || first.at > until) return false;
    this.shift();
    this.now = first.at;
    first.run();
    return true;
  }

  private shift(): void {
    const { heap } = this;
    const last = heap.pop() as Planned;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      if (down >= heap.length) break;
      if (down + 1 < heap.length && before(heap[down + 1] as Planned, heap[down] as Planned)) down++;
      const child = heap[down] as Planned;
      if (!before(child, last)) break;
      heap[i] = child;
      i = down;
    }
    heap[i] = last;
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
