/**
 * A reply's stream from a Miner object to a Worker: `Reader` of the object with the platform's two queues, in virtual
 * time. What the Worker has not read keeps the object from pushing more credit.
 */
import type { ByteSource } from '../../functions/calls/ports.ts';
import type { Clock } from './clock.ts';
import type { Network } from './network.ts';

type Part = { done: false; value: Uint8Array } | { done: true };

export interface ReaderEvents {
  /** All that was pushed is taken. */
  drained(): void;
  /** The other side left. */
  gone(): void;
  /** The stream is over. */
  done(): void;
}

/** Makes promises that the kernel knows of. */
export interface Promises {
  make<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void };
}

export class SimReader {
  readonly source: ByteSource;
  private queue: Uint8Array[] = [];
  private finish: 'end' | 'break' | null = null;
  private finished = false;
  /** On the way to the Worker, and there. */
  private moving = 0;
  private readonly there: (Part | Error)[] = [];
  private asked: { resolve: (part: Part) => void; reject: (error: Error) => void } | null = null;
  private cut = false;
  private clear = 0;
  private readonly clock: Clock;
  private readonly network: Network;
  private readonly promises: Promises;
  private readonly events: ReaderEvents;

  constructor(clock: Clock, network: Network, promises: Promises, events: ReaderEvents) {
    this.clock = clock;
    this.network = network;
    this.promises = promises;
    this.events = events;
    this.source = { read: () => this.read(), cancel: () => this.cancel() };
    clock.after(0, () => this.move());
  }

  // ── the object's side, as `Reader` ──

  push(bytes: Uint8Array): void {
    if (this.cut) return;
    this.queue.push(bytes);
    this.move();
  }

  end(): void {
    this.finish = 'end';
    if (this.queue.length === 0) this.pulled();
  }

  break(): void {
    this.finish = 'break';
    if (this.queue.length === 0) this.pulled();
  }

  private pulled(): void {
    if (this.finished || this.cut) return;
    if (this.finish === null) return this.events.drained();
    this.finished = true;
    const end = this.finish === 'end';
    if (end) this.events.drained();
    this.travel(end ? { done: true } : new Error('the reply broke'));
    this.events.done();
  }

  // ── on the way ──

  private move(): void {
    if (this.cut || this.finished) return;
    while (this.queue.length > 0 && this.moving + this.there.length < 2) {
      this.travel({ done: false, value: this.queue.shift() as Uint8Array });
    }
    if (this.queue.length === 0) this.pulled();
  }

  private travel(part: Part | Error): void {
    this.moving++;
    this.clear = Math.max(this.clear, this.clock.now + this.network.delay());
    this.clock.at(this.clear, () => {
      this.moving--;
      if (this.cut) return;
      this.there.push(part);
      this.give();
    });
  }

  /** The object died or the connection broke: what is on its way is lost. */
  breakOff(): void {
    if (this.cut) return;
    this.cut = true;
    this.there.length = 0;
    this.there.push(new Error('the connection broke'));
    this.give();
  }

  // ── the Worker's side ──

  private read(): Promise<Part> {
    const { promise, resolve, reject } = this.promises.make<Part>();
    this.asked = { resolve, reject };
    this.give();
    return promise;
  }

  private give(): void {
    const { asked } = this;
    const part = this.there[0];
    if (asked === null || part === undefined) return;
    this.asked = null;
    if (part instanceof Error) asked.reject(part);
    else {
      if (!part.done) this.there.shift();
      asked.resolve(part);
      this.move();
    }
  }

  cancel(): Promise<void> {
    if (!this.cut && !(this.finished && this.moving === 0 && this.there.length === 0)) {
      this.cut = true;
      const told = this.finished;
      this.there.length = 0;
      this.there.push({ done: true });
      this.give();
      if (!told) this.clock.after(this.network.delay(), () => this.events.gone());
    }
    return Promise.resolve();
  }
}
