/** The shell of a Miner object in the simulator: `functions/miner/object.ts`, effect by effect. */
import {
  CLOSE,
  FRAME,
  LIMITS,
  ProtocolError,
  decodeFrames,
  firstIssue,
  packMessages,
  upSchema,
  type Frame,
  type StopReason,
  type Up,
} from '#protocol';
import { MinerCore } from '../../../functions/miner/core.ts';
import type { Answer, Effect } from '../../../functions/miner/effects.ts';
import type { Row } from '../../../functions/miner/rows.ts';
import type { ExtendAnswer, InquiryAnswer, RelayAnswer, RelayAsk } from '../../../functions/calls/ports.ts';
import { ObjectHost } from '../network.ts';
import { SimReader } from '../reader.ts';
import type { Sim } from '../sim.ts';
import { Wire, type Message } from '../wire.ts';

/** A `relay` or `attach` of a Worker, as long as it is under way. */
export interface Request {
  aborted: boolean;
  answer(answer: RelayAnswer): void;
}

type Asked = Extract<Effect, { do: 'settle' | 'extend' | 'report' | 'load' | 'freed' | 'claim' | 'gone' | 'log' | 'record' }>;

export class MinerNode extends ObjectHost {
  readonly name: string;
  readonly agent: string;
  readonly rows = new Map<string, string>();
  private readonly sim: Sim;
  /** The sockets that the platform holds for it. */
  private wires: Wire[] = [];
  private booted: MinerCore | null = null;
  private wire: Wire | null = null;
  private heardAt = 0;
  private rebuilt = false;
  /** Extensions of an attempt that were refused, one after the other. */
  private readonly refusals = new Map<string, number>();
  private readonly readers = new Map<string, SimReader>();
  private readonly answers = new Map<string, (answer: Answer) => void>();

  constructor(sim: Sim, agent: string) {
    super(sim.clock, sim.random, sim.faults);
    this.sim = sim;
    this.agent = agent;
    this.name = `miner/${agent}`;
  }

  get core(): MinerCore | null {
    return this.booted;
  }

  /** Not while it runs attempts that it found in its rows: the engine of one may be done, and its slot another's. */
  get exact(): boolean {
    if (this.core?.running().length === 0) this.rebuilt = false;
    return !this.rebuilt;
  }

  /** Nothing that would keep the platform from putting it to sleep. */
  get sleepy(): boolean {
    return this.booted !== null && this.idle && this.readers.size === 0 && this.answers.size === 0;
  }

  get pendingSettlements(): number {
    let count = 0;
    for (const key of this.rows.keys()) if (key.includes('/')) count++;
    return count;
  }

  boot(): void {
    if (this.booted !== null) return;
    const { sim } = this;
    const rows = [...this.rows.values()].map((json) => JSON.parse(json) as Row);
    this.booted = new MinerCore(rows, sim.random.u32(), sim.mac, sim.now);
    this.heardAt = sim.now;
    this.rebuilt = this.booted.running().length > 0;
    for (const wire of this.wires) this.take(wire, this.booted);
    this.run(this.booted.onStart(sim.now));
  }

  private take(wire: Wire, core: MinerCore): void {
    if (wire.attachment === null) return;
    if (core.running().length > 0) return wire.close('miner', CLOSE.goaway);
    core.onWake(wire.attachment.epoch, wire.attachment.greeted, this.sim.now);
    if (core.epoch === wire.attachment.epoch) this.wire = wire;
  }

  private get up(): MinerCore {
    this.boot();
    return this.booted as MinerCore;
  }

  protected forget(): void {
    this.booted = null;
    this.wire = null;
    const readers = [...this.readers.values()];
    this.readers.clear();
    this.answers.clear();
    this.refusals.clear();
    for (const reader of readers) reader.breakOff();
  }

  /** With its sockets, as a deploy or a crash does it. */
  override crash(): void {
    for (const wire of this.wires) wire.cut(this.sim.random.int(0, 300), null);
    this.wires = [];
    super.crash();
  }

  /** Out of memory; the platform holds the sockets. */
  evict(): void {
    super.crash();
  }

  protected onAlarm(): void {
    this.run(this.up.onAlarm(this.sim.now));
  }

  // ── the agent's socket ──

  login(wire: Wire): void {
    const { now } = this.sim;
    const core = this.up;
    for (const old of this.wires) old.close('miner', CLOSE.superseded);
    this.wires = [wire];
    this.run(core.onClose(core.epoch, now));
    this.run(core.onLogin(this.agent, `hotkey-of-${this.agent}-${'x'.repeat(40)}`.slice(0, 48), this.agent, now));
    this.wire = wire;
    this.heardAt = now;
    wire.attachment = { epoch: core.epoch, greeted: false };
  }

  message(wire: Wire, message: Message): void {
    const core = this.up;
    if (wire !== this.wire) {
      if (wire.attachment?.epoch !== core.epoch) return;
      this.wire = wire;
    }
    const { now } = this.sim;
    this.heardAt = now;
    try {
      if (typeof message === 'string') this.onText(core, message);
      else this.run(core.onFrames(decodeFrames(message), now));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.sim.fail('agents keep the protocol', `${this.name} closes its socket: ${error.message}`);
      this.closeWire(error.code === 'limit' ? CLOSE.limit : CLOSE.protocol);
    }
  }

  private onText(core: MinerCore, text: string): void {
    const message = parseUp(text);
    this.sim.trace.add(this.sim.now, `up.${message.type}`, this.agent);
    this.run(core.onText(message, this.sim.now));
    if (message.type === 'hello' && this.wire !== null) this.wire.attachment = { epoch: core.epoch, greeted: true };
  }

  closed(wire: Wire): void {
    this.wires = this.wires.filter((w) => w !== wire);
    const core = this.up;
    if (wire.attachment === null || wire.attachment.epoch !== core.epoch) return;
    this.wire = null;
    this.run(core.onClose(wire.attachment.epoch, this.sim.now));
  }

  private closeWire(code: number): void {
    const { wire } = this;
    const core = this.up;
    const { epoch } = core;
    this.wire = null;
    this.wires = this.wires.filter((w) => w !== wire);
    wire?.close('miner', code);
    this.run(core.onClose(epoch, this.sim.now));
  }

  /** Looks whether the agent is still there. */
  knock(): void {
    this.boot();
    this.dropSilent();
  }

  facts() {
    const facts = this.core?.facts() ?? null;
    if (facts === null || this.core === null) return null;
    return { ...facts, connected: this.core.connected, instances: this.core.listInstances() };
  }

  private dropSilent(): void {
    if (this.wire !== null && this.sim.now - Math.max(this.heardAt, this.wire.pingedAt) > LIMITS.silenceMs) this.closeWire(CLOSE.goaway);
  }

  // ── calls ──

  relay(ask: RelayAsk, body: Uint8Array, request: Request): void {
    this.dropSilent();
    const key = `${ask.call}/${ask.attempt}`;
    this.expect(key, request);
    this.run(this.up.relay(ask, body, this.sim.now));
  }

  attach(call: string, attempt: number, offset: number, request: Request): void {
    const key = `${call}/${attempt}`;
    this.sim.oracle.attached(key, offset);
    this.expect(key, request);
    this.run(this.up.attach(call, attempt, offset, this.sim.now));
  }

  private expect(key: string, request: Request): void {
    this.answers.set(key, (answer) => {
      this.sim.trace.add(this.sim.now, `answer.${answer.kind}${'code' in answer ? `.${answer.code}` : ''}`, `${this.agent} ${key}`);
      if (answer.kind !== 'reply') return request.answer(answer);
      const { status, headers, body } = answer;
      request.answer({ kind: 'reply', status, headers, body: body ?? this.readers.get(key)?.source ?? new Uint8Array(0) });
    });
  }

  /** The Worker's end of a request is gone. */
  aborted(key: string): void {
    if (this.booted !== null && (this.readers.has(key) || this.answers.has(key))) this.readerGone(key);
  }

  private readerGone(key: string): void {
    this.readers.delete(key);
    const waiting = this.answers.get(key);
    this.answers.delete(key);
    waiting?.({ kind: 'failed', code: 'cancelled', handed: true });
    this.run(this.up.onReaderGone(key, this.sim.now));
  }

  // ── what others ask ──

  inquire(call: string): InquiryAnswer {
    const { answer, effects } = this.up.inquire(call, this.sim.now);
    this.sim.trace.add(this.sim.now, `inquired.${answer.kind}`, `${this.agent} ${call}`);
    if (answer.kind === 'never') this.sim.oracle.never(this.agent, call);
    this.run(effects);
    return answer;
  }

  watch(chute: string, instances: string[]): { instance: string; free: number }[] {
    return this.up.watch(chute, instances);
  }

  unwatch(chute: string): void {
    this.up.unwatch(chute);
  }

  keep(instance: string, version: string, call: string): boolean {
    const { kept, effects } = this.up.keep(instance, version, call, this.sim.now);
    this.run(effects);
    return kept;
  }

  reserve(instance: string, call: string): boolean {
    const { kept, effects } = this.up.reserve(instance, call, this.sim.now);
    this.run(effects);
    return kept;
  }

  release(instance: string, call: string): void {
    this.run(this.up.release(instance, call, this.sim.now));
  }

  stop(instance: string, reason: StopReason, noticeMs: number): void {
    this.run(this.up.stop(instance, reason, noticeMs, this.sim.now));
  }

  // ── effects ──

  private run(effects: readonly Effect[]): void {
    const frames: Frame[] = [];
    let alarm: number | null = null;
    for (const effect of effects) {
      if (effect.do === 'send') frames.push(...effect.frames);
      else if (effect.do === 'alarm') alarm = alarm === null ? effect.at : Math.min(alarm, effect.at);
      else this.carryOut(effect);
    }
    if (alarm !== null) this.setAlarm(alarm);
    for (const f of frames) if (f.type === FRAME.RESUME) this.sim.trace.add(this.sim.now, 'resume', `${this.agent} ${f.stream}`);
    for (const message of packMessages(frames)) this.wire?.send('miner', message);
    this.sim.oracle.minerStepped(this);
  }

  private carryOut(effect: Exclude<Effect, { do: 'send' | 'alarm' }>): void {
    const { sim } = this;
    switch (effect.do) {
      case 'put':
        if (effect.row.kind === 'attempt' && !this.rows.has(effect.row.key)) sim.oracle.dispatched(this.agent, effect.row);
        if (effect.row.kind === 'settlement') sim.oracle.settled(effect.row.settlement);
        this.rows.set(effect.row.key, JSON.stringify(effect.row));
        return;
      case 'delete':
        for (const key of effect.keys) this.rows.delete(key);
        return;
      case 'tell':
        sim.trace.add(sim.now, `down.${effect.message.type}`, this.agent);
        this.wire?.send('miner', JSON.stringify(effect.message));
        return;
      case 'close':
        this.closeWire(effect.code);
        return;
      case 'answer':
        this.answer(effect.attempt, effect.answer);
        return;
      case 'push':
        sim.oracle.handedOn(effect.attempt, effect.bytes.byteLength, (this.refusals.get(effect.attempt) ?? 0) > 1);
        this.readers.get(effect.attempt)?.push(effect.bytes);
        return;
      case 'end':
        this.readers.get(effect.attempt)?.end();
        return;
      case 'break':
        this.readers.get(effect.attempt)?.break();
        return;
      case 'settle':
      case 'extend':
      case 'report':
      case 'load':
      case 'freed':
      case 'claim':
      case 'gone':
      case 'log':
      case 'record':
        this.ask(effect);
        return;
      case 'room':
      case 'pong':
      case 'blob':
      case 'blobCredit':
      case 'blobStop':
      case 'pulse':
      case 'transcripts':
        sim.fail('only what is asked for happens', `effect ${effect.do} of ${this.name}`);
        return;
    }
  }

  private ask(effect: Asked): void {
    const { sim } = this;
    const core = this.up;
    const lost = (): void => sim.trace.add(sim.now, 'ask.lost', `${this.name} ${effect.do}`);
    if (effect.do === 'settle') {
      const copy = structuredClone(effect.settlements);
      const account = sim.account(effect.account);
      const settle = (answer: (taken: string[]) => void): void => answer(account.settle(copy));
      sim.network.ask<string[]>(this, account, 'settle', settle, (taken) => this.run(core.onSettled(taken, sim.now)), lost);
      return;
    }
    if (effect.do === 'extend') {
      const { attempt, call, tokens } = effect;
      const account = sim.account(effect.account);
      const told = (answer: ExtendAnswer | null): void => {
        if (answer !== null) this.refusals.set(attempt, answer.ok ? 0 : (this.refusals.get(attempt) ?? 0) + 1);
        this.run(core.onExtended(attempt, answer, sim.now));
      };
      sim.network.ask<ExtendAnswer>(
        this,
        account,
        'extend',
        (answer) => account.extend(call, tokens, answer),
        told,
        () => told(null),
      );
      return;
    }
    const facts = core.facts();
    if (effect.do === 'record') return this.run(core.onRecorded({ taken: true, shutUntil: null }, sim.now));
    if (facts === null || effect.do === 'log') return;
    const chute = sim.chute;
    switch (effect.do) {
      case 'report':
        sim.network.ask<ReturnType<typeof chute.report>>(
          this,
          chute,
          'report',
          (answer) => answer(chute.report(facts, effect.report, effect.busy)),
          (answer) => this.run(core.onReportAnswer(effect.report, answer, sim.now)),
          lost,
        );
        return;
      case 'load':
        sim.network.ask<void>(
          this,
          chute,
          'load',
          (answer) => answer(chute.load(facts.agent, effect.loads)),
          () => {},
          lost,
        );
        return;
      case 'freed':
        sim.network.ask<string | null>(
          this,
          chute,
          'freed',
          (answer) => answer(chute.freed(facts.agent, effect.instance)),
          (call) => this.run(core.onFreedAnswer(effect.instance, effect.offer, call, sim.now)),
          lost,
        );
        return;
      case 'claim':
        sim.network.ask<ReturnType<typeof chute.claim>>(
          this,
          chute,
          'claim',
          (answer) => answer(chute.claim(facts, effect.version)),
          (answer) => this.run(core.onClaimAnswer(effect.ref, answer, sim.now)),
          lost,
        );
        return;
      case 'gone':
        sim.network.ask<void>(
          this,
          chute,
          'gone',
          (answer) => answer(chute.gone(facts.agent)),
          () => core.onGoneTold(effect.chute),
          lost,
        );
        return;
    }
  }

  private answer(key: string, answer: Answer): void {
    const resolve = this.answers.get(key);
    this.answers.delete(key);
    if (answer.kind === 'reply' && answer.body === null) {
      const core = this.up;
      const reader: SimReader = new SimReader(this.sim.clock, this.sim.network, this.sim, {
        drained: () => this.readers.get(key) === reader && this.run(core.onDrained(key, this.sim.now)),
        gone: () => this.readers.get(key) === reader && this.readerGone(key),
        done: () => this.readers.delete(key),
      });
      this.readers.set(key, reader);
    } else if (answer.kind === 'reply') this.sim.oracle.handedOn(key, answer.body?.byteLength ?? 0, false);
    resolve?.(answer);
  }
}

function parseUp(text: string): Up {
  if (text.length > LIMITS.controlBytes) throw new ProtocolError('limit', 'control message too large');
  const parsed = upSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new ProtocolError('malformed', firstIssue(parsed.error));
  return parsed.data;
}
