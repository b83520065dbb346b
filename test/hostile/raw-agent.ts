/** An agent that logs in for real and then says whatever a test wants: frames and messages without any rule. */
import { randomBytes } from 'node:crypto';
import { secretFromSeed } from '@scure/sr25519';
import WebSocket from 'ws';
import {
  FRAME,
  LOGIN_HEADER,
  decodeFrames,
  decodeJson,
  downSchema,
  encodeFrames,
  encodeJson,
  encodeU64,
  frame,
  openCallSchema,
  type Down,
  type Frame,
  type Hello,
  type OpenCall,
  type Receipt,
  type Up,
} from '#protocol';
import { Hotkey } from '../../miner-agent/identity/hotkey.ts';
import { login } from '../../miner-agent/identity/login.ts';
import { makeSessionKeys } from '../../miner-agent/identity/session.ts';

const DEADLINE_MS = 20_000;

export const newHotkey = (): Hotkey => new Hotkey(secretFromSeed(randomBytes(32)));

export interface Opened {
  stream: number;
  open: OpenCall;
}

export class RawAgent {
  readonly texts: Down[] = [];
  /** As they came, before any schema of today filled in or took away. */
  readonly raws: string[] = [];
  readonly received: Frame[] = [];
  /** Resolves with the close code; never rejects. */
  readonly closed: Promise<number>;
  readonly #ws: WebSocket;
  readonly #watchers = new Set<() => void>();

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.received.push(...decodeFrames(new Uint8Array(data)));
      else if (data.toString() !== 'pong') {
        this.raws.push(data.toString());
        this.texts.push(downSchema.parse(JSON.parse(data.toString())));
      }
      this.#look();
    });
    ws.on('error', () => {});
    this.closed = new Promise((resolve) =>
      ws.on('close', (code) => {
        resolve(code);
        this.#look();
      }),
    );
  }

  /** Dials with this header. Throws with the status when the edge refuses. */
  static async dial(api: string, header: string): Promise<RawAgent> {
    const ws = new WebSocket(`${api.replace(/^http/, 'ws')}/agents/connect`, { headers: { [LOGIN_HEADER]: header } });
    const agent = new RawAgent(ws);
    await new Promise<void>((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('unexpected-response', (_, response) => {
        let body = '';
        response.on('data', (part: Buffer) => (body += part.toString()));
        response.on('end', () => reject(new Refused(response.statusCode ?? 0, body)));
      });
      ws.once('error', reject);
    });
    return agent;
  }

  /** A real login, then nothing: not even hello. */
  static async login(api: string, hotkey: Hotkey = newHotkey(), name = 'raw', versions?: readonly number[]): Promise<RawAgent> {
    const more = versions === undefined ? {} : { versions };
    return RawAgent.dial(api, await login(api, hotkey, name, makeSessionKeys(), Date.now(), more));
  }

  /** Logged in and welcome. */
  static async greeted(api: string, hotkey: Hotkey = newHotkey(), hello: Partial<Hello> = {}): Promise<RawAgent> {
    const agent = await RawAgent.login(api, hotkey);
    agent.hello(hello);
    await agent.told('welcome');
    return agent;
  }

  // ── saying ──

  raw(message: string | Uint8Array): void {
    this.#ws.send(message);
  }

  say(message: Up): void {
    this.raw(JSON.stringify(message));
  }

  frames(...frames: Frame[]): void {
    this.raw(encodeFrames(frames));
  }

  hello(fields: Partial<Hello> = {}): void {
    const inventory = { agentVersion: '0', platform: 'test', runtimes: ['process' as const], devices: [], region: 'test' };
    this.say({ type: 'hello', inventory, instances: [], streams: [], ...fields });
  }

  close(): void {
    this.#ws.terminate();
  }

  // ── hearing ──

  /** The first thing that `find` finds in what has come or comes. Throws when the socket closes before. */
  async until<T>(what: string, find: () => T | undefined, withinMs = DEADLINE_MS): Promise<T> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#ws.readyState !== WebSocket.OPEN) throw new Error(`the socket closed before ${what}`);
      if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
      await this.#change(deadline - Date.now());
    }
  }

  told<K extends Down['type']>(type: K, match: (message: Extract<Down, { type: K }>) => boolean = () => true) {
    return this.until(`a ${type} message`, () =>
      this.texts.find((m): m is Extract<Down, { type: K }> => m.type === type && match(m as Extract<Down, { type: K }>)),
    );
  }

  /** The OPEN of a call that no earlier `opened` returned. */
  async opened(withinMs = DEADLINE_MS): Promise<Opened> {
    const fresh = () => this.received.find((r) => r.type === FRAME.OPEN && !this.#taken.has(r));
    const f = await this.until('an OPEN', fresh, withinMs);
    this.#taken.add(f);
    return { stream: f.stream, open: decodeJson(openCallSchema, f.payload, 'OPEN') };
  }
  readonly #taken = new Set<Frame>();

  /** The code of the first RESET on a stream. */
  async reset(stream: number, withinMs = DEADLINE_MS): Promise<string> {
    const first = () => this.received.find((r) => r.type === FRAME.RESET && r.stream === stream);
    const f = await this.until(`a RESET of ${stream}`, first, withinMs);
    return (JSON.parse(Buffer.from(f.payload).toString()) as { code: string }).code;
  }

  /** Everything said before has been taken: the edge answers claims in order. */
  async settled(): Promise<void> {
    const ref = `settled-${randomBytes(8).toString('hex')}`;
    this.say({ type: 'claim', ref, chute: 'cht_none', version: '00'.repeat(32) });
    await this.told('refusal', (m) => m.ref === ref);
  }

  #look(): void {
    for (const watch of this.#watchers) watch();
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs + 1);
      this.#watchers.add(done);
    });
  }
}

/** The edge refused the upgrade. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  readonly code: string;
  constructor(status: number, body: string) {
    super(`refused with ${status}: ${body}`);
    this.status = status;
    this.code = (JSON.parse(body) as { code: string }).code;
  }
}

// ── frames, good and bad ──

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

export const head = (stream: number, headers: [string, string][], status = 200): Frame =>
  frame(FRAME.HEAD, stream, encodeJson({ status, headers }));
export const events = (stream: number): Frame => head(stream, [['content-type', 'text/event-stream']]);
export const json = (stream: number): Frame => head(stream, [['content-type', 'application/json']]);
export const data = (stream: number, bytes: Uint8Array | string): Frame =>
  frame(FRAME.DATA, stream, typeof bytes === 'string' ? utf8(bytes) : bytes);
export const credit = (stream: number, offset: number): Frame => frame(FRAME.CREDIT, stream, encodeU64(offset));
export const reset = (stream: number, code: string): Frame => frame(FRAME.RESET, stream, encodeJson({ code }));

export function end(stream: number, attempt: string, bytes: number, fields: Partial<Receipt> = {}): Frame {
  const times = { tokensIn: null, tokensOut: null, firstByteMs: 0, lastByteMs: 0 };
  return frame(FRAME.END, stream, encodeJson({ attempt, bytes, sha256: '00'.repeat(32), ...times, signature: 'x', ...fields }));
}
