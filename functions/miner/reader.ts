/** The client's side of one streamed reply: pushed bytes go out as they are asked for; its end and its break wait until all is taken. */
export class Reader {
  readonly stream: ReadableStream<Uint8Array>;
  private controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  private finish: 'end' | 'break' | null = null;
  /** The end came; it is not on record yet. */
  private ending = false;
  private readonly onDrained: () => void;
  private readonly onDone: () => void;

  /** `onDrained`: all that was pushed is taken. `onGone`: the other side left. `onDone`: the stream is over. */
  constructor(onDrained: () => void, onGone: () => void, onDone: () => void) {
    this.onDrained = onDrained;
    this.onDone = onDone;
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.controller = controller;
      },
      pull: () => this.pulled(),
      cancel: () => onGone(),
    });
  }

  push(bytes: Uint8Array): void {
    this.controller?.enqueue(bytes);
  }

  /** Closes the stream once `durable` says that the end is on record, and everything is taken. */
  end(durable: Promise<void>): void {
    this.ending = true;
    durable.then(
      () => this.finishAs('end'),
      () => this.finishAs('break'),
    );
  }

  break(): void {
    this.finishAs('break');
  }

  private finishAs(how: 'end' | 'break'): void {
    this.finish = how;
    if (this.empty) this.pulled();
  }

  private get empty(): boolean {
    return (this.controller?.desiredSize ?? 1) > 0;
  }

  private pulled(): void {
    if (this.finish === null) {
      if (!this.ending) this.onDrained();
      return;
    }
    const controller = this.controller;
    if (controller === null) return;
    this.controller = null;
    if (this.finish === 'end') {
      this.onDrained();
      controller.close();
    } else controller.error(new Error('the reply broke'));
    this.onDone();
  }
}
