/** A Miner object's core with an agent at its other end: what the object would be asked to do, event by event. */
import { createHmac } from 'node:crypto';
import {
  FRAME,
  NO_PRICE,
  encodeJson,
  encodeU64,
  frame,
  type Down,
  type Frame,
  type Hello,
  type Inventory,
  type Receipt,
  type VersionSpec,
} from '#protocol';
import type { ExtendAnswer, RelayAsk, Settlement } from '../../../functions/calls/ports.ts';
import { FREE } from '../../../functions/prices/now.ts';
import { MinerCore } from '../../../functions/miner/core.ts';
import type { Answer, Effect } from '../../../functions/miner/effects.ts';
import type { Row } from '../../../functions/miner/rows.ts';

export const VERSION = 'ab'.repeat(32);
export const CODE = 'cd'.repeat(32);
export const INSTANCE = 'ins_1';
export const callId = (n: number): string => `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`;

const INVENTORY: Inventory = { agentVersion: '0', platform: 'test', runtimes: ['process'], devices: [], region: 'x' };
const mac = (bytes: Uint8Array): Uint8Array => createHmac('sha256', 'key').update(bytes).digest();

export function spec(concurrency: number): VersionSpec {
  const config = { name: 'x', tagline: '', public: false, template: 'openai', health: '/', start_timeout: 1 } as const;
  const bounds = { cords: [], concurrency, min: 0, max: 1, timeout: 60, env: {}, price: NO_PRICE };
  const code = { sha256: CODE, bytes: 10 };
  return { chute: 'cht_1', name: 'o/x', account: 'acc_1', version: VERSION, config: { ...config, command: ['x'], ...bounds }, code };
}

export class World {
  core: MinerCore;
  now = 1_000_000;
  /** Of the last event. */
  effects: Effect[] = [];
  readonly rows = new Map<string, Row>();
  readonly told: Down[] = [];
  readonly sent: Frame[] = [];
  readonly answers = new Map<string, Answer>();
  readonly pushed = new Map<string, Uint8Array[]>();
  readonly over = new Map<string, 'end' | 'break'>();
  /** What the Account was asked to pay for, output tokens. */
  readonly asked: number[] = [];

  constructor() {
    this.core = new MinerCore([], 10, mac, this.now);
  }

  do(effects: Effect[]): Effect[] {
    this.effects = effects;
    for (const effect of effects) this.note(effect);
    return effects;
  }

  private note(effect: Effect): void {
    if (effect.do === 'put') this.rows.set(effect.row.key, structuredClone(effect.row));
    if (effect.do === 'delete') for (const key of effect.keys) this.rows.delete(key);
    if (effect.do === 'tell') this.told.push(effect.message);
    if (effect.do === 'send') this.sent.push(...effect.frames);
    if (effect.do === 'answer') this.answers.set(effect.attempt, effect.answer);
    if (effect.do === 'push') this.pushed.set(effect.attempt, [...(this.pushed.get(effect.attempt) ?? []), effect.bytes]);
    if (effect.do === 'extend') this.asked.push(effect.tokens);
    if (effect.do === 'end' || effect.do === 'break') this.over.set(effect.attempt, effect.do);
  }

  login(): void {
    this.do(this.core.onLogin('agt_1', 'hotkey', 'name', this.now));
  }

  hello(fields: Partial<Hello> = {}): void {
    this.do(this.core.onText({ type: 'hello', inventory: INVENTORY, instances: [], streams: [], ...fields }, this.now));
  }

  claim(ref = 'r', chute = 'cht_1'): void {
    this.do(this.core.onText({ type: 'claim', ref, chute, version: VERSION }, this.now));
  }

  granted(instance = INSTANCE, slots = 2, ref = 'r'): void {
    this.do(this.core.onClaimAnswer(ref, { kind: 'grant', instance, deadlineMs: 1, spec: spec(slots) }, this.now));
  }

  report(state: 'starting' | 'live' | 'draining' | 'failed' | 'stopped', instance = INSTANCE): void {
    this.do(this.core.onText({ type: 'report', report: { instance, chute: 'cht_1', version: VERSION, state, detail: '' } }, this.now));
  }

  /** Logged in, with one live instance. */
  live(slots = 2): this {
    this.login();
    this.hello();
    this.claim();
    this.granted(INSTANCE, slots);
    this.report('live');
    return this;
  }

  relay(n: number, fields: Partial<RelayAsk> = {}, body: Uint8Array | null = new Uint8Array([1])): string {
    const ask: RelayAsk = {
      call: callId(n),
      attempt: 0,
      account: 'acc_1',
      key: 'key_1',
      chute: 'cht_1',
      version: VERSION,
      instance: INSTANCE,
      method: 'POST',
      path: '/v1/chat/completions',
      headers: [],
      deadlineMs: 60_000,
      template: 'openai',
      terms: FREE,
      facts: { images: 0, steps: 0 },
      allowance: null,
      waitedMs: 0,
      cold: false,
      ...fields,
    };
    this.do(this.core.relay(ask, body, this.now));
    return `${ask.call}/${ask.attempt}`;
  }

  /** The stream of a running attempt. */
  stream(key: string): number {
    const found = this.core.running().find((r) => r.attempt === key);
    if (found === undefined) throw new Error(`${key} does not run`);
    return found.stream;
  }

  frames(...frames: Frame[]): Effect[] {
    return this.do(this.core.onFrames(frames, this.now));
  }

  drained(key: string): void {
    this.do(this.core.onDrained(key, this.now));
  }

  /** The Account's answer to the last `extend`; null: none. */
  extended(key: string, answer: ExtendAnswer | null): void {
    this.do(this.core.onExtended(key, answer, this.now));
  }

  /** Resets sent on a stream. */
  resets(stream: number): string[] {
    const found = this.sent.filter((f) => f.type === FRAME.RESET && f.stream === stream);
    return found.map((f) => (JSON.parse(Buffer.from(f.payload).toString()) as { code: string }).code);
  }

  text(key: string): string {
    return Buffer.concat(this.pushed.get(key) ?? []).toString();
  }

  settlement(key: string): Settlement | undefined {
    const row = this.rows.get(key);
    return row?.kind === 'settlement' ? row.settlement : undefined;
  }

  /** The same rows in a new object, as after a crash. */
  crash(): void {
    this.core = new MinerCore([...this.rows.values()], 1000, mac, this.now);
  }
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

export const head = (stream: number, type = 'text/event-stream', status = 200): Frame =>
  frame(FRAME.HEAD, stream, encodeJson({ status, headers: [['content-type', type]] }));
export const data = (stream: number, bytes: Uint8Array | string): Frame =>
  frame(FRAME.DATA, stream, typeof bytes === 'string' ? utf8(bytes) : bytes);
export const end = (stream: number, attempt: string, bytes: number, fields: Partial<Receipt> = {}): Frame =>
  frame(FRAME.END, stream, encodeJson({ ...receipt(attempt, bytes), ...fields }));
export const reset = (stream: number, code: string): Frame => frame(FRAME.RESET, stream, encodeJson({ code }));
export const credit = (stream: number, offset: number): Frame => frame(FRAME.CREDIT, stream, encodeU64(offset));

function receipt(attempt: string, bytes: number): Receipt {
  const times = { tokensIn: null, tokensOut: null, firstByteMs: 0, lastByteMs: 0 };
  return { attempt, bytes, sha256: '00'.repeat(32), ...times, signature: 'x' };
}
