/**
 * The attempts that cross the agent's socket, from dispatch to settlement:
 * relay (row, OPEN) → HEAD → DATA … → END → drained → settled. Each ends exactly once, in `finish`.
 */
import {
  FRAME,
  LIMITS,
  ProtocolError,
  decodeJson,
  decodeU64,
  encodeJson,
  frame,
  headSchema,
  receiptSchema,
  resetSchema,
  type Frame,
  type HeldStream,
  type ResetCode,
} from '#protocol';
import type { CallId, ExtendAnswer, InquiryAnswer, RelayAsk, RelayRefusal, Settlement } from '../calls/ports.ts';
import { Attempt } from './attempt.ts';
import { ASK_AGAIN_MS } from './allowance.ts';
import { openCheckpoint, type Kept, type Mac } from './checkpoint.ts';
import { earnedBy } from './earned.ts';
import type { Instances } from './instances.ts';
import type { Outbox } from './outbox.ts';
import { concat } from './reply.ts';
import { attemptKey, type AgentRow, type AttemptRow } from './rows.ts';
import type { Tombstones } from './tombstones.ts';
import type { Turn } from './turn.ts';

/** Milliseconds an attempt of which nothing reached the client waits for its agent, before another miner gets the call. */
const EARLY_LOSS_MS = 1_500;
/** Milliseconds an attempt of an object that started again waits for the Worker to come back for it. */
const REATTACH_MS = 5_000;

export class Attempts {
  private readonly running = new Map<string, Attempt>();
  private readonly streams = new Map<number, Attempt>();
  /** Streams of cold attempts that the agent still holds. */
  private readonly held = new Map<string, HeldStream>();
  /** Client offsets of Workers that came back for a cold attempt. */
  private readonly reattached = new Map<string, number>();
  private readonly startedAt: number;
  private nextStream: number;
  private readonly mac: Mac;
  private readonly instances: Instances;
  private readonly outbox: Outbox;
  private readonly tombstones: Tombstones;

  constructor(firstStream: number, mac: Mac, startedAt: number, instances: Instances, outbox: Outbox, tombstones: Tombstones) {
    this.nextStream = (firstStream & 0x7ffffffe) >>> 0;
    this.mac = mac;
    this.startedAt = startedAt;
    this.instances = instances;
    this.outbox = outbox;
    this.tombstones = tombstones;
  }

  restore(row: AttemptRow): void {
    this.running.set(row.key, new Attempt(row, this.startedAt, true));
  }

  /** After all rows are read: running attempts hold their slots. */
  holdSlots(): void {
    for (const attempt of this.running.values()) if (!attempt.settled) this.instances.slots.restore(attempt.row.ask.instance, attempt.key);
  }

  /** A hibernated object wakes: what ran is known by its rows alone. */
  chill(): void {
    for (const attempt of this.running.values()) attempt.cold = true;
  }

  hasEnded(key: string): boolean {
    return this.running.get(key)?.ended === true;
  }

  get count(): number {
    return this.running.size;
  }

  list(): { attempt: string; stream: number; cold: boolean }[] {
    return [...this.running.values()].map((a) => ({ attempt: a.key, stream: a.stream, cold: a.cold }));
  }

  // ── a call comes ──

  /** Dispatches one attempt, or refuses it. `body`: the whole request body, or null when it comes by `request`. */
  relay(turn: Turn, agent: AgentRow | null, ask: RelayAsk, body: Uint8Array | null): void {
    const key = attemptKey(ask.call, ask.attempt);
    const refusal = this.refusal(turn, ask, key);
    if (refusal !== null || agent === null) {
      const busy = this.instances.slots.busy(ask.instance);
      turn.do({ do: 'answer', attempt: key, answer: { kind: 'refused', code: refusal ?? 'offline', busy } });
      return;
    }
    const attempt = new Attempt(this.rowOf(turn, agent, ask, key, body), turn.now, false);
    this.running.set(key, attempt);
    this.streams.set(attempt.stream, attempt);
    turn.put(attempt.row);
    const { instance, method, path, headers, deadlineMs } = ask;
    const open = frame(FRAME.OPEN, attempt.stream, encodeJson({ attempt: key, instance, method, path, headers, deadlineMs }));
    turn.send([open, ...attempt.offerRequest(body, body !== null)]);
    attempt.handed = true;
    this.instances.noteLoad(turn, instance);
    turn.wake(this.expiresAt(attempt, null));
  }

  private refusal(turn: Turn, ask: RelayAsk, key: string): RelayRefusal | null {
    if (this.tombstones.has(ask.call) || this.running.has(key) || this.outbox.has(key)) return 'late';
    if (!turn.connected) return 'offline';
    if (this.instances.isShut) return 'gated';
    if (this.running.size >= LIMITS.streams) return 'busy';
    return this.instances.slots.take(ask.instance, ask.version, ask.call, key);
  }

  private rowOf(turn: Turn, agent: AgentRow, ask: RelayAsk, key: string, body: Uint8Array | null): AttemptRow {
    const { headers: _headers, method: _method, path: _path, ...kept } = ask;
    do this.nextStream = (this.nextStream + 2) >>> 0;
    while (this.streams.has(this.nextStream));
    const requestBytes = Math.min(body?.byteLength ?? 0, ask.requestBytes ?? Infinity);
    return {
      kind: 'attempt',
      key,
      ask: kept,
      agent: agent.agent,
      hotkey: agent.hotkey,
      region: agent.inventory?.region ?? '',
      stream: this.nextStream,
      startedAt: turn.now,
      requestBytes,
    };
  }

  /** More of a streamed request body. */
  request(turn: Turn, key: string, bytes: Uint8Array | null, ended: boolean): void {
    const attempt = this.running.get(key);
    if (attempt === undefined) return;
    turn.send(attempt.offerRequest(bytes, ended));
    if (attempt.wantsRequest()) turn.do({ do: 'room', attempt: key });
  }

  /** What was pushed has been taken: more credit, or after the end the agent may forget the stream. */
  drained(turn: Turn, key: string): void {
    const attempt = this.running.get(key);
    if (attempt === undefined) return;
    if (attempt.ended) this.leave(turn, attempt);
    else turn.send(present(attempt.drained()));
  }

  /** The client or its Worker left: cancel the engine, settle what was handed on. */
  readerGone(turn: Turn, key: string): void {
    const attempt = this.running.get(key);
    if (attempt === undefined) return;
    if (attempt.ended) this.leave(turn, attempt);
    else this.cancel(turn, attempt, attempt.handedOn > 0);
  }

  // ── a Worker comes back ──

  /** A Worker whose stream broke comes back for a running attempt, with the client bytes it has. */
  attach(turn: Turn, call: CallId, number: number, offset: number): void {
    const key = attemptKey(call, number);
    const attempt = this.running.get(key);
    if (attempt === undefined) {
      // Settled and acknowledged, or never here: who cannot tell must not let it run twice.
      const settled = this.outbox.get(key);
      const code = settled === undefined || settled.code === '' ? 'miner_lost' : settled.code;
      turn.do({ do: 'answer', attempt: key, answer: { kind: 'failed', code, handed: true } });
      return;
    }
    if (!attempt.cold) {
      // This object lost its reader and learns it only now: nobody else can be reading.
      this.cancel(turn, attempt, offset > 0);
      turn.do({ do: 'answer', attempt: key, answer: { kind: 'failed', code: 'miner_lost', handed: true } });
      return;
    }
    this.reattached.set(key, offset);
    const held = this.held.get(key);
    if (held !== undefined) this.warm(turn, attempt, held, offset);
    else turn.wake(this.expiresAt(attempt, null));
  }

  private warm(turn: Turn, attempt: Attempt, held: HeldStream, offset: number): void {
    const from = this.checkpointFor(attempt, held, offset);
    if ((from?.offset ?? 0) < held.kept || !held.requestEnded) {
      turn.reset(attempt.stream, 'gap');
      this.fail(turn, attempt, 'miner_lost');
      return;
    }
    this.held.delete(attempt.key);
    this.reattached.delete(attempt.key);
    turn.send(attempt.warm(this.mac, from, offset));
  }

  /** The newest checkpoint that is not ahead of the client. */
  private checkpointFor(attempt: Attempt, held: HeldStream, offset: number): Kept | null {
    for (const sealed of [held.latest, held.base]) {
      const checkpoint = openCheckpoint(this.mac, attempt.key, fromBase64(sealed));
      if (checkpoint !== null && checkpoint.client <= offset) return checkpoint;
    }
    return null;
  }

  // ── the agent comes back ──

  reconcile(turn: Turn, streams: readonly HeldStream[]): void {
    const told = new Map(streams.map((s) => [s.attempt, s]));
    this.streams.clear();
    for (const attempt of this.running.values()) {
      const stream = told.get(attempt.key);
      if (stream === undefined) this.fail(turn, attempt, 'miner_lost');
      else if (attempt.cold) this.hold(turn, attempt, stream);
      else this.resume(turn, attempt, stream);
    }
    for (const stream of streams) if (!this.running.has(stream.attempt)) turn.reset(stream.stream, 'cancelled');
  }

  private resume(turn: Turn, attempt: Attempt, stream: HeldStream): void {
    attempt.stream = stream.stream;
    this.streams.set(stream.stream, attempt);
    if (attempt.ended) {
      turn.send([attempt.finalAck()]);
      return;
    }
    const request = attempt.resendRequest(stream.received, stream.requestEnded);
    if (request === null || attempt.received < stream.kept || attempt.received > stream.produced) this.fail(turn, attempt, 'miner_lost');
    else turn.send([attempt.resume(), ...request]);
  }

  private hold(turn: Turn, attempt: Attempt, stream: HeldStream): void {
    attempt.stream = stream.stream;
    this.streams.set(stream.stream, attempt);
    this.held.set(attempt.key, stream);
    const offset = this.reattached.get(attempt.key);
    if (offset === undefined) turn.wake(this.expiresAt(attempt, null));
    else this.warm(turn, attempt, stream, offset);
  }

  /** The socket went: what only it could tell is forgotten. */
  disconnected(turn: Turn): void {
    this.held.clear();
    turn.wake(turn.now + EARLY_LOSS_MS);
  }

  /** An instance ended: what ran on it is over. */
  instanceEnded(turn: Turn, instance: string): void {
    for (const attempt of this.running.values()) {
      if (attempt.row.ask.instance === instance && !attempt.ended) this.fail(turn, attempt, 'engine_error');
    }
  }

  // ── frames of the agent ──

  /** Frames of one message, in order: one push per attempt. */
  frames(turn: Turn, frames: readonly Frame[]): void {
    const touched = new Map<Attempt, Uint8Array[]>();
    for (const f of frames) this.frame(turn, f, touched);
    for (const [attempt, parts] of touched) this.handOn(turn, attempt, concat(parts));
  }

  private frame(turn: Turn, f: Frame, touched: Map<Attempt, Uint8Array[]>): void {
    const attempt = this.streams.get(f.stream);
    if (attempt === undefined) {
      if (f.type === FRAME.HEAD || f.type === FRAME.END) turn.reset(f.stream, 'cancelled');
      return;
    }
    if (attempt.cold || (attempt.ended && attempt.settled)) return;
    try {
      this.attemptFrame(turn, attempt, f, touched);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      touched.delete(attempt);
      turn.reset(attempt.stream, 'protocol');
      this.fail(turn, attempt, 'engine_error');
    }
  }

  private attemptFrame(turn: Turn, attempt: Attempt, f: Frame, touched: Map<Attempt, Uint8Array[]>): void {
    const parts = touched.get(attempt) ?? [];
    touched.set(attempt, parts);
    switch (f.type) {
      case FRAME.HEAD:
        attempt.onHead(decodeJson(headSchema, f.payload, 'HEAD'), turn.now);
        return;
      case FRAME.DATA:
        parts.push(attempt.onData(f.payload, turn.now));
        return;
      case FRAME.END:
        parts.push(attempt.onEnd(decodeJson(receiptSchema, f.payload, 'receipt'), turn.now));
        return;
      case FRAME.RESET:
        touched.delete(attempt);
        this.wasReset(turn, attempt, decodeJson(resetSchema, f.payload, 'RESET').code);
        return;
      case FRAME.CREDIT:
        turn.send(attempt.grantRequest(decodeU64(f.payload)));
        if (attempt.wantsRequest() && !attempt.requestEnded) turn.do({ do: 'room', attempt: attempt.key });
        return;
      case FRAME.OPEN:
      case FRAME.ACK:
      case FRAME.RESUME:
        throw new ProtocolError('state', 'an agent does not send this frame on a call');
    }
  }

  /** A reply that comes whole, and soon, is answered as bytes. */
  private handOn(turn: Turn, attempt: Attempt, fresh: Uint8Array): void {
    if (!this.running.has(attempt.key) || attempt.head === null) return;
    const bytes = attempt.gather(fresh);
    if (bytes === null) return;
    attempt.countHanded();
    this.extend(turn, attempt);
    if (attempt.ended) this.instances.release(turn, attempt.row.ask.instance, attempt.key);
    if (!attempt.answered) {
      attempt.answered = true;
      const whole = attempt.ended && !attempt.isEvents;
      const answer = { kind: 'reply' as const, ...attempt.head, body: whole ? bytes : null };
      turn.do({ do: 'answer', attempt: attempt.key, answer: whole ? { ...answer, meter: attempt.metered(null) } : answer });
      if (whole) {
        this.leave(turn, attempt);
        return;
      }
    }
    if (bytes.byteLength > 0) turn.do({ do: 'push', attempt: attempt.key, bytes });
    if (attempt.spent) this.stop(turn, attempt);
    else if (attempt.ended) this.end(turn, attempt);
    else turn.send([...attempt.checkpoint(this.mac, turn.now), ...present(attempt.swallowed())]);
  }

  // ── what it costs ──

  private extend(turn: Turn, attempt: Attempt): void {
    const tokens = attempt.extension(turn.now);
    if (tokens === null) return;
    const { call, account } = attempt.row.ask;
    turn.do({ do: 'extend', attempt: attempt.key, call, account, tokens });
  }

  /** The Account's answer; null: it gave none, and is asked again. */
  extended(turn: Turn, key: string, answer: ExtendAnswer | null): void {
    const attempt = this.running.get(key);
    if (attempt === undefined || attempt.cold) return;
    turn.send(present(attempt.extended(answer, turn.now)));
    if (answer === null) turn.wake(turn.now + ASK_AGAIN_MS);
    else this.extend(turn, attempt);
  }

  /** The credit is used up: the client was told so in its last event, and pays for what it has. */
  private stop(turn: Turn, attempt: Attempt): void {
    turn.do({ do: 'end', attempt: attempt.key });
    if (attempt.ended) turn.send([attempt.finalAck()]);
    else turn.reset(attempt.stream, 'cancelled');
    this.finish(turn, attempt, 'cancelled', 'insufficient_credit', true, null);
  }

  private wasReset(turn: Turn, attempt: Attempt, code: ResetCode): void {
    if (!attempt.answered && (code === 'busy' || code === 'stale')) {
      this.forget(turn, attempt);
      turn.do({ do: 'delete', keys: [attempt.key] });
      const busy = this.instances.slots.busy(attempt.row.ask.instance);
      turn.do({ do: 'answer', attempt: attempt.key, answer: { kind: 'refused', code, busy } });
      return;
    }
    this.fail(turn, attempt, code === 'engine_unreachable' || code === 'timeout' ? code : 'engine_error');
  }

  // ── ends ──

  /**
   * All of the reply is on its way to the client. What it comes to is on record before the client is told of the end, or
   * an object that dies in between would have given it for nothing; the rest can still be asked for by `attach`.
   */
  private end(turn: Turn, attempt: Attempt): void {
    if (!attempt.settled) {
      attempt.settled = true;
      this.settle(turn, attempt, attempt.settlement('completed', '', true, null), attempt.row);
    }
    turn.do({ do: 'end', attempt: attempt.key });
  }

  /** The client has all of an ended reply, or left: the agent may forget the stream. */
  private leave(turn: Turn, attempt: Attempt): void {
    turn.send([attempt.finalAck()]);
    this.finish(turn, attempt, 'completed', '', true, null);
  }

  /** The row of an attempt that was settled before its client had all of it, or null. */
  lingering(key: string): AttemptRow | null {
    const attempt = this.running.get(key);
    return attempt?.settled === true ? attempt.row : null;
  }

  /** Not final where nothing reached the client: then its Worker, if it is still there, may try another miner. */
  private cancel(turn: Turn, attempt: Attempt, reached: boolean): void {
    turn.reset(attempt.stream, 'cancelled');
    this.finish(turn, attempt, 'cancelled', 'cancelled', reached, this.lastKnown(attempt));
  }

  /** The engine or the agent failed the attempt. Final once bytes reached the client. */
  private fail(turn: Turn, attempt: Attempt, code: string): void {
    const known = this.lastKnown(attempt);
    const reached = Math.max(attempt.handedOn, known?.client ?? 0, this.reattached.get(attempt.key) ?? 0) > 0;
    if (attempt.answered) turn.do({ do: 'break', attempt: attempt.key });
    else turn.do({ do: 'answer', attempt: attempt.key, answer: { kind: 'failed', code, handed: attempt.handed } });
    this.finish(turn, attempt, 'failed', code, reached, known);
  }

  /** Of a cold attempt: the agent's newest checkpoint says what was handed on before. */
  private lastKnown(attempt: Attempt): Kept | null {
    const held = this.held.get(attempt.key);
    return held === undefined ? null : openCheckpoint(this.mac, attempt.key, fromBase64(held.latest));
  }

  private finish(turn: Turn, attempt: Attempt, outcome: Settlement['outcome'], code: string, final: boolean, known: Kept | null): void {
    this.forget(turn, attempt);
    if (attempt.settled) {
      if (!this.outbox.has(attempt.key)) turn.do({ do: 'delete', keys: [attempt.key] });
      return;
    }
    this.settle(turn, attempt, attempt.settlement(outcome, code, final, known));
  }

  /** `row`: it stays, for its client does not have all of it. */
  private settle(turn: Turn, { key, row: ran }: Attempt, settlement: Settlement, row?: AttemptRow): void {
    this.outbox.add(turn, { kind: 'settlement', key, settlement, ...(row === undefined ? {} : { attempt: row }) });
    this.instances.earned(turn, ran.ask.instance, earnedBy(ran, settlement));
  }

  private forget(turn: Turn, attempt: Attempt): void {
    this.running.delete(attempt.key);
    this.streams.delete(attempt.stream);
    this.held.delete(attempt.key);
    this.reattached.delete(attempt.key);
    this.instances.release(turn, attempt.row.ask.instance, attempt.key);
  }

  // ── questions and time ──

  inquire(turn: Turn, call: CallId): InquiryAnswer {
    for (const attempt of this.running.values()) if (attempt.row.ask.call === call && !attempt.settled) return { kind: 'running' };
    const settlements = this.outbox.of(call);
    if (settlements.length > 0) return { kind: 'settled', settlements };
    this.tombstones.add(turn, call);
    return { kind: 'never' };
  }

  tick(turn: Turn, lostAt: number | null): void {
    for (const attempt of this.running.values()) {
      if (!attempt.ended) this.extend(turn, attempt);
      const code = this.expiry(turn.now, attempt, lostAt);
      if (code === null) turn.wake(Math.max(this.expiresAt(attempt, lostAt), turn.now + 50));
      else if (attempt.ended && !attempt.cold) this.finish(turn, attempt, 'cancelled', 'cancelled', true, null);
      else {
        turn.reset(attempt.stream, 'cancelled');
        this.fail(turn, attempt, code);
      }
    }
  }

  /** Why an attempt cannot go on at this time, or null. */
  private expiry(now: number, attempt: Attempt, lostAt: number | null): string | null {
    if (now < this.expiresAt(attempt, lostAt)) return null;
    const late = now >= attempt.row.startedAt + attempt.row.ask.deadlineMs;
    return late || (!attempt.cold && lostAt === null) ? 'timeout' : 'miner_lost';
  }

  private expiresAt(attempt: Attempt, lostAt: number | null): number {
    const deadline = attempt.row.startedAt + attempt.row.ask.deadlineMs;
    return Math.min(deadline, this.patienceEnds(attempt, lostAt));
  }

  private patienceEnds(attempt: Attempt, lostAt: number | null): number {
    if (attempt.cold) return this.startedAt + (this.reattached.has(attempt.key) ? LIMITS.resumeMs : REATTACH_MS);
    if (lostAt !== null && !attempt.ended) return lostAt + (attempt.answered ? LIMITS.resumeMs : EARLY_LOSS_MS);
    return attempt.lastByteAt + (attempt.firstByteAt === null ? LIMITS.firstByteMs : LIMITS.idleMs);
  }
}

function present(frame: Frame | null): Frame[] {
  return frame === null ? [] : [frame];
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}
