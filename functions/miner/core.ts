/**
 * The Miner object without its platform: one agent's session, its instances and slots, the attempts that cross its
 * socket. Every rule is here; `object.ts` carries out what this returns.
 *
 * An attempt's life: relay (row, OPEN) → HEAD → DATA … → END → drained → settlement → acknowledged by the Account.
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
  openBlobSchema,
  receiptSchema,
  resetSchema,
  type Frame,
  type HeldStream,
  type Hello,
  type InstanceReport,
  type ResetCode,
  type StopReason,
  type Up,
} from '#protocol';
import type { AgentFacts, CallId, ClaimAnswer, InquiryAnswer, RelayAsk, ReportAnswer, Settlement } from '../calls/ports.ts';
import { Attempt } from './attempt.ts';
import { openCheckpoint, type Mac } from './checkpoint.ts';
import type { Effect } from './effects.ts';
import { concat, type Checkpoint } from './reply.ts';
import {
  attemptKey,
  instanceRowKey,
  tombstoneKey,
  type AgentRow,
  type AttemptRow,
  type InstanceRow,
  type Row,
  type SettlementRow,
} from './rows.ts';
import { Slots } from './slots.ts';

/** Milliseconds a settled attempt waits for company before it travels to its Account. */
const SETTLE_BATCH_MS = 100;
/** Milliseconds until settlements that were not acknowledged travel again. */
const SETTLE_RETRY_MS = 2_000;
/** Milliseconds until a report that a Chute did not acknowledge is sent again. */
const OWED_RETRY_MS = 2_000;
/** Milliseconds an attempt of which nothing reached the client waits for its agent, before another miner gets the call. */
const EARLY_LOSS_MS = 1_500;
/** Milliseconds an attempt of an object that started again waits for the Worker to come back for it. */
const REATTACH_MS = 5_000;
/** Milliseconds a tombstone outlives the inquiry. */
const TOMBSTONE_MS = 2 * LIMITS.callMs;
/** Milliseconds between two reports of an instance's load to its Chute. */
const LOAD_MS = 1_000;
/** Control messages per second and at once; an agent that says more is closed. */
const CONTROL_RATE = 200;
const CONTROL_BURST = 2_000;

interface Session {
  epoch: number;
  /** `hello` came: streams are known, calls may be sent. */
  greeted: boolean;
  controlTokens: number;
  controlAt: number;
}

export class MinerCore {
  private agent: AgentRow | null = null;
  private session: Session | null = null;
  private lostAt: number | null = null;
  private readonly slots = new Slots();
  private readonly attempts = new Map<string, Attempt>();
  private readonly streams = new Map<number, Attempt>();
  private readonly outbox = new Map<string, SettlementRow>();
  private sentAt = 0;
  private readonly tombstones = new Map<CallId, number>();
  /** Streams of cold attempts that the agent still holds. */
  private readonly held = new Map<string, HeldStream>();
  /** Client offsets of Workers that came back for a cold attempt. */
  private readonly reattach = new Map<string, number>();
  private readonly blobs = new Set<number>();
  private readonly loadTold = new Map<string, { at: number; busy: number }>();
  private readonly loadDue = new Set<string>();
  /** Messages to Chutes that must arrive, until they did: sent again after `OWED_RETRY_MS`. */
  private readonly owed = new Map<string, { effect: Effect; at: number }>();
  private readonly claims = new Map<string, { chute: string; version: string }>();
  private startedAt = 0;
  /** The time of the event being handled. */
  private clock = 0;
  private armedAt: number | null = null;
  private nextStream: number;
  private readonly mac: Mac;
  private effects: Effect[] = [];

  /** `firstStream`: random, so that a new object never meets the stream ids of the one before it. */
  constructor(rows: readonly Row[], firstStream: number, mac: Mac, now: number) {
    this.nextStream = (firstStream & 0x7ffffffe) >>> 0;
    this.mac = mac;
    this.startedAt = now;
    for (const row of rows) this.restore(row, now);
    for (const attempt of this.attempts.values()) this.slots.restore(attempt.row.ask.instance, attempt.key);
  }

  private restore(row: Row, now: number): void {
    switch (row.kind) {
      case 'agent':
        this.agent = row;
        return;
      case 'instance':
        this.slots.put(row);
        return;
      case 'attempt':
        this.attempts.set(row.key, new Attempt(row, now, true));
        return;
      case 'settlement':
        this.outbox.set(row.key, row);
        return;
      case 'tombstone':
        this.tombstones.set(row.call, row.until);
        return;
    }
  }

  // ── what others may ask ──

  get registered(): boolean {
    return this.agent !== null;
  }

  facts(): AgentFacts | null {
    if (this.agent === null || this.agent.inventory === null) return null;
    return { agent: this.agent.agent, hotkey: this.agent.hotkey, inventory: this.agent.inventory };
  }

  get connected(): boolean {
    return this.session?.greeted === true;
  }

  get epoch(): number {
    return this.session?.epoch ?? -1;
  }

  running(): { attempt: string; stream: number; cold: boolean }[] {
    return [...this.attempts.values()].map((a) => ({ attempt: a.key, stream: a.stream, cold: a.cold }));
  }

  instances(): (InstanceRow & { busy: number })[] {
    return this.slots.all().map((i) => ({ ...i, busy: this.slots.busy(i.instance) }));
  }

  // ── session ──

  /** A login whose signature was verified. Fences the session before it. */
  onLogin(agent: string, hotkey: string, name: string): Effect[] {
    const epoch = (this.agent?.epoch ?? 0) + 1;
    this.agent = { kind: 'agent', key: 'agent', agent, hotkey, name, inventory: this.agent?.inventory ?? null, epoch };
    this.session = { epoch, greeted: false, controlTokens: CONTROL_BURST, controlAt: 0 };
    this.put(this.agent);
    return this.take();
  }

  /** A hibernated object wakes with its socket open. */
  onWake(epoch: number, greeted: boolean, now: number): void {
    if (epoch !== this.agent?.epoch) return;
    this.session = { epoch, greeted, controlTokens: CONTROL_BURST, controlAt: now };
    for (const attempt of this.attempts.values()) attempt.cold = true;
  }

  onClose(epoch: number, now: number): Effect[] {
    if (this.session?.epoch !== epoch) return [];
    this.session = null;
    this.lostAt = now;
    this.blobs.clear();
    this.held.clear();
    this.arm(now + EARLY_LOSS_MS);
    return this.take();
  }

  onText(message: Up, now: number): Effect[] {
    this.clock = now;
    if (this.session === null) return [];
    this.spendControl(this.session, now);
    if (message.type !== 'hello' && !this.session.greeted) throw new ProtocolError('state', 'hello comes first');
    switch (message.type) {
      case 'hello':
        this.onHello(message, now);
        break;
      case 'claim':
        this.onClaim(message.ref, message.chute, message.version);
        break;
      case 'report':
        this.onReport(message.report);
        break;
      case 'log': {
        const known = this.slots.get(message.instance);
        if (known !== undefined) this.do({ do: 'log', chute: known.chute, instance: message.instance, seq: message.seq, lines: message.lines });
        break;
      }
      case 'drain':
        for (const instance of this.slots.all()) this.putInstance({ ...instance, state: 'draining' });
        this.tellGone();
        break;
      case 'pong':
        this.do({ do: 'pong', id: message.id });
        break;
    }
    return this.take();
  }

  private onHello(hello: Hello, now: number): void {
    if (this.session === null || this.agent === null) return;
    if (this.session.greeted) throw new ProtocolError('state', 'hello comes once');
    this.session.greeted = true;
    this.lostAt = null;
    this.agent = { ...this.agent, inventory: hello.inventory };
    this.put(this.agent);
    this.do({ do: 'tell', message: { type: 'welcome', epoch: this.session.epoch, now } });
    this.do({ do: 'record' });
    this.reconcileInstances(hello);
    this.reconcileStreams(hello, now);
  }

  /** The agent's word on what runs replaces ours; its Chute has the last word on each. */
  private reconcileInstances(hello: Hello): void {
    const told = new Set(hello.instances.map((r) => r.instance));
    for (const known of this.slots.all()) {
      if (!told.has(known.instance)) this.dropInstance(known, { state: 'stopped', detail: 'not running any more' });
    }
    for (const report of hello.instances) this.onReport(report);
  }

  private reconcileStreams(hello: Hello, now: number): void {
    const told = new Map(hello.streams.map((s) => [s.attempt, s]));
    this.streams.clear();
    for (const attempt of this.attempts.values()) {
      const stream = told.get(attempt.key);
      if (stream === undefined) this.lose(attempt, 'miner_lost', now);
      else if (attempt.cold) this.holdCold(attempt, stream, now);
      else this.resumeLive(attempt, stream, now);
    }
    for (const stream of hello.streams) {
      if (!this.attempts.has(stream.attempt)) this.reset(stream.stream, 'cancelled');
    }
  }

  private resumeLive(attempt: Attempt, stream: HeldStream, now: number): void {
    attempt.stream = stream.stream;
    this.streams.set(stream.stream, attempt);
    if (attempt.ended) {
      this.send([attempt.finalAck()]);
      return;
    }
    const request = attempt.resendRequest(stream.received, stream.requestEnded);
    if (request === null || attempt.received < stream.kept || attempt.received > stream.produced) {
      this.lose(attempt, 'miner_lost', now);
      return;
    }
    this.send([attempt.resume(), ...request]);
  }

  private holdCold(attempt: Attempt, stream: HeldStream, now: number): void {
    attempt.stream = stream.stream;
    this.streams.set(stream.stream, attempt);
    this.held.set(attempt.key, stream);
    const offset = this.reattach.get(attempt.key);
    if (offset !== undefined) this.warm(attempt, stream, offset, now);
    else this.arm(this.startedAt + REATTACH_MS);
  }

  // ── claims and instances ──

  private onClaim(ref: string, chute: string, version: string): void {
    if (this.claims.size >= 64) throw new ProtocolError('limit', 'too many claims in flight');
    this.claims.set(ref, { chute, version });
    this.do({ do: 'claim', chute, version, ref });
  }

  onClaimAnswer(ref: string, answer: ClaimAnswer): Effect[] {
    const claim = this.claims.get(ref);
    this.claims.delete(ref);
    if (claim === undefined) return [];
    if (answer.kind === 'refusal') {
      this.tell({ type: 'refusal', ref, code: answer.code, retryAfterMs: answer.retryAfterMs });
      return this.take();
    }
    const { instance, deadlineMs, spec } = answer;
    this.putInstance({
      kind: 'instance',
      key: instanceRowKey(instance),
      instance,
      chute: claim.chute,
      version: spec.version,
      slots: spec.config.concurrency,
      state: 'starting',
      code: spec.code?.sha256 ?? null,
    });
    this.tell({ type: 'grant', ref, instance, deadlineMs, spec });
    return this.take();
  }

  private onReport(report: InstanceReport): void {
    const known = this.slots.get(report.instance);
    if (report.state === 'failed' || report.state === 'stopped') {
      if (known !== undefined) this.dropInstance(known, report);
      else this.owe({ do: 'report', chute: report.chute, report, busy: 0 });
      return;
    }
    if (known !== undefined && known.chute === report.chute && known.version === report.version && known.state !== report.state) {
      // A draining instance never takes calls again, whatever the agent says of it.
      if (known.state !== 'draining') this.putInstance({ ...known, state: report.state });
    }
    this.owe({ do: 'report', chute: report.chute, report, busy: this.slots.busy(report.instance) });
  }

  onReportAnswer(report: InstanceReport, answer: ReportAnswer): Effect[] {
    this.paid(`report ${report.instance}`, report);
    if (!answer.known) {
      const known = this.slots.get(report.instance);
      if (known !== undefined) this.putInstance({ ...known, state: 'draining' });
      if (report.state !== 'failed' && report.state !== 'stopped') {
        this.tell({ type: 'stop', instance: report.instance, reason: 'unknown_instance', noticeMs: 0 });
      }
      return this.take();
    }
    if (report.state === 'failed' || report.state === 'stopped') return [];
    const known = this.slots.get(report.instance);
    if (known === undefined) {
      this.putInstance({
        kind: 'instance',
        key: instanceRowKey(report.instance),
        instance: report.instance,
        chute: report.chute,
        version: report.version,
        slots: answer.slots,
        state: report.state,
        code: null,
      });
    } else if (known.slots !== answer.slots) this.putInstance({ ...known, slots: answer.slots });
    return this.take();
  }

  onGoneTold(chute: string): void {
    this.owed.delete(`gone ${chute}`);
  }

  private owe(effect: Extract<Effect, { do: 'report' | 'gone' }>): void {
    const key = effect.do === 'report' ? `report ${effect.report.instance}` : `gone ${effect.chute}`;
    this.owed.set(key, { effect, at: 0 });
    this.do(effect);
    this.arm(this.clock + OWED_RETRY_MS);
  }

  /** A newer report of the same instance stays owed. */
  private paid(key: string, report: InstanceReport): void {
    const owed = this.owed.get(key)?.effect;
    if (owed?.do === 'report' && owed.report === report) this.owed.delete(key);
  }

  private payOwed(now: number): void {
    for (const owed of this.owed.values()) {
      if (owed.at === 0) owed.at = now;
      if (now < owed.at + OWED_RETRY_MS) continue;
      owed.at = now;
      this.do(owed.effect);
    }
    if (this.owed.size > 0) this.arm(now + OWED_RETRY_MS);
  }

  private dropInstance(known: InstanceRow, report: Pick<InstanceReport, 'state' | 'detail'>): void {
    for (const attempt of this.attempts.values()) {
      if (attempt.row.ask.instance === known.instance && !attempt.ended) this.reset(attempt.stream, 'cancelled');
    }
    this.slots.remove(known.instance);
    this.loadTold.delete(known.instance);
    this.loadDue.delete(known.instance);
    this.do({ do: 'delete', keys: [known.key] });
    const { instance, chute, version } = known;
    this.owe({ do: 'report', chute, report: { instance, chute, version, ...report }, busy: 0 });
  }

  stop(instance: string, reason: StopReason, noticeMs: number): Effect[] {
    const known = this.slots.get(instance);
    if (known !== undefined) this.putInstance({ ...known, state: 'draining' });
    this.tell({ type: 'stop', instance, reason, noticeMs });
    return this.take();
  }

  private putInstance(row: InstanceRow): void {
    const { kind, key, instance, chute, version, slots, state, code } = row;
    const clean: InstanceRow = { kind, key, instance, chute, version, slots, state, code };
    this.slots.put(clean);
    this.put(clean);
  }

  // ── slots for waiting calls ──

  watch(chute: string, instances: readonly string[]): { instance: string; free: number }[] {
    return this.connected ? this.slots.watch(chute, instances) : [];
  }

  unwatch(chute: string): void {
    this.slots.unwatch(chute);
  }

  reserve(instance: string, call: CallId, now: number): { kept: boolean; effects: Effect[] } {
    const kept = this.connected && this.slots.reserve(instance, call, now);
    this.armSlots();
    return { kept, effects: this.take() };
  }

  /** The Chute's answer to `freed`; a failed request is answered by its retry. */
  onFreedAnswer(instance: string, offer: number, call: CallId | null, now: number): Effect[] {
    this.slots.answered(instance, offer, call, now);
    this.armSlots();
    return this.take();
  }

  // ── calls ──

  /** Dispatches one attempt, or refuses it. `body`: the whole request body, or null when it comes by `onRequest`. */
  relay(ask: RelayAsk, body: Uint8Array | null, now: number): Effect[] {
    const key = attemptKey(ask.call, ask.attempt);
    const refusal = this.refuse(ask, key);
    if (refusal !== null) {
      this.do({ do: 'answer', attempt: key, answer: { kind: 'refused', code: refusal, busy: this.slots.busy(ask.instance) } });
      return this.take();
    }
    const { headers, method, path, ...kept } = ask;
    const row: AttemptRow = {
      kind: 'attempt',
      key,
      ask: kept,
      hotkey: this.agent?.hotkey ?? '',
      stream: this.newStream(),
      startedAt: now,
      requestBytes: body?.byteLength ?? 0,
    };
    const attempt = new Attempt(row, now, false);
    this.attempts.set(key, attempt);
    this.streams.set(attempt.stream, attempt);
    this.put(row);
    attempt.handed = true;
    const open = encodeJson({ attempt: key, instance: ask.instance, method, path, headers, deadlineMs: ask.deadlineMs });
    this.send([frame(FRAME.OPEN, attempt.stream, open), ...attempt.offerRequest(body, body !== null)]);
    this.noteLoad(ask.instance, now);
    this.arm(now + Math.min(ask.deadlineMs, LIMITS.firstByteMs));
    return this.take();
  }

  private refuse(ask: RelayAsk, key: string) {
    if (this.tombstones.has(ask.call) || this.attempts.has(key) || this.outbox.has(key)) return 'late';
    if (!this.connected) return 'offline';
    if (this.attempts.size >= LIMITS.streams) return 'busy';
    return this.slots.take(ask.instance, ask.version, ask.call, key);
  }

  /** More of a streamed request body. */
  onRequest(key: string, bytes: Uint8Array | null, ended: boolean): Effect[] {
    const attempt = this.attempts.get(key);
    if (attempt === undefined) return [];
    this.send(attempt.offerRequest(bytes, ended));
    if (attempt.wantsRequest()) this.do({ do: 'room', attempt: key });
    return this.take();
  }

  /** What was pushed has been taken: more credit, or after the end the settlement. */
  onDrained(key: string, now: number): Effect[] {
    const attempt = this.attempts.get(key);
    if (attempt === undefined) return [];
    if (attempt.ended) this.complete(attempt, now);
    else {
      const credit = attempt.drained();
      if (credit !== null) this.send([credit]);
    }
    return this.take();
  }

  /** The client or its Worker left: cancel the engine, charge what was handed on. */
  onReaderGone(key: string, now: number): Effect[] {
    const attempt = this.attempts.get(key);
    if (attempt === undefined) return [];
    if (!attempt.ended) this.reset(attempt.stream, 'cancelled');
    this.finish(attempt, attempt.ended ? 'completed' : 'cancelled', attempt.ended ? '' : 'cancelled', true, now);
    return this.take();
  }

  /** A Worker whose stream broke comes back for a running attempt, with the client bytes it has. */
  attach(call: CallId, number: number, offset: number, now: number): Effect[] {
    const key = attemptKey(call, number);
    const attempt = this.attempts.get(key);
    const failed = (code: string, handed: boolean): Effect[] => {
      this.do({ do: 'answer', attempt: key, answer: { kind: 'failed', code, handed } });
      return this.take();
    };
    if (attempt === undefined) {
      const settled = this.outbox.get(key)?.settlement;
      return failed(settled === undefined || settled.code === '' ? 'miner_lost' : settled.code, settled !== undefined);
    }
    if (!attempt.cold) {
      // This object lost its reader and is told so only now: nobody else can be reading.
      this.reset(attempt.stream, 'cancelled');
      this.finish(attempt, 'cancelled', 'cancelled', true, now);
      return failed('miner_lost', true);
    }
    this.reattach.set(key, offset);
    const held = this.held.get(key);
    if (held !== undefined) this.warm(attempt, held, offset, now);
    else this.arm(now + LIMITS.resumeMs);
    return this.take();
  }

  private warm(attempt: Attempt, held: HeldStream, offset: number, now: number): void {
    const start = [held.latest, held.base].map((c) => openCheckpoint(this.mac, attempt.key, fromBase64(c))).find((c) => c !== null && c.client <= offset);
    const from = start ?? null;
    this.held.delete(attempt.key);
    this.reattach.delete(attempt.key);
    if ((from?.offset ?? 0) < held.kept || !held.requestEnded) {
      this.reset(attempt.stream, 'gap');
      this.lose(attempt, 'miner_lost', now);
      return;
    }
    this.send([attempt.warm(from, offset)]);
  }

  inquire(call: CallId, now: number): { answer: InquiryAnswer; effects: Effect[] } {
    const running = [...this.attempts.values()].some((a) => a.row.ask.call === call);
    if (running) return { answer: { kind: 'running' }, effects: [] };
    const settlements = [...this.outbox.values()].filter((r) => r.settlement.call === call).map((r) => r.settlement);
    if (settlements.length > 0) return { answer: { kind: 'settled', settlements }, effects: [] };
    if (this.agent !== null) {
      const until = now + TOMBSTONE_MS;
      this.tombstones.set(call, until);
      this.put({ kind: 'tombstone', key: tombstoneKey(call), call, until });
      this.arm(until);
    }
    return { answer: { kind: 'never' }, effects: this.take() };
  }

  /** The Account has taken these attempts over. */
  onSettled(keys: readonly string[], now: number): Effect[] {
    const known = keys.filter((key) => this.outbox.delete(key));
    if (known.length > 0) this.do({ do: 'delete', keys: known });
    if (this.outbox.size > 0) this.arm(now + SETTLE_RETRY_MS);
    return this.take();
  }

  // ── frames ──

  /** Frames of one message, in order. Throws `ProtocolError`: the socket is closed. */
  onFrames(frames: readonly Frame[], now: number): Effect[] {
    if (this.session?.greeted !== true) throw new ProtocolError('state', 'hello comes first');
    const touched = new Map<Attempt, Uint8Array[]>();
    for (const f of frames) this.onFrame(f, touched, now);
    for (const [attempt, parts] of touched) this.handOn(attempt, concat(parts), now);
    return this.take();
  }

  private onFrame(f: Frame, touched: Map<Attempt, Uint8Array[]>, now: number): void {
    if (f.stream % 2 === 1) {
      this.onBlobFrame(f);
      return;
    }
    const attempt = this.streams.get(f.stream);
    if (attempt === undefined || attempt.cold) {
      if (attempt === undefined && (f.type === FRAME.HEAD || f.type === FRAME.END)) this.reset(f.stream, 'cancelled');
      return;
    }
    try {
      this.onAttemptFrame(attempt, f, touched, now);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      touched.delete(attempt);
      this.reset(attempt.stream, 'protocol');
      this.failed(attempt, 'engine_error', now);
    }
  }

  private onAttemptFrame(attempt: Attempt, f: Frame, touched: Map<Attempt, Uint8Array[]>, now: number): void {
    const parts = touched.get(attempt) ?? [];
    touched.set(attempt, parts);
    switch (f.type) {
      case FRAME.HEAD: {
        const head = decodeJson(headSchema, f.payload, 'HEAD');
        if (attempt.head !== null) throw new ProtocolError('state', 'HEAD comes once');
        attempt.onHeadAgain(head);
        attempt.lastByteAt = now;
        return;
      }
      case FRAME.DATA:
        if (attempt.head === null || attempt.ended) throw new ProtocolError('state', 'DATA outside a reply');
        if (attempt.overCredit(f.payload.byteLength)) throw new ProtocolError('limit', 'DATA beyond the credit');
        parts.push(attempt.onData(f.payload, now));
        return;
      case FRAME.END: {
        if (attempt.head === null || attempt.ended) throw new ProtocolError('state', 'END outside a reply');
        const receipt = decodeJson(receiptSchema, f.payload, 'receipt');
        if (receipt.attempt !== attempt.key || receipt.bytes !== attempt.received) throw new ProtocolError('malformed', 'the receipt is of another reply');
        parts.push(attempt.onEnd(receipt, now));
        return;
      }
      case FRAME.RESET:
        touched.delete(attempt);
        this.onReset(attempt, decodeJson(resetSchema, f.payload, 'RESET').code, now);
        return;
      case FRAME.CREDIT: {
        this.send(attempt.grantRequest(decodeU64(f.payload)));
        if (attempt.wantsRequest() && !attempt.requestEnded) this.do({ do: 'room', attempt: attempt.key });
        return;
      }
      case FRAME.OPEN:
      case FRAME.ACK:
      case FRAME.RESUME:
        throw new ProtocolError('state', 'an agent does not send this frame on a call');
    }
  }

  /** One push per attempt and message; a reply that is complete in its first message is answered as bytes. */
  private handOn(attempt: Attempt, bytes: Uint8Array, now: number): void {
    if (!this.attempts.has(attempt.key) || attempt.head === null) return;
    if (attempt.ended) this.freeSlot(attempt, now);
    if (!attempt.answered) {
      attempt.answered = true;
      const whole = attempt.ended && !attempt.isEvents;
      this.do({ do: 'answer', attempt: attempt.key, answer: { kind: 'reply', ...attempt.head, body: whole ? bytes : null } });
      if (whole) {
        this.complete(attempt, now);
        return;
      }
    }
    if (bytes.byteLength > 0) this.do({ do: 'push', attempt: attempt.key, bytes });
    if (attempt.ended) this.do({ do: 'end', attempt: attempt.key });
    else this.send(attempt.checkpoint(this.mac, now));
  }

  private onReset(attempt: Attempt, code: ResetCode, now: number): void {
    if (!attempt.answered && (code === 'busy' || code === 'stale')) {
      this.do({ do: 'answer', attempt: attempt.key, answer: { kind: 'refused', code, busy: this.slots.busy(attempt.row.ask.instance) } });
      this.forget(attempt, now);
      this.do({ do: 'delete', keys: [attempt.key] });
      return;
    }
    const error = code === 'engine_unreachable' || code === 'timeout' ? code : 'engine_error';
    this.failed(attempt, error, now);
  }

  // ── blobs ──

  private onBlobFrame(f: Frame): void {
    switch (f.type) {
      case FRAME.OPEN: {
        const open = decodeJson(openBlobSchema, f.payload, 'OPEN');
        if (this.blobs.size >= 8) throw new ProtocolError('limit', 'too many blobs at once');
        if (this.slots.get(open.instance)?.code !== open.blob) {
          this.reset(f.stream, 'not_found');
          return;
        }
        this.blobs.add(f.stream);
        this.do({ do: 'blob', stream: f.stream, sha256: open.blob, offset: open.offset });
        return;
      }
      case FRAME.CREDIT:
        if (this.blobs.has(f.stream)) this.do({ do: 'blobCredit', stream: f.stream, offset: decodeU64(f.payload) });
        return;
      case FRAME.RESET:
        if (this.blobs.delete(f.stream)) this.do({ do: 'blobStop', stream: f.stream });
        return;
      case FRAME.HEAD:
      case FRAME.DATA:
      case FRAME.END:
      case FRAME.ACK:
      case FRAME.RESUME:
        throw new ProtocolError('state', 'an agent does not send this frame on a blob');
    }
  }

  onBlobDone(stream: number): void {
    this.blobs.delete(stream);
  }

  // ── ends ──

  private complete(attempt: Attempt, now: number): void {
    this.send([attempt.finalAck()]);
    this.finish(attempt, 'completed', '', true, now);
  }

  /** The engine or the agent failed the attempt. Final once bytes reached the client. */
  private failed(attempt: Attempt, code: string, now: number, known: Checkpoint | null = null): void {
    const reached = attempt.answered && (attempt.received > 0 || attempt.skip > 0);
    if (attempt.answered) this.do({ do: 'break', attempt: attempt.key });
    else this.do({ do: 'answer', attempt: attempt.key, answer: { kind: 'failed', code, handed: attempt.handed } });
    this.finish(attempt, 'failed', code, reached || (known?.client ?? 0) > 0, now, known);
  }

  /** The agent is gone, or came back without this attempt. */
  private lose(attempt: Attempt, code: string, now: number): void {
    const held = this.held.get(attempt.key);
    const known = held === undefined ? null : openCheckpoint(this.mac, attempt.key, fromBase64(held.latest));
    this.failed(attempt, code, now, known);
  }

  private finish(attempt: Attempt, outcome: Settlement['outcome'], code: string, final: boolean, now: number, known: Checkpoint | null = null): void {
    const settlement = attempt.settlement(this.agent?.agent ?? '', outcome, code, final, known);
    const row: SettlementRow = { kind: 'settlement', key: attempt.key, settlement };
    this.forget(attempt, now);
    this.outbox.set(row.key, row);
    this.put(row);
    this.arm(now + SETTLE_BATCH_MS);
  }

  private forget(attempt: Attempt, now: number): void {
    this.freeSlot(attempt, now);
    this.attempts.delete(attempt.key);
    this.streams.delete(attempt.stream);
    this.held.delete(attempt.key);
    this.reattach.delete(attempt.key);
  }

  private freeSlot(attempt: Attempt, now: number): void {
    const { instance } = attempt.row.ask;
    const offer = this.slots.release(instance, attempt.key, now);
    if (offer !== null) this.do({ do: 'freed', ...offer });
    this.armSlots();
    this.noteLoad(instance, now);
  }

  // ── time ──

  onAlarm(now: number): Effect[] {
    this.clock = now;
    this.armedAt = null;
    this.expireAttempts(now);
    this.expireTombstones(now);
    for (const offer of this.slots.tick(now)) this.do({ do: 'freed', ...offer });
    this.armSlots();
    this.tellLoads(now);
    this.payOwed(now);
    this.settleDue(now);
    this.rearm(now);
    return this.take();
  }

  private expireAttempts(now: number): void {
    for (const attempt of this.attempts.values()) {
      const code = this.expiry(attempt, now);
      if (code === null) continue;
      if (this.session !== null && !attempt.ended) this.reset(attempt.stream, 'cancelled');
      if (attempt.ended && !attempt.cold) this.finish(attempt, 'cancelled', 'cancelled', true, now);
      else this.lose(attempt, code, now);
    }
    if (this.lostAt !== null && now >= this.lostAt + LIMITS.resumeMs) {
      this.lostAt = null;
      this.tellGone();
    }
  }

  /** Why an attempt cannot go on at this time, or null. */
  private expiry(attempt: Attempt, now: number): string | null {
    const { row } = attempt;
    if (now >= row.startedAt + row.ask.deadlineMs) return 'timeout';
    if (attempt.cold) {
      const limit = this.reattach.has(attempt.key) ? LIMITS.resumeMs : REATTACH_MS;
      return now >= this.startedAt + limit ? 'miner_lost' : null;
    }
    if (this.lostAt !== null && !attempt.ended) {
      const patience = attempt.answered ? LIMITS.resumeMs : EARLY_LOSS_MS;
      return now >= this.lostAt + patience ? 'miner_lost' : null;
    }
    const quiet = attempt.firstByteAt === null ? LIMITS.firstByteMs : LIMITS.idleMs;
    return now >= attempt.lastByteAt + quiet ? 'timeout' : null;
  }

  private expireTombstones(now: number): void {
    const over = [...this.tombstones].filter(([, until]) => until <= now).map(([call]) => call);
    for (const call of over) this.tombstones.delete(call);
    if (over.length > 0) this.do({ do: 'delete', keys: over.map(tombstoneKey) });
  }

  private settleDue(now: number): void {
    if (this.outbox.size === 0) return;
    if (now < this.sentAt + SETTLE_BATCH_MS) {
      this.arm(this.sentAt + SETTLE_BATCH_MS);
      return;
    }
    this.sentAt = now;
    const byAccount = new Map<string, Settlement[]>();
    for (const { settlement } of [...this.outbox.values()].slice(0, 500)) {
      const list = byAccount.get(settlement.account) ?? [];
      list.push(settlement);
      byAccount.set(settlement.account, list);
    }
    for (const [account, settlements] of byAccount) this.do({ do: 'settle', account, settlements });
    this.arm(now + SETTLE_RETRY_MS);
  }

  /** The next time anything may be due. */
  private rearm(now: number): void {
    let at: number | null = null;
    const sooner = (t: number): void => {
      at = at === null ? t : Math.min(at, t);
    };
    for (const attempt of this.attempts.values()) sooner(this.expiresAt(attempt));
    for (const until of this.tombstones.values()) sooner(until);
    if (this.lostAt !== null) sooner(this.lostAt + LIMITS.resumeMs);
    if (at !== null) this.arm(Math.max(at, now + 50));
  }

  private expiresAt(attempt: Attempt): number {
    const deadline = attempt.row.startedAt + attempt.row.ask.deadlineMs;
    if (attempt.cold) return Math.min(deadline, this.startedAt + (this.reattach.has(attempt.key) ? LIMITS.resumeMs : REATTACH_MS));
    if (this.lostAt !== null && !attempt.ended) return Math.min(deadline, this.lostAt + (attempt.answered ? LIMITS.resumeMs : EARLY_LOSS_MS));
    return Math.min(deadline, attempt.lastByteAt + (attempt.firstByteAt === null ? LIMITS.firstByteMs : LIMITS.idleMs));
  }

  // ── load ──

  private noteLoad(instance: string, now: number): void {
    const it = this.slots.get(instance);
    if (it === undefined) return;
    const told = this.loadTold.get(instance);
    if (told !== undefined && now < told.at + LOAD_MS) {
      this.loadDue.add(instance);
      this.arm(told.at + LOAD_MS);
      return;
    }
    this.tellLoad(it, now);
  }

  private tellLoads(now: number): void {
    for (const instance of this.loadDue) {
      const it = this.slots.get(instance);
      const told = this.loadTold.get(instance);
      if (told !== undefined && now < told.at + LOAD_MS) this.arm(told.at + LOAD_MS);
      else if (it !== undefined && told?.busy !== this.slots.busy(instance)) this.tellLoad(it, now);
      else this.loadDue.delete(instance);
    }
  }

  private tellLoad(it: InstanceRow, now: number): void {
    const busy = this.slots.busy(it.instance);
    this.loadDue.delete(it.instance);
    this.loadTold.set(it.instance, { at: now, busy });
    this.do({ do: 'load', chute: it.chute, loads: [{ instance: it.instance, busy }] });
  }

  private tellGone(): void {
    for (const chute of new Set(this.slots.all().map((i) => i.chute))) this.owe({ do: 'gone', chute });
  }

  // ── small ──

  private newStream(): number {
    do this.nextStream = (this.nextStream + 2) >>> 0;
    while (this.streams.has(this.nextStream));
    return this.nextStream;
  }

  private spendControl(session: Session, now: number): void {
    const earned = session.controlAt === 0 ? 0 : ((now - session.controlAt) / 1000) * CONTROL_RATE;
    session.controlTokens = Math.min(CONTROL_BURST, session.controlTokens + earned) - 1;
    session.controlAt = now;
    if (session.controlTokens < 0) throw new ProtocolError('limit', 'too many control messages');
  }

  private reset(stream: number, code: ResetCode): void {
    this.send([frame(FRAME.RESET, stream, encodeJson({ code }))]);
  }

  private send(frames: Frame[]): void {
    if (frames.length > 0 && this.session !== null) this.do({ do: 'send', frames });
  }

  private tell(message: Extract<Effect, { do: 'tell' }>['message']): void {
    if (this.session !== null) this.do({ do: 'tell', message });
  }

  private put(row: Row): void {
    this.do({ do: 'put', row });
  }

  /** One alarm at a time, the soonest; a later wish finds its time in `onAlarm`. */
  private arm(at: number): void {
    if (this.armedAt !== null && this.armedAt <= at) return;
    this.armedAt = at;
    this.do({ do: 'alarm', at });
  }

  private armSlots(): void {
    const at = this.slots.nextAt();
    if (at !== null) this.arm(at);
  }

  private do(effect: Effect): void {
    this.effects.push(effect);
  }

  private take(): Effect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  /** After construction from rows: what is due anyway. */
  onStart(now: number): Effect[] {
    if (this.outbox.size > 0) this.arm(now + SETTLE_BATCH_MS);
    this.rearm(now);
    return this.take();
  }
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}
