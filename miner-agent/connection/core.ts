/**
 * The agent's end of the wire as a state machine: events in, effects out; no socket, clock or dice of its own. The driver
 * calls `step` for each event and again with `wake` once `wakeAt` has come. The simulator does the same.
 */
import { CLOSE, KEEPALIVE, LIMITS, ProtocolError, afterClose, decodeFrames, downSchema, packMessages } from '#protocol';
import type { Down, Hello, InstanceReport } from '#protocol';
import { BlobStreams } from './blob-streams.ts';
import { CallStreams } from './call-streams.ts';
import type { CoreDeps, CoreEvent, Effect, Turn } from './events.ts';
import { reconnectMs } from './reconnect.ts';

/** Milliseconds between two looks at deadlines while streams are open. */
const SWEEP_MS = 250;
/** A connection that lasted this long clears the count of tries. */
const STEADY_MS = 1_000;

export class Core {
  readonly calls: CallStreams;
  readonly #blobs = new BlobStreams();
  readonly #deps: CoreDeps;
  readonly #reports = new Map<string, InstanceReport>();
  /** `greeting`: hello was sent, welcome is awaited. */
  #link: 'down' | 'greeting' | 'ready' | 'over' = 'down';
  #readyAt = 0;
  #heardAt = 0;
  #pingAt = 0;
  #sweepAt: number | null = null;
  #goawayAt: number | null = null;
  #tries = 0;
  /** Unix milliseconds until when calls may run on, once draining. */
  #drainUntil: number | null = null;

  constructor(deps: CoreDeps) {
    this.#deps = deps;
    this.calls = new CallStreams(deps);
  }

  /** Instances or streams run here: others would be started in their place. */
  get serving(): boolean {
    return this.#reports.size > 0 || this.calls.size > 0;
  }

  get ready(): boolean {
    return this.#link === 'ready';
  }

  /** Unix milliseconds when `wake` is due, or null. */
  wakeAt(): number | null {
    let at = this.#sweepAt;
    const sooner = (other: number | null) => {
      if (other !== null && (at === null || other < at)) at = other;
    };
    if (this.#link === 'ready') sooner(this.calls.flusher.dueAt);
    if (this.#link === 'ready' || this.#link === 'greeting') sooner(this.#pingAt);
    sooner(this.#goawayAt);
    return at;
  }

  step(event: CoreEvent, now: number): Effect[] {
    const turn: Turn = { now, effects: [], frames: [] };
    try {
      this.#take(event, turn);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      turn.frames.length = 0;
      this.#hangUp(error.code === 'limit' ? CLOSE.limit : CLOSE.protocol, error.message, turn);
    }
    if (this.#link === 'ready') for (const message of packMessages(turn.frames)) turn.effects.push({ type: 'send', message });
    this.#sweepAt = this.calls.size === 0 ? null : (this.#sweepAt ?? now + SWEEP_MS);
    return turn.effects;
  }

  #take(event: CoreEvent, turn: Turn): void {
    switch (event.type) {
      case 'opened':
        return this.#greet(turn);
      case 'closed':
        return this.#closed(event.code, turn);
      case 'failed':
        return this.#redial(false, event.retryAfterMs, turn);
      case 'text':
        return this.#text(event.text, turn);
      case 'message':
        return this.#message(event.bytes, turn);
      case 'writable':
        return this.calls.flusher.block(!event.yes, turn.now);
      case 'wake':
        return this.#wake(turn);
      case 'say':
        return this.#say(event.message, turn);
      case 'report':
        return this.#report(event.report, turn);
      case 'slots':
        return this.calls.slots.set(event.instance, event.slots);
      case 'fetch':
        return this.#blobs.fetch(event.instance, event.blob, event.bytes, this.ready, turn);
      case 'stored':
        return this.#blobs.stored(event.instance, event.bytes, this.ready, turn);
      case 'abandon':
        this.#blobs.abandon(event.instance, this.ready, turn);
        return this.calls.abandon(event.instance, turn);
      case 'drain':
        this.#drainUntil = turn.now + event.withinMs;
        this.#say({ type: 'drain', withinMs: event.withinMs }, turn);
        return this.#checkDrained(turn);
      case 'leave':
        this.#link = 'over';
        turn.effects.push({ type: 'close', code: CLOSE.done, reason: 'drained' });
        return;
      case 'head':
      case 'data':
      case 'end':
      case 'broken':
      case 'taken':
        this.calls.engine(event, turn);
        return this.#checkDrained(turn);
    }
  }

  // ── Connection ──────────────────────────────────────────────────────────────────────────────────────────────────

  #greet(turn: Turn): void {
    this.#link = 'greeting';
    this.#heardAt = turn.now;
    this.#pingAt = turn.now + LIMITS.pingMs;
    this.#goawayAt = null;
    const hello: Hello = {
      type: 'hello',
      inventory: this.#deps.inventory,
      instances: [...this.#reports.values()],
      streams: this.calls.held(),
    };
    let text = JSON.stringify(hello);
    while (text.length > LIMITS.controlBytes && hello.streams.length > 0) {
      this.calls.drop(
        hello.streams.splice(-Math.ceil(hello.streams.length / 8)).map((s) => s.stream),
        turn,
      );
      text = JSON.stringify(hello);
    }
    turn.effects.push({ type: 'send', message: text });
  }

  #closed(code: number, turn: Turn): void {
    if (this.#link === 'over') return;
    if (this.#link === 'ready' && turn.now - this.#readyAt >= STEADY_MS) this.#tries = 0;
    const goaway = this.#goawayAt;
    this.#link = 'down';
    this.#goawayAt = null;
    this.calls.detach(turn.now);
    const then = afterClose(code);
    if (then === 'stop') {
      this.#link = 'over';
      turn.effects.push({ type: 'over', code });
      return;
    }
    this.#redial(then === 'slow', goaway === null ? null : Math.max(0, goaway - turn.now), turn);
  }

  #redial(slow: boolean, retryAfterMs: number | null, turn: Turn): void {
    if (this.#link === 'over') return;
    const inMs = reconnectMs({
      tries: this.#tries,
      streamsOpen: this.calls.size > 0,
      serving: this.serving,
      slow,
      retryAfterMs,
      random: this.#deps.random(),
    });
    this.#tries++;
    turn.effects.push({ type: 'connect', inMs });
  }

  /** The core gives the socket up at once; the late `closed` of it is not waited for. */
  #hangUp(code: number, reason: string, turn: Turn): void {
    if (this.#link === 'down' || this.#link === 'over') return;
    turn.effects.push({ type: 'close', code, reason });
    this.#closed(code, turn);
  }

  #wake(turn: Turn): void {
    if (this.#sweepAt !== null && turn.now >= this.#sweepAt) {
      this.#sweepAt = null;
      this.calls.sweep(turn);
      this.#checkDrained(turn);
    }
    if (this.#goawayAt !== null && turn.now >= this.#goawayAt) return this.#hangUp(CLOSE.goaway, 'as asked', turn);
    if (this.#link === 'down' || this.#link === 'over') return;
    if (turn.now >= this.#pingAt) {
      if (turn.now - this.#heardAt >= LIMITS.silenceMs) return this.#hangUp(CLOSE.goaway, 'the edge is silent', turn);
      this.#pingAt = turn.now + LIMITS.pingMs;
      turn.effects.push({ type: 'send', message: KEEPALIVE.ping });
    }
    if (this.#link === 'ready') this.calls.flush(turn);
  }

  // ── From the edge ───────────────────────────────────────────────────────────────────────────────────────────────

  #message(bytes: Uint8Array, turn: Turn): void {
    if (this.#link === 'down' || this.#link === 'over') return;
    this.#heardAt = turn.now;
    const frames = decodeFrames(bytes);
    if (this.#link !== 'ready') throw new ProtocolError('state', 'frames before welcome');
    for (const f of frames) {
      if (f.stream % 2 === 0) this.calls.frame(f, turn);
      else this.#blobs.frame(f, turn);
    }
    this.#checkDrained(turn);
  }

  #text(text: string, turn: Turn): void {
    if (this.#link === 'down' || this.#link === 'over') return;
    this.#heardAt = turn.now;
    if (text === KEEPALIVE.pong) return;
    const message = parseDown(text);
    if (message === null) return;
    if (message.type === 'welcome') this.#welcomed(turn);
    else if (this.#link !== 'ready') throw new ProtocolError('state', 'a message before welcome');
    else if (message.type === 'ping') this.#say({ type: 'pong', id: message.id }, turn);
    else if (message.type === 'goaway') this.#goawayAt = turn.now + Math.min(message.retryAfterMs, 10 * LIMITS.resumeMs);
    turn.effects.push({ type: 'heard', message });
  }

  #welcomed(turn: Turn): void {
    if (this.#link !== 'greeting') throw new ProtocolError('state', 'welcome twice');
    this.#link = 'ready';
    this.#readyAt = turn.now;
    this.calls.greeted(turn.now);
    this.#blobs.reopen(turn);
    for (const report of this.#reports.values()) if (isOver(report)) this.#reports.delete(report.instance);
    if (this.#drainUntil !== null) this.#say({ type: 'drain', withinMs: Math.max(0, this.#drainUntil - turn.now) }, turn);
  }

  // ── From the conductor ──────────────────────────────────────────────────────────────────────────────────────────

  /** Messages said while there is no connection are lost; what matters is in the next hello. */
  #say(message: object, turn: Turn): void {
    if (this.#link === 'ready') turn.effects.push({ type: 'send', message: JSON.stringify(message) });
  }

  #report(report: InstanceReport, turn: Turn): void {
    this.#say({ type: 'report', report }, turn);
    if (isOver(report) && this.#link === 'ready') this.#reports.delete(report.instance);
    else this.#reports.set(report.instance, report);
  }

  #checkDrained(turn: Turn): void {
    if (this.#drainUntil === null || this.calls.size > 0) return;
    turn.effects.push({ type: 'drained' });
  }
}

function isOver(report: InstanceReport): boolean {
  return report.state === 'failed' || report.state === 'stopped';
}

/** Null for a message of a type this agent does not know: a newer edge may say more. */
function parseDown(text: string): Down | null {
  if (text.length > LIMITS.controlBytes) throw new ProtocolError('limit', 'message too large');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError('malformed', 'a message is not JSON');
  }
  const parsed = downSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  if (typeof type === 'string' && !KNOWN.has(type)) return null;
  throw new ProtocolError('malformed', 'a message does not fit its schema');
}

const KNOWN = new Set<string>(['welcome', 'grant', 'refusal', 'stop', 'ping', 'goaway', 'challenge', 'sample'] satisfies Down['type'][]);
