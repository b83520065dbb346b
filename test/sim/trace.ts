/** What happened in a run: a hash of all of it, counts by kind, and the last lines for whoever has to read it. */
const KEPT = 400;

export class Trace {
  /** Events by kind. */
  readonly counts = new Map<string, number>();
  readonly lines: string[] = [];
  events = 0;
  private a = 0x811c9dc5;
  private b = 0x1b873593;
  private readonly start: number;
  private readonly print: boolean;

  constructor(start: number, print: boolean) {
    this.start = start;
    this.print = print;
  }

  add(now: number, kind: string, detail: string): void {
    this.events++;
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    const line = `${String(now - this.start).padStart(6)} ${kind} ${detail}`;
    let { a, b } = this;
    for (let i = 0; i < line.length; i++) {
      const unit = line.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x01000193);
      b = Math.imul(b ^ unit, 0x85ebca6b) + 0x2545f491;
      b = (b << 13) | (b >>> 19);
    }
    this.a = a;
    this.b = b;
    this.lines.push(line);
    if (this.lines.length > 2 * KEPT) this.lines.splice(0, KEPT);
    if (this.print) console.log(line);
  }

  get hash(): string {
    return hex(this.a) + hex(this.b);
  }

  last(count: number): string[] {
    return this.lines.slice(-count);
  }
}

function hex(n: number): string {
  return (n >>> 0).toString(16).padStart(8, '0');
}
