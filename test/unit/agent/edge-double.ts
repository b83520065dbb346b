/** The edge's end of the wire for tests of the pure core: speaks frames, remembers what came, checks offsets. */
import { FLAG_TRIM, FRAME, decodeFrames, encodeFrames, encodeJson, encodeU64, frame } from '../../../functions/protocol/index.ts';
import type { Frame, Hello, Inventory } from '../../../functions/protocol/index.ts';
import { Core } from '../../../miner-agent/connection/core.ts';
import type { CoreDeps, CoreEvent, Effect } from '../../../miner-agent/connection/events.ts';

const INVENTORY: Inventory = { agentVersion: '0', platform: 'test', runtimes: ['process'], devices: [], region: 'x' };

/** A sum instead of a hash: order matters, nothing is imported. */
export function deps(random: () => number = () => 0.5): CoreDeps {
  return {
    inventory: INVENTORY,
    random,
    sign: () => 'signed',
    hasher: () => {
      let sum = 7;
      return {
        update: (bytes) => bytes.forEach((b) => (sum = (sum * 31 + b) % 1_000_000_007)),
        hex: () => sum.toString(16).padStart(64, '0'),
      };
    },
  };
}

export const attempt = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}/0`;

export class Double {
  readonly core: Core;
  now = 1_000_000;
  effects: Effect[] = [];
  frames: Frame[] = [];
  messages = 0;
  texts: string[] = [];

  constructor(core = new Core(deps())) {
    this.core = core;
  }

  step(event: CoreEvent): Effect[] {
    const effects = this.core.step(event, this.now);
    for (const e of effects) {
      if (e.type !== 'send') continue;
      if (typeof e.message === 'string') this.texts.push(e.message);
      else {
        this.messages++;
        this.frames.push(...decodeFrames(e.message));
      }
    }
    this.effects.push(...effects);
    return effects;
  }

  /** Wakes as long as something is due now. */
  settle(): void {
    for (let i = 0; i < 100; i++) {
      const at = this.core.wakeAt();
      if (at === null || at > this.now) return;
      this.step({ type: 'wake' });
    }
    throw new Error('the core is always due');
  }

  /** Passes time, waking when due. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      this.settle();
      const at = this.core.wakeAt();
      if (at === null || at > end) break;
      this.now = at;
    }
    this.now = end;
    this.settle();
  }

  connect(): Hello {
    this.step({ type: 'opened' });
    const hello = JSON.parse(this.texts.at(-1) ?? '') as Hello;
    this.step({ type: 'text', text: JSON.stringify({ type: 'welcome', epoch: 1, now: 0 }) });
    return hello;
  }

  send(...frames: Frame[]): void {
    this.step({ type: 'message', bytes: encodeFrames(frames) });
  }

  open(stream: number, n: number, fields: Record<string, unknown> = {}): void {
    const open = { attempt: attempt(n), instance: 'ins_1', method: 'POST', path: '/x', headers: [], deadlineMs: 60_000, ...fields };
    this.send(frame(FRAME.OPEN, stream, encodeJson(open)));
  }

  credit(stream: number, offset: number): void {
    this.send(frame(FRAME.CREDIT, stream, encodeU64(offset)));
  }

  ack(stream: number, offset: number, checkpoint: string, trim: boolean): void {
    const payload = Uint8Array.from([...encodeU64(offset), ...Buffer.from(checkpoint)]);
    this.send(frame(FRAME.ACK, stream, payload, trim ? FLAG_TRIM : 0));
  }

  resume(stream: number, offset: number, credit: number): void {
    this.send(frame(FRAME.RESUME, stream, encodeU64(offset, credit)));
  }

  head(n: number, status = 200): void {
    this.step({ type: 'head', attempt: attempt(n), status, headers: [['content-type', 'text/plain']] });
  }

  data(n: number, bytes: Uint8Array | string): void {
    this.step({ type: 'data', attempt: attempt(n), bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes });
  }

  end(n: number): void {
    this.step({ type: 'end', attempt: attempt(n) });
  }

  /** Reply bytes of a stream since the frames were last cleared. */
  body(stream: number): Buffer {
    return Buffer.concat(this.of(stream, FRAME.DATA).map((f) => f.payload));
  }

  of(stream: number, type: number): Frame[] {
    return this.frames.filter((f) => f.stream === stream && f.type === type);
  }

  resets(stream: number): string[] {
    return this.of(stream, FRAME.RESET).map((f) => (JSON.parse(Buffer.from(f.payload).toString()) as { code: string }).code);
  }

  did(type: Effect['type']): Effect[] {
    return this.effects.filter((e) => e.type === type);
  }

  clear(): void {
    this.frames = [];
    this.effects = [];
    this.texts = [];
    this.messages = 0;
  }
}

/** Connected, with instance ins_1 of so many slots. */
export function ready(slots = 64): Double {
  const d = new Double();
  d.step({ type: 'slots', instance: 'ins_1', slots });
  d.connect();
  return d;
}

/** Bytes that differ everywhere, so that a shift shows. */
export function pattern(length: number): Uint8Array {
  const out = new Uint8Array(length);
  let x = 12345;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    out[i] = x >>> 24;
  }
  return out;
}
