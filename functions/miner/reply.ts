/**
 * A miner's reply is rebuilt, never passed through: headers from an allow-list, server-sent events parsed and written
 * again. What comes out is a function of the agent's byte stream alone, so a new object can go on from a checkpoint.
 */
import { LIMITS, ProtocolError } from '#protocol';
import { DONE, event, type Bill } from './bill.ts';
import { emptyMeter, generatedText, isObject, meterObject, tokensUsed, type Meter } from './meter.ts';

/** Where a reply can be taken up again: always between events. */
export interface Checkpoint {
  /** Bytes of the agent's reply consumed. */
  offset: number;
  /** Bytes written for the client. */
  client: number;
  meter: Meter;
}

export interface ReplyFilter {
  /** Bytes for the client; may be empty. Throws `ProtocolError` when the reply is not what its head promised. */
  push(bytes: Uint8Array): Uint8Array;
  /** Bytes still owed at the end of the reply. Throws when it ends in the middle of an event. */
  end(): Uint8Array;
  checkpoint(): Checkpoint;
  /** No text is handed on beyond so many tokens: the event that would is the end of the reply, and `stopped` is true. */
  stopAt(tokens: number | null): void;
  readonly stopped: boolean;
}

/** How a reply is read. */
export interface ReplyKind {
  events: boolean;
  template: 'openai' | 'http';
  /** What it tells of its cost; null: nothing. */
  bill: Bill | null;
}

const EMPTY = new Uint8Array(0);
const START: Checkpoint = { offset: 0, client: 0, meter: emptyMeter() };

/** Headers a miner may set on a reply; everything else is dropped. */
const REPLY_HEADERS = new Set([
  'content-type',
  'content-language',
  'content-disposition',
  'content-range',
  'accept-ranges',
  'etag',
  'last-modified',
  'openai-model',
  'openai-processing-ms',
]);

export function replyHeaders(headers: readonly (readonly [string, string])[]): [string, string][] {
  const kept: [string, string][] = [];
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (REPLY_HEADERS.has(lower) && !kept.some(([k]) => k === lower)) kept.push([lower, value]);
  }
  return kept;
}

export function isEventStream(headers: readonly (readonly [string, string])[]): boolean {
  return headers.some(([name, value]) => name.toLowerCase() === 'content-type' && /^text\/event-stream\b/i.test(value));
}

export function replyFilter(kind: ReplyKind, from: Checkpoint = START): ReplyFilter {
  return kind.events ? new EventFilter(kind, from) : new ByteFilter(kind, from);
}

/** Any body but an event stream: passed on byte by byte, and metered if it is a JSON object of an OpenAI route. */
class ByteFilter implements ReplyFilter {
  private offset: number;
  private readonly meter: Meter;
  /** The body so far, for the usage in it; null once it is too large to be such a reply, or was resumed. */
  private body: Uint8Array[] | null;
  private readonly skipped: number;

  constructor({ template }: ReplyKind, from: Checkpoint) {
    this.offset = from.offset;
    this.skipped = from.offset - from.client;
    this.meter = { ...from.meter };
    this.body = template === 'openai' && from.offset === 0 ? [] : null;
  }

  push(bytes: Uint8Array): Uint8Array {
    this.offset += bytes.byteLength;
    this.meter.bytes += bytes.byteLength;
    if (this.body !== null) {
      if (this.offset > LIMITS.bufferedBodyBytes) this.body = null;
      else this.body.push(bytes);
    }
    return bytes;
  }

  end(): Uint8Array {
    if (this.body === null) return EMPTY;
    const object = parseObject(decode(concat(this.body)));
    if (object !== null) meterObject(this.meter, object);
    return EMPTY;
  }

  checkpoint(): Checkpoint {
    return { offset: this.offset, client: this.offset - this.skipped, meter: { ...this.meter } };
  }

  /** A body of bytes has no place for a reason why it ends. */
  stopAt(): void {}
  readonly stopped = false;
}

/** `text/event-stream`: whole events only, each rebuilt from its fields. */
class EventFilter implements ReplyFilter {
  private readonly template: 'openai' | 'http';
  private readonly bill: Bill | null;
  private offset: number;
  private client: number;
  private readonly meter: Meter;
  /** Bytes of an event that is not complete yet: the first `held` of `tail`. */
  private tail: Uint8Array = EMPTY;
  private held = 0;
  private limit: number | null = null;
  stopped = false;

  constructor({ template, bill }: ReplyKind, from: Checkpoint) {
    this.template = template;
    this.bill = bill;
    this.offset = from.offset;
    this.client = from.client;
    this.meter = { ...from.meter };
  }

  stopAt(tokens: number | null): void {
    this.limit = tokens;
  }

  push(bytes: Uint8Array): Uint8Array {
    if (this.stopped) return EMPTY;
    // An end may span the seam; before it there is none.
    const searched = Math.max(0, this.held - 2);
    const all = this.held === 0 ? bytes : this.append(bytes);
    let from = 0;
    let out = '';
    for (let end = eventEnd(all, searched); end !== -1; end = eventEnd(all, from)) {
      checkSize(end - from);
      out += this.rebuild(decode(all.subarray(from, end)));
      if (this.stopped) return this.emit(out);
      from = end;
    }
    checkSize(all.byteLength - from);
    this.keep(all, from);
    this.offset += from;
    return this.emit(out);
  }

  /** Grows by doubling: an event that comes byte by byte must not be copied for each of them. */
  private append(bytes: Uint8Array): Uint8Array {
    const size = this.held + bytes.byteLength;
    if (size > this.tail.byteLength) {
      const grown = new Uint8Array(2 * size);
      grown.set(this.tail.subarray(0, this.held));
      this.tail = grown;
    }
    this.tail.set(bytes, this.held);
    this.held = size;
    return this.tail.subarray(0, size);
  }

  private keep(all: Uint8Array, from: number): void {
    if (this.held > 0 && from === 0) return;
    this.tail = all.slice(from);
    this.held = this.tail.byteLength;
  }

  end(): Uint8Array {
    if (this.stopped) return EMPTY;
    if (this.tail.subarray(0, this.held).some((byte) => byte !== 10 && byte !== 13))
      throw new ProtocolError('malformed', 'the reply ends inside an event');
    this.offset += this.held;
    this.held = 0;
    return EMPTY;
  }

  checkpoint(): Checkpoint {
    return { offset: this.offset, client: this.client, meter: { ...this.meter } };
  }

  private emit(text: string): Uint8Array {
    if (text === '') return EMPTY;
    const bytes = encoder.encode(text);
    this.client += bytes.byteLength;
    this.meter.bytes += bytes.byteLength;
    return bytes;
  }

  private rebuild(text: string): string {
    const data: string[] = [];
    let fields = '';
    for (const line of text.split(/\r\n|\r|\n/)) {
      if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
      else if (this.template === 'http' && /^(event|id):/.test(line)) fields += `${line}\n`;
    }
    if (data.length === 0) return '';
    if (this.template === 'openai') return this.rebuildObject(data.join('\n'));
    return `${fields}${data.map((d) => `data: ${d}\n`).join('')}\n`;
  }

  private rebuildObject(data: string): string {
    if (data === '[DONE]') return `${this.bill?.owedUsage(this.meter) ?? ''}${DONE}`;
    const object = parseObject(data);
    if (object === null || data.includes('\n'))
      throw new ProtocolError('malformed', 'an event of the reply is not a JSON object on one line');
    if (this.bill !== null && this.limit !== null && tokensUsed(this.meter) >= this.limit && generatedText(object) > 0) {
      this.stopped = true;
      return this.bill.endOfCredit(object, this.meter, this.limit);
    }
    meterObject(this.meter, object);
    const { usage } = object;
    if (this.bill === null || !isObject(usage)) return `data: ${data}\n\n`;
    if (this.bill.ownUsage(object)) return '';
    return event({ ...object, usage: this.bill.withCost(usage, this.meter) });
  }
}

function checkSize(bytes: number): void {
  if (bytes > LIMITS.eventBytes) throw new ProtocolError('limit', 'an event of the reply is too large');
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new ProtocolError('malformed', 'the reply is not UTF-8');
  }
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Index after the blank line that ends the event starting at `from`, or -1. */
function eventEnd(bytes: Uint8Array, from: number): number {
  for (let i = bytes.indexOf(10, from); i !== -1; i = bytes.indexOf(10, i + 1)) {
    const next = bytes[i + 1];
    if (next === 10) return i + 2;
    if (next === 13 && bytes[i + 2] === 10) return i + 3;
  }
  return -1;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] ?? EMPTY;
  const out = new Uint8Array(parts.reduce((n, p) => n + p.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}
