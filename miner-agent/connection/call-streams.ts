/** The attempts of this agent: what the edge's frames and the engines' bytes do to them. Pure; owns dedupe and bounds. */
import { FLAG_TRIM, FRAME, LIMITS, ProtocolError, decodeJson, decodeU64, encodeJson, frame, openCallSchema } from '#protocol';
import type { Frame, HeldStream, ResetCode } from '#protocol';
import { CallStream } from './call-stream.ts';
import type { CoreDeps, CoreEvent, Turn } from './events.ts';
import { Flusher } from './flusher.ts';
import { replyHead } from '../calls/headers.ts';
import { makeReceipt } from './receipt.ts';
import { Seen } from './seen.ts';
import { Slots } from './slots.ts';

/** Attempts remembered, so that one that comes twice is not run twice. */
const SEEN = 10_000;
/** Milliseconds beyond `LIMITS.resumeMs` that a stream without an edge is kept. */
const SLACK_MS = 5_000;

export type EngineEvent = Extract<CoreEvent, { attempt: string }>;

export class CallStreams {
  readonly flusher = new Flusher();
  readonly #deps: Pick<CoreDeps, 'hasher' | 'sign'>;
  readonly #byId = new Map<number, CallStream>();
  readonly #byAttempt = new Map<string, CallStream>();
  /** Calls that engines work on. */
  readonly slots = new Slots();
  readonly #seen = new Seen(SEEN);
  #retained = 0;

  constructor(deps: Pick<CoreDeps, 'hasher' | 'sign'>) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Bytes held over all streams. */
  get retained(): number {
    return this.#retained;
  }

  // ── From the edge ───────────────────────────────────────────────────────────────────────────────────────────────

  frame(f: Frame, turn: Turn): void {
    if (f.type === FRAME.OPEN) return this.#open(f, turn);
    const stream = this.#byId.get(f.stream);
    if (stream === undefined) return refuseUnknown(f, turn);
    switch (f.type) {
      case FRAME.DATA:
        return this.#requestData(stream, f.payload, turn);
      case FRAME.END:
        return this.#requestEnd(stream, turn);
      case FRAME.CREDIT:
        stream.credit = Math.max(stream.credit, decodeU64(f.payload));
        return this.#credited(stream, turn);
      case FRAME.ACK:
        return this.#ack(stream, f, turn);
      case FRAME.RESUME:
        return this.#resume(stream, decodeU64(f.payload), decodeU64(f.payload, 1), turn);
      case FRAME.RESET:
        return this.#forget(stream, turn);
      case FRAME.HEAD:
        throw new ProtocolError('state', 'HEAD on a call from the edge');
    }
  }

  #open(f: Frame, turn: Turn): void {
    if (this.#byId.has(f.stream)) throw new ProtocolError('state', 'OPEN of a stream that is open');
    const open = decodeJson(openCallSchema, f.payload, 'OPEN');
    if (!/^\/[!-~]*$/.test(open.path)) return reset(f.stream, 'protocol', 'the path is not one', turn);
    if (this.#seen.has(open.attempt)) return reset(f.stream, 'protocol', 'this attempt was here before', turn);
    const full = this.size >= LIMITS.streams ? 'busy' : this.slots.take(open.instance);
    if (full !== null) return reset(f.stream, full, full === 'busy' ? 'no free slot' : 'no such instance here', turn);
    this.#seen.add(open.attempt);
    const stream = new CallStream(f.stream, open, turn.now, this.#deps.hasher());
    this.#byId.set(stream.id, stream);
    this.#byAttempt.set(stream.attempt, stream);
    turn.effects.push({ type: 'call', open });
  }

  #requestData(stream: CallStream, bytes: Uint8Array, turn: Turn): void {
    stream.received += bytes.byteLength;
    if (stream.requestEnded) return this.#violation(stream, 'DATA after END', turn);
    if (stream.received > stream.granted) return this.#violation(stream, 'more DATA than granted', turn);
    if (stream.received > LIMITS.bodyBytes) return this.#violation(stream, 'request too large', turn);
    if (stream.running) turn.effects.push({ type: 'write', attempt: stream.attempt, bytes });
    else this.#taken(stream, bytes.byteLength, turn);
  }

  #requestEnd(stream: CallStream, turn: Turn): void {
    if (stream.requestEnded) return this.#violation(stream, 'END twice', turn);
    stream.requestEnded = true;
    if (stream.running) turn.effects.push({ type: 'finish', attempt: stream.attempt });
  }

  #credited(stream: CallStream, turn: Turn): void {
    this.flusher.add(stream, turn.now, this.slots.running);
    this.#regulate(stream, turn);
  }

  #ack(stream: CallStream, f: Frame, turn: Turn): void {
    const offset = decodeU64(f.payload);
    if (offset > stream.log.end || (stream.attached && offset > stream.sent))
      return this.#violation(stream, 'ACK of bytes never sent', turn);
    const checkpoint = f.payload.slice(8);
    if (offset >= stream.latestAt) {
      stream.latest = checkpoint;
      stream.latestAt = offset;
    }
    if ((f.flags & FLAG_TRIM) === 0 || offset < stream.log.start) return;
    stream.base = checkpoint;
    this.#trim(stream, offset, turn);
    // A new edge that has it all already does not resume first.
    const told = stream.lastSent || (!stream.attached && stream.last?.type === FRAME.END);
    if (told && offset === stream.log.end) this.#forget(stream, turn);
  }

  #resume(stream: CallStream, offset: number, credit: number, turn: Turn): void {
    if (offset < stream.log.start || offset > stream.log.end) {
      reset(stream.id, 'gap', 'these bytes are not kept', turn);
      return this.#forget(stream, turn);
    }
    stream.attach(offset, credit);
    if (!stream.requestEnded) turn.frames.push(stream.grantFrame());
    this.#credited(stream, turn);
  }

  // ── From an engine ──────────────────────────────────────────────────────────────────────────────────────────────

  engine(event: EngineEvent, turn: Turn): void {
    const stream = this.#byAttempt.get(event.attempt);
    if (stream === undefined || (!stream.running && event.type !== 'taken')) return;
    switch (event.type) {
      case 'head':
        return this.#head(stream, event.status, event.headers, turn);
      case 'data':
        return this.#replyData(stream, event.bytes, turn);
      case 'end':
        return this.#replyEnd(stream, turn);
      case 'broken':
        return this.#fail(stream, event.code, event.message, turn);
      case 'taken':
        return this.#taken(stream, event.bytes, turn);
    }
  }

  #head(stream: CallStream, status: number, headers: [string, string][], turn: Turn): void {
    const head = replyHead(status, headers);
    if (head === null) {
      turn.effects.push({ type: 'cancel', attempt: stream.attempt });
      return this.#fail(stream, 'engine_error', 'the head of the reply is too large or not HTTP', turn);
    }
    stream.head = head;
    this.flusher.add(stream, turn.now, this.slots.running);
  }

  #replyData(stream: CallStream, bytes: Uint8Array, turn: Turn): void {
    if (stream.head === null || bytes.byteLength === 0) return;
    stream.firstByteAt ??= turn.now;
    stream.log.append(bytes);
    stream.hash.update(bytes);
    stream.usage.append(bytes);
    this.#retained += bytes.byteLength;
    this.flusher.add(stream, turn.now, this.slots.running);
    this.#regulate(stream, turn);
  }

  #replyEnd(stream: CallStream, turn: Turn): void {
    if (stream.head === null) return this.#fail(stream, 'engine_error', 'the reply has no head', turn);
    const receipt = makeReceipt(stream, turn.now, this.#deps.sign);
    stream.last = frame(FRAME.END, stream.id, encodeJson(receipt));
    this.#stopped(stream);
    turn.effects.push({
      type: 'served',
      instance: stream.instance,
      outcome: 'completed',
      bytes: stream.log.end,
      tokensOut: receipt.tokensOut,
    });
    this.flusher.add(stream, turn.now, this.slots.running);
  }

  /** The reply ends in a RESET, after the bytes that came before it. */
  #fail(stream: CallStream, code: ResetCode, message: string, turn: Turn): void {
    stream.last = resetFrame(stream.id, code, message);
    this.#stopped(stream);
    turn.effects.push({ type: 'served', instance: stream.instance, outcome: 'failed', bytes: stream.log.end, tokensOut: null });
    this.flusher.add(stream, turn.now, this.slots.running);
  }

  #taken(stream: CallStream, bytes: number, turn: Turn): void {
    stream.taken += bytes;
    const grant = stream.grant();
    if (grant !== null && stream.attached) turn.frames.push(grant);
  }

  // ── Time and connections ────────────────────────────────────────────────────────────────────────────────────────

  /** Sends what is due. A stream whose RESET left is over; one whose END left waits for the edge to have it all. */
  flush(turn: Turn): void {
    for (const stream of this.flusher.flush(turn)) {
      if (stream.last?.type === FRAME.RESET) this.#forget(stream, turn);
    }
  }

  unblock(now: number): void {
    this.flusher.block(false, now);
  }

  /** The socket went: nothing is sent until the next edge says from where. */
  detach(now: number): void {
    this.flusher.clear();
    for (const stream of this.#byId.values()) stream.detach(now);
  }

  /** A new edge was told of every stream; from now it has time to take them up. */
  greeted(now: number): void {
    for (const stream of this.#byId.values()) if (!stream.attached) stream.lostAt = now;
  }

  /** Ends what took too long. */
  sweep(turn: Turn): void {
    for (const stream of this.#byId.values()) {
      const lost = !stream.attached && turn.now >= stream.lostAt + LIMITS.resumeMs + SLACK_MS;
      const stuck = turn.now >= stream.deadline + LIMITS.resumeMs + SLACK_MS;
      if (lost || (stuck && !stream.running)) {
        if (stream.attached) reset(stream.id, 'timeout', 'the deadline of the call passed', turn);
        this.#forget(stream, turn);
      } else if (stream.running && turn.now >= stream.deadline) {
        turn.effects.push({ type: 'cancel', attempt: stream.attempt });
        this.#fail(stream, 'timeout', 'the deadline of the call passed', turn);
      }
    }
  }

  /** The instance is gone: its calls fail. */
  abandon(instance: string, turn: Turn): void {
    this.slots.set(instance, null);
    for (const stream of this.#byId.values()) {
      if (stream.instance !== instance || !stream.running) continue;
      turn.effects.push({ type: 'cancel', attempt: stream.attempt });
      this.#fail(stream, stream.head === null ? 'engine_unreachable' : 'engine_error', 'the program of the instance ended', turn);
    }
  }

  held(): HeldStream[] {
    return [...this.#byId.values()].map((stream) => stream.held());
  }

  /** Drops the streams with these ids: there is no room to tell the edge of them. */
  drop(ids: number[], turn: Turn): void {
    for (const id of ids) {
      const stream = this.#byId.get(id);
      if (stream !== undefined) this.#forget(stream, turn);
    }
  }

  // ── Bookkeeping ─────────────────────────────────────────────────────────────────────────────────────────────────

  #violation(stream: CallStream, message: string, turn: Turn): void {
    reset(stream.id, 'protocol', message, turn);
    this.#forget(stream, turn);
  }

  #forget(stream: CallStream, turn: Turn): void {
    if (!this.#byId.delete(stream.id)) return;
    this.#byAttempt.delete(stream.attempt);
    this.flusher.remove(stream);
    this.#release(stream.log.held, turn);
    if (!stream.running) return;
    this.#stopped(stream);
    turn.effects.push({ type: 'cancel', attempt: stream.attempt });
    turn.effects.push({ type: 'served', instance: stream.instance, outcome: 'cancelled', bytes: stream.log.end, tokensOut: null });
  }

  #stopped(stream: CallStream): void {
    stream.running = false;
    this.slots.release(stream.instance);
  }

  #trim(stream: CallStream, offset: number, turn: Turn): void {
    const before = stream.log.held;
    stream.log.trim(offset);
    this.#release(before - stream.log.held, turn);
    this.#regulate(stream, turn);
  }

  /** Holds or lets go one engine by what is kept of its reply. */
  #regulate(stream: CallStream, turn: Turn): void {
    if (!stream.running) return;
    const wanted = stream.wantsMore() && this.#retained < LIMITS.retainTotalBytes;
    if (wanted === stream.reading) return;
    stream.reading = wanted;
    turn.effects.push({ type: wanted ? 'continue' : 'pause', attempt: stream.attempt });
  }

  #release(bytes: number, turn: Turn): void {
    const wasFull = this.#retained >= LIMITS.retainTotalBytes;
    this.#retained -= bytes;
    if (wasFull && this.#retained < LIMITS.retainTotalBytes) for (const stream of this.#byId.values()) this.#regulate(stream, turn);
  }
}

/** Late frames of a stream that is over are normal; only what expects an answer gets one. */
function refuseUnknown(f: Frame, turn: Turn): void {
  if (f.type === FRAME.RESUME) reset(f.stream, 'gap', 'no such stream here', turn);
}

function reset(id: number, code: ResetCode, message: string, turn: Turn): void {
  turn.frames.push(resetFrame(id, code, message));
}

function resetFrame(id: number, code: ResetCode, message: string): Frame {
  return frame(FRAME.RESET, id, encodeJson({ code, message }));
}
