/** One running attempt as its Miner object holds it: request bytes on their way to the agent, reply bytes on theirs to the client. */
import { FLAG_TRIM, FRAME, LIMITS, ProtocolError, dataFrames, encodeU64, frame, type Frame, type Head, type Receipt } from '#protocol';
import { Allowance } from './allowance.ts';
import { Bill } from './bill.ts';
import { sealCheckpoint, type Kept, type Mac } from './checkpoint.ts';
import { meteredTokens, tokensUsed, type Meter } from './meter.ts';
import { concat, isEventStream, replyFilter, replyHeaders, type Checkpoint, type ReplyFilter } from './reply.ts';
import type { AttemptRow } from './rows.ts';
import type { ExtendAnswer, RelayMeter, Settlement } from '../calls/ports.ts';

/** Statuses that HTTP gives no body. */
const BODILESS = new Set([204, 205, 304]);
/** A reply that is not longer may be kept until it is whole: its cost is told with it, and one that breaks is made elsewhere. */
const WHOLE_BYTES = LIMITS.windowBytes / 2;

export class Attempt {
  readonly row: AttemptRow;
  stream: number;
  /** OPEN left: the engine may have seen the request. Of a cold attempt nobody knows, so it counts as handed. */
  handed: boolean;
  /** Rebuilt from its row by an object that starts again: nothing is known but that it runs. */
  cold: boolean;

  head: Head | null = null;
  answered = false;
  /** The agent said END; waits until the client's side has drained. */
  receipt: Receipt | null = null;
  ended = false;
  /** Its settlement is made; nothing is settled for it again. */
  settled: boolean;
  firstByteAt: number | null = null;
  lastByteAt: number;

  /** Reply bytes taken from the agent, and up to where it may send. */
  received = 0;
  private credit: number = LIMITS.windowBytes;
  private filter: ReplyFilter | null = null;
  private checkpointAt: number;
  private checkpointed = 0;
  private trimmed = 0;
  private sealed: { client: number; bytes: Uint8Array; offset: number }[] = [];
  /** Client bytes to leave out after a resume, because the client has them. */
  private skip = 0;
  /** Client bytes were pushed and are not all taken yet. */
  private pending = false;
  /** Client bytes made, by this object and the one before it; how many of them were handed on, and what they count for. */
  private made = 0;
  handedOn = 0;
  private counted: Meter | null = null;
  /** Of a reply that may come whole: what came so far. */
  private readonly parts: Uint8Array[] = [];
  private short = false;
  private readonly allowance: Allowance;
  /** Set by a resume: the agent says HEAD again. */
  private headAgain = false;
  private resumedFrom: Kept | null = null;

  /** Request bytes: kept from `requestBase` on, sent up to `requestSent`. */
  private request: Uint8Array[] = [];
  private requestBase = 0;
  private requestSent = 0;
  private requestTotal = 0;
  private requestCredit: number = LIMITS.windowBytes;
  requestEnded = false;
  private requestEndSent = false;

  constructor(row: AttemptRow, now: number, cold: boolean) {
    this.row = row;
    this.stream = row.stream;
    this.cold = cold;
    this.settled = row.settled === true;
    this.handed = cold;
    this.lastByteAt = now;
    this.checkpointAt = now;
    this.allowance = new Allowance(row.ask.allowance ?? null);
  }

  get key(): string {
    return this.row.key;
  }

  // ── request ──

  /** Queues request bytes; returns the frames that may leave now. */
  offerRequest(bytes: Uint8Array | null, ended: boolean): Frame[] {
    if (bytes !== null && bytes.byteLength > 0) {
      this.request.push(bytes);
      this.requestTotal += bytes.byteLength;
    }
    this.requestEnded ||= ended;
    return this.pumpRequest();
  }

  /**
   * The agent takes request bytes up to this offset; what lies a window behind it is consumed. Throws `ProtocolError` for
   * more than a window beyond what was sent: nothing could be forgotten any more, and the whole request would be held here.
   */
  grantRequest(offset: number): Frame[] {
    if (offset > this.requestSent + LIMITS.windowBytes) throw new ProtocolError('limit', 'CREDIT beyond the window');
    this.requestCredit = Math.max(this.requestCredit, offset);
    this.forgetRequest(this.requestCredit - LIMITS.windowBytes);
    return this.pumpRequest();
  }

  /** Room for more of a streamed request body. */
  wantsRequest(): boolean {
    return this.requestTotal - this.requestSent < LIMITS.windowBytes;
  }

  get requestBytes(): number {
    return this.requestTotal;
  }

  /** The agent reconnected with this much of the request: send the rest again. False if it is no longer held. */
  resendRequest(received: number, endReceived: boolean): Frame[] | null {
    if (received < this.requestBase || received > this.requestSent) return null;
    this.requestSent = received;
    this.requestCredit = received + LIMITS.windowBytes;
    this.requestEndSent = endReceived;
    return this.pumpRequest();
  }

  private pumpRequest(): Frame[] {
    const frames: Frame[] = [];
    let at = this.requestBase;
    for (const chunk of this.request) {
      const start = Math.max(this.requestSent - at, 0);
      const end = Math.min(chunk.byteLength, this.requestCredit - at);
      if (start < end) {
        frames.push(...dataFrames(this.stream, chunk.subarray(start, end)));
        this.requestSent = at + end;
      }
      at += chunk.byteLength;
    }
    if (this.requestEnded && !this.requestEndSent && this.requestSent === this.requestTotal) {
      this.requestEndSent = true;
      frames.push(frame(FRAME.END, this.stream));
    }
    return frames;
  }

  private forgetRequest(before: number): void {
    while (this.request.length > 0) {
      const size = this.request[0]?.byteLength ?? 0;
      if (this.requestBase + size > before) return;
      this.request.shift();
      this.requestBase += size;
    }
  }

  // ── reply ──

  /** Throws `ProtocolError` for a head that comes twice without a resume between. */
  onHead(head: Head, now: number): void {
    if (this.head !== null && !this.headAgain) throw new ProtocolError('state', 'HEAD comes once');
    this.headAgain = false;
    this.head = { status: head.status, headers: replyHeaders(head.headers) };
    this.short = this.row.ask.template === 'openai' || lengthOf(head) <= WHOLE_BYTES;
    this.filter ??= this.makeFilter(head.status);
    this.lastByteAt = now;
  }

  /** Bytes for the client out of bytes of the agent. Throws `ProtocolError` when the reply breaks its own rules. */
  onData(bytes: Uint8Array, now: number): Uint8Array {
    const filter = this.replying('DATA');
    if (bytes.byteLength > 0 && this.head !== null && BODILESS.has(this.head.status))
      throw new ProtocolError('malformed', 'a reply of this status has no body');
    if (this.received + bytes.byteLength > this.credit) throw new ProtocolError('limit', 'DATA beyond the credit');
    this.received += bytes.byteLength;
    this.lastByteAt = now;
    this.firstByteAt ??= now;
    return this.forClient(filter.push(bytes));
  }

  onEnd(receipt: Receipt, now: number): Uint8Array {
    const filter = this.replying('END');
    if (receipt.attempt !== this.key || receipt.bytes !== this.received)
      throw new ProtocolError('malformed', 'the receipt is of another reply');
    this.ended = true;
    this.receipt = receipt;
    this.lastByteAt = now;
    return this.forClient(filter.end());
  }

  private makeFilter(status: number): ReplyFilter {
    const { template } = this.row.ask;
    const bill = template === 'openai' ? new Bill(this.row, status) : null;
    return replyFilter({ events: this.isEvents, template, bill }, this.resumedFrom ?? undefined);
  }

  /** What goes on now: all that came so far; null while a reply that may come whole is not. */
  gather(bytes: Uint8Array): Uint8Array | null {
    if (this.answered) return bytes;
    this.parts.push(bytes);
    const waits = this.short && !this.isEvents && this.handedOn === 0 && this.received < WHOLE_BYTES;
    return waits && !this.ended ? null : concat(this.parts.splice(0));
  }

  private replying(what: string): ReplyFilter {
    if (this.filter === null || this.headAgain || this.ended) throw new ProtocolError('state', `${what} outside a reply`);
    return this.filter;
  }

  get isEvents(): boolean {
    return this.head !== null && isEventStream(this.head.headers);
  }

  /** The client's side drained: more credit once half the window is used. */
  drained(): Frame | null {
    this.pending = false;
    return this.moreCredit();
  }

  /** Nobody has to take what was skipped or waits for the end of its event: the agent may go on. */
  swallowed(): Frame | null {
    return this.pending ? null : this.moreCredit();
  }

  private moreCredit(): Frame | null {
    if (this.ended || this.credit - this.received > LIMITS.windowBytes / 2 || this.allowance.waits(this.used)) return null;
    this.credit = this.received + LIMITS.windowBytes;
    return frame(FRAME.CREDIT, this.stream, encodeU64(this.credit));
  }

  /** A checkpoint for the agent to keep, if it is time; old reply bytes are released a replay's length behind. */
  checkpoint(mac: Mac, now: number): Frame[] {
    if (this.filter === null || this.ended) return [];
    if (now - this.checkpointAt < LIMITS.checkpointMs && this.received - this.checkpointed < LIMITS.windowBytes / 2) return [];
    const c = this.filter.checkpoint();
    if (c.offset === this.checkpointed) return [];
    this.checkpointAt = now;
    this.checkpointed = c.offset;
    const bytes = sealCheckpoint(mac, this.key, { ...c, status: this.head?.status ?? null });
    this.sealed.push({ client: c.client, bytes, offset: c.offset });
    return [...this.trim(c), ackFrame(this.stream, c.offset, bytes, 0)];
  }

  /** By either measure: of a reply with much that no client gets, the agent would hold all it may before the client has so much. */
  private trim(now: Checkpoint): Frame[] {
    const isOld = (c: { client: number; offset: number } | undefined) =>
      c !== undefined && (c.client + LIMITS.replayBytes <= now.client || c.offset + LIMITS.replayBytes <= now.offset);
    let last: { bytes: Uint8Array; offset: number } | null = null;
    while (this.sealed.length > 1 && isOld(this.sealed[0])) last = this.sealed.shift() ?? null;
    while (this.sealed.length > 4096) this.sealed.splice(1, 1);
    if (last === null || last.offset === this.trimmed) return [];
    this.trimmed = last.offset;
    return [ackFrame(this.stream, last.offset, last.bytes, FLAG_TRIM)];
  }

  /** The client has it all: the agent may forget the stream. */
  finalAck(): Frame {
    return ackFrame(this.stream, this.received, new Uint8Array(0), FLAG_TRIM);
  }

  /** Goes on after a reconnect of the agent to the same object. */
  resume(): Frame {
    return this.resumeFrame(this.received);
  }

  /** Takes a cold attempt up from a checkpoint; `client` is how far the client got. What lies before is never asked for again. */
  warm(mac: Mac, from: Kept | null, client: number): Frame[] {
    this.cold = false;
    this.handed = true;
    this.resumedFrom = from;
    this.received = from?.offset ?? 0;
    this.checkpointed = this.received;
    this.skip = client - (from?.client ?? 0);
    this.made = client;
    this.handedOn = client;
    this.counted = from?.meter ?? null;
    const resume = this.resumeFrame(this.received);
    return from === null ? [resume] : [resume, ackFrame(this.stream, from.offset, sealCheckpoint(mac, this.key, from), FLAG_TRIM)];
  }

  private resumeFrame(offset: number): Frame {
    this.headAgain = true;
    this.credit = offset + LIMITS.windowBytes;
    return frame(FRAME.RESUME, this.stream, encodeU64(offset, this.credit));
  }

  private forClient(bytes: Uint8Array): Uint8Array {
    const left = bytes.subarray(Math.min(this.skip, bytes.byteLength));
    this.skip -= bytes.byteLength - left.byteLength;
    this.made += left.byteLength;
    this.pending ||= left.byteLength > 0;
    return left;
  }

  /** All that was made so far goes to the client now; what is made and never goes counts for nothing. */
  countHanded(): void {
    this.handedOn = this.made;
    this.counted = this.filter?.checkpoint().meter ?? null;
  }

  // ── what it costs ──

  /** Output tokens handed on. */
  private get used(): number {
    return this.counted === null ? 0 : tokensUsed(this.counted);
  }

  /** Output tokens to have the Account pay for now, or null. */
  extension(now: number): number | null {
    if (this.cold) return null;
    return this.ended ? this.allowance.rest(this.used) : this.allowance.next(this.used, now);
  }

  /** Returns the credit that the agent was kept waiting for. */
  extended(answer: ExtendAnswer | null, now: number): Frame | null {
    this.allowance.answered(answer, now);
    this.filter?.stopAt(this.allowance.end);
    return this.swallowed();
  }

  /** What was paid for is used up, and the client was told so. */
  get spent(): boolean {
    return this.filter?.stopped === true;
  }

  /** `known`: of a cold attempt, what its agent kept. */
  metered(known: Kept | null): RelayMeter {
    const meter = this.counted ?? known?.meter ?? null;
    const paid = (this.spent ? this.allowance.end : null) ?? Infinity;
    const tokens =
      meter === null
        ? { tokensIn: null, cachedIn: null, tokensOut: null }
        : meteredTokens(meter, this.row.requestBytes || this.requestTotal, paid, this.row.ask.stream?.prompt);
    return {
      status: this.head?.status ?? this.resumedFrom?.status ?? known?.status ?? null,
      bytes: meter?.bytes ?? 0,
      ...tokens,
      // A complete reply without a byte took its time too.
      lastByteMs: this.firstByteAt === null && !this.ended ? null : this.lastByteAt - this.row.startedAt,
    };
  }

  settlement(outcome: Settlement['outcome'], code: string, final: boolean, known: Kept | null): Settlement {
    const { ask, agent, hotkey, startedAt } = this.row;
    return {
      call: ask.call,
      attempt: ask.attempt,
      account: ask.account,
      key: ask.key,
      chute: ask.chute,
      version: ask.version,
      instance: ask.instance,
      agent,
      hotkey,
      outcome,
      code,
      final,
      ...this.metered(known),
      waitedMs: ask.waitedMs,
      cold: ask.cold,
      region: this.row.region ?? '',
      startedAt,
      firstByteMs: this.firstByteAt === null ? null : this.firstByteAt - startedAt,
      receipt: this.receipt,
    };
  }
}

/** Bytes that a head says will follow; infinite where it does not. */
function lengthOf(head: Head): number {
  const length = head.headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? '';
  return /^\d{1,15}$/.test(length) ? Number(length) : Infinity;
}

function ackFrame(stream: number, offset: number, checkpoint: Uint8Array, flags: number): Frame {
  const payload = new Uint8Array(8 + checkpoint.byteLength);
  payload.set(encodeU64(offset));
  payload.set(checkpoint, 8);
  return frame(FRAME.ACK, stream, payload, flags);
}
