/** One call as its client has it: what came, how it ended, and when the client left. */
import type { Call } from '../../../functions/calls/call.ts';
import type { ByteSink, OpenAsk } from '../../../functions/calls/ports.ts';
import type { Sim } from '../sim.ts';

/** `complete`: the stream ended as it should. `failed`: with an error event. `broken`: without an end. */
export type Ending = 'complete' | 'failed' | 'broken' | 'refused' | 'left' | 'cut';

/** Writes until a slow client catches up. */
const SLOW_WRITES = 10;

export class ClientCall {
  readonly id: string;
  readonly shaped: Call;
  readonly safe: boolean;
  readonly startedAt: number;
  readonly bodyBytes: number;
  /** What of it goes to an engine, with the wish to be told the usage of a stream. */
  readonly sentBytes: number;
  /** Images and steps that its body asks for. */
  readonly units: { images: number; steps: number };
  /** What the conductor first asked its Account for. */
  asked: OpenAsk | null = null;
  /** Requests to Miner objects that may be open. */
  readonly opened: { abort: () => void }[] = [];
  status: number | null = null;
  headers: [string, string][] = [];
  /** What came, without the comments of a call that waits. */
  text = '';
  ending: Ending | null = null;
  code = '';
  /** The Worker has done all it will. */
  over = false;
  private readonly decoder = new TextDecoder();
  private readonly aborter: AbortController;
  private readonly sim: Sim;
  private slowMs: number | null = null;
  private leavesAfter: number | null = null;
  private writes = 0;

  constructor(sim: Sim, shaped: Omit<Call, 'signal'>, safe: boolean, units: { images: number; steps: number }) {
    this.sim = sim;
    this.aborter = new AbortController();
    this.shaped = { ...shaped, signal: this.aborter.signal };
    this.id = shaped.id;
    this.safe = safe;
    this.units = units;
    this.startedAt = sim.now;
    const body = shaped.body instanceof Uint8Array ? shaped.body : new Uint8Array(0);
    this.bodyBytes = body.byteLength;
    this.sentBytes = shaped.tokens?.usage === false ? wishing(body) : body.byteLength;
  }

  start(): void {
    const { sim } = this;
    sim.trace.add(sim.now, 'call', `${this.id}${this.shaped.stream ? ' stream' : ''}${this.safe ? '' : ' once'}`);
    if (sim.faults.take('client_left_before', this.id)) sim.clock.after(sim.random.int(0, 1_500), () => this.leave());
  }

  headed(status: number, headers: [string, string][]): void {
    this.status = status;
    this.headers = headers;
    const { sim } = this;
    if (sim.faults.take('client_slow', this.id)) this.slowMs = sim.random.int(50, 1_500);
    if (sim.faults.take('client_left_within', this.id)) this.leavesAfter = sim.random.int(0, 6);
  }

  whole(body: Uint8Array): void {
    if (this.ending !== null) return;
    this.take(body);
    this.end('complete', '');
  }

  readonly sink: ByteSink = {
    write: (chunk) => this.write(chunk),
    close: () => {
      if (this.ending === null) this.end(this.sim.oracle.errorEvent(this) === null ? 'complete' : 'failed', '');
      return Promise.resolve();
    },
    abort: () => {
      if (this.ending === null) this.end('broken', '');
      return Promise.resolve();
    },
  };

  private write(chunk: Uint8Array): Promise<void> {
    if (this.ending !== null) return Promise.reject(new Error('the client left'));
    this.take(chunk);
    this.writes++;
    if (this.leavesAfter !== null && this.writes > this.leavesAfter) this.leave();
    if (this.slowMs === null || this.writes > SLOW_WRITES) return Promise.resolve();
    const { promise, resolve } = this.sim.make<void>();
    this.sim.clock.after(this.slowMs, resolve);
    return promise;
  }

  private take(bytes: Uint8Array): void {
    const text = this.decoder.decode(bytes, { stream: true });
    if (/^: (waiting|queued position=\d+( eta_ms=\d+)?)\n\n$/.test(text)) return;
    this.text += text;
    this.sim.oracle.received(this);
  }

  refused(code: string): void {
    if (this.ending === null) this.end('refused', code);
  }

  leave(): void {
    if (this.ending !== null) return;
    this.end('left', '');
    this.sim.clock.after(this.sim.network.delay(), () => {
      this.sim.touched();
      this.aborter.abort();
    });
  }

  cut(): void {
    if (this.ending === null) this.end('cut', '');
    this.over = true;
  }

  conducted(): void {
    if (this.ending === null) this.sim.fail('a call ends once', `${this.id} was served without an end`);
    this.over = true;
  }

  private end(ending: Ending, code: string): void {
    this.ending = ending;
    this.code = code;
    this.sim.trace.add(this.sim.now, `call.${ending}${code === '' ? '' : `.${code}`}`, this.id);
    this.sim.oracle.ended(this);
  }
}

/** Bytes of this body when it asks for the usage of its stream. */
function wishing(body: Uint8Array): number {
  const fields = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>;
  return JSON.stringify({ ...fields, stream_options: { include_usage: true } }).length;
}
