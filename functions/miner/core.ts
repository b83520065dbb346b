/**
 * The Miner object without its platform: one agent's session, and through it what runs there (`instances.ts`), the calls
 * that cross its socket (`attempts.ts`), and the settlements that follow (`outbox.ts`). Every rule is in these files;
 * `object.ts` carries out the effects that each event returns.
 */
import {
  FRAME,
  LIMITS,
  NEWEST_AGENT,
  PROTOCOL_VERSIONS,
  ProtocolError,
  SERVED_UNTIL,
  decodeJson,
  decodeU64,
  openBlobSchema,
  type Frame,
  type Hello,
  type InstanceReport,
  type Login,
  type StopReason,
  type Up,
  type Welcome,
} from '#protocol';
import type {
  AgentFacts,
  CallId,
  ChallengeOrder,
  ChallengeTold,
  ClaimAnswer,
  ExtendAnswer,
  InquiryAnswer,
  RelayAsk,
  ReportAnswer,
} from '../calls/ports.ts';
import { MAINNET, QUICKNET } from '../protocol/challenge/index.ts';
import type { AgentWorld } from '../why/agent-reasons.ts';
import { Attempts } from './attempts.ts';
import { storableInventory } from './challenge-row.ts';
import { Challenges, type Judging } from './challenges.ts';
import type { Mac } from './checkpoint.ts';
import type { Effect } from './effects.ts';
import { Gate } from './gate.ts';
import { Instances } from './instances.ts';
import { Outbox } from './outbox.ts';
import { Past } from './past.ts';
import { Repeats } from './repeats.ts';
import type { AgentRow, InstanceRow, Row } from './rows.ts';
import { Rtt } from './rtt.ts';
import { Tombstones } from './tombstones.ts';
import { Turn } from './turn.ts';

/** Milliseconds after which the Chutes of an agent whose socket went learn it: long enough for a socket that is only renewed. */
const GONE_MS = 2_000;
/** Milliseconds until the record of an agent that said hello is tried again: whoever is not in it is neither counted nor tested. */
const RECORD_MS = 5_000;
/** Control messages per second and at once; an agent that says more is closed. */
const CONTROL_RATE = 200;
const CONTROL_BURST = 2_000;
/** What WebSockets call an end without a word. */
const BROKEN = 1006;
/** Blobs an agent may fetch at once. */
const BLOBS = 8;

/** Where nobody judges. */
const UNJUDGED: Judging = { chain: QUICKNET, suite: MAINNET, token: () => '' };

interface Session {
  epoch: number;
  /** Of the protocol. */
  version: number;
  /** `hello` came: streams are known, calls may be sent. */
  greeted: boolean;
  controlTokens: number;
  controlAt: number;
}

export class MinerCore {
  private agent: AgentRow | null = null;
  private session: Session | null = null;
  /** How its sessions went, and what it says of itself. */
  readonly past = new Past();
  private lostAt: number | null = null;
  private goneTold = false;
  private armedAt: number | null = null;
  /** When the record is tried again; null: it has the agent as it is. */
  private recordAt: number | null = null;
  private readonly blobs = new Set<number>();
  private readonly instances = new Instances();
  private readonly outbox = new Outbox();
  private readonly tombstones = new Tombstones();
  private readonly attempts: Attempts;
  private readonly gate = new Gate();
  private readonly rtt = new Rtt();
  private readonly repeats = new Repeats();
  private readonly challenges: Challenges;

  /** `firstStream`: random, so that a new object never meets the stream ids of the one before it. */
  constructor(rows: readonly Row[], firstStream: number, mac: Mac, now: number, judging: Judging = UNJUDGED) {
    const serves = (instance: string): boolean => this.instances.slots.get(instance)?.state === 'live';
    this.challenges = new Challenges(judging, this.repeats, this.rtt, serves);
    this.attempts = new Attempts(firstStream, mac, now, this.instances, this.outbox, this.tombstones);
    for (const row of rows) this.restore(row);
    this.attempts.holdSlots();
    // Gone until it says hello or its socket turns out to be there still: else nobody would ever tell its Chutes.
    if (this.instances.slots.all().length > 0) this.lostAt = now;
  }

  private restore(row: Row): void {
    switch (row.kind) {
      case 'agent':
        this.agent = row;
        return;
      case 'instance':
        this.instances.restore(row);
        return;
      case 'attempt':
        this.attempts.restore(row);
        return;
      case 'settlement':
        this.outbox.restore(row);
        if (row.attempt !== undefined) this.attempts.restore({ ...row.attempt, settled: true });
        return;
      case 'tombstone':
        this.tombstones.restore(row);
        return;
      case 'past':
        this.past.restore(row);
        return;
      case 'challenge':
        this.challenges.restore(row);
        return;
      case 'gate':
        this.gate.restore(row, this.instances);
        return;
      case 'rtt':
        this.rtt.restore(row);
        return;
      case 'repeats':
        this.repeats.restore(row);
        return;
    }
  }

  /** After construction: what is due anyway. */
  onStart(now: number): Effect[] {
    return this.onAlarm(now);
  }

  // ── what others may ask ──

  facts(): AgentFacts | null {
    if (this.agent?.inventory == null) return null;
    const { agent, hotkey, inventory, sealKey } = this.agent;
    return { agent, hotkey, inventory, ...(sealKey === undefined ? {} : { sealKey }) };
  }

  /** What says why it has no work; null for one that never logged in. */
  why(now: number): AgentWorld | null {
    if (this.agent === null) return null;
    const { since, clockMs, ends, idle } = this.past.row;
    return {
      connected: this.connected,
      gated: this.gate.until !== null,
      since,
      clockMs,
      ends,
      idle,
      draining: this.past.draining,
      inventory: this.agent.inventory,
      instances: this.instances.slots.all().map(({ chute, state }) => ({ chute, state })),
      refusals: this.past.refusals.counts(now),
      failures: this.past.failures.counts(now),
    };
  }

  get agentId(): string | null {
    return this.agent?.agent ?? null;
  }

  get connected(): boolean {
    return this.session?.greeted === true;
  }

  /** Whether its session key has lived its time: it must log in again, or it would leave the lists of who is here and stay. */
  isExpired(now: number): boolean {
    const { login } = this.agent ?? {};
    return login !== undefined && now >= login.expires;
  }

  /** Of the session that acts, or -1. */
  get epoch(): number {
    return this.session?.epoch ?? -1;
  }

  /** Of the protocol, in the session that acts. */
  get version(): number {
    return this.session?.version ?? PROTOCOL_VERSIONS[0];
  }

  running(): { attempt: string; stream: number; cold: boolean }[] {
    return this.attempts.list();
  }

  /** Whether the agent said all of this attempt's reply. */
  hasEnded(key: string): boolean {
    return this.attempts.hasEnded(key);
  }

  /** Attempts running. */
  get load(): number {
    return this.attempts.count;
  }

  listInstances(): (InstanceRow & { busy: number })[] {
    return this.instances.slots.all().map((i) => ({ ...i, busy: this.instances.slots.busy(i.instance) }));
  }

  // ── the session ──

  /** A login whose signature was verified. Fences the session before it. `clockMs`: how far ahead the agent's clock is. */
  onLogin(
    agent: string,
    hotkey: string,
    name: string,
    now: number,
    version: number = PROTOCOL_VERSIONS[0],
    sealKey?: string,
    clockMs = 0,
    login?: Login,
  ): Effect[] {
    return this.turn(now, (turn) => {
      this.challenges.loggedIn(turn, login?.sessionKey);
      const epoch = (this.agent?.epoch ?? 0) + 1;
      // Version 1 reads no sealed grant: without a key, a chute with secrets does not start there.
      const key = sealKey === undefined || version < 2 ? {} : { sealKey };
      const signed = login === undefined ? {} : { login };
      this.agent = { kind: 'agent', key: 'agent', agent, hotkey, name, inventory: this.agent?.inventory ?? null, ...key, ...signed, epoch };
      this.session = { epoch, version, greeted: false, controlTokens: CONTROL_BURST, controlAt: now };
      turn.put(this.agent);
      this.past.loggedIn(turn, clockMs);
    });
  }

  /** A hibernated object wakes with its socket open. */
  onWake(epoch: number, greeted: boolean, now: number, version: number = PROTOCOL_VERSIONS[0]): void {
    if (epoch !== this.agent?.epoch) return;
    this.lostAt = null;
    this.session = { epoch, version, greeted, controlTokens: CONTROL_BURST, controlAt: now };
    this.attempts.chill();
  }

  /** `code`: of the WebSocket; without one it broke. */
  onClose(epoch: number, now: number, code: number = BROKEN): Effect[] {
    if (this.session?.epoch !== epoch) return [];
    this.session = null;
    this.lostAt = now;
    this.goneTold = false;
    this.blobs.clear();
    this.instances.disconnected();
    return this.turn(now, (turn) => {
      this.past.ended(turn, code);
      this.attempts.disconnected(turn);
    });
  }

  /** A control message. Throws `ProtocolError`: the socket is closed. */
  onText(message: Up, now: number): Effect[] {
    const session = this.session;
    if (session === null) return [];
    spendControl(session, now);
    if (message.type !== 'hello' && !session.greeted) throw new ProtocolError('state', 'hello comes first');
    return this.turn(now, (turn) => this.onMessage(turn, session, message));
  }

  private onMessage(turn: Turn, session: Session, message: Up): void {
    switch (message.type) {
      case 'hello':
        this.onHello(turn, session, message);
        return;
      case 'claim':
        this.instances.claim(turn, message.ref, message.chute, message.version);
        return;
      case 'report':
        if (message.report.state === 'failed') this.past.failures.add(message.report.chute, turn.now);
        if (this.instances.report(turn, message.report)) this.attempts.instanceEnded(turn, message.report.instance);
        return;
      case 'log': {
        const known = this.instances.slots.get(message.instance);
        if (known !== undefined)
          turn.do({ do: 'log', chute: known.chute, instance: message.instance, seq: message.seq, lines: message.lines });
        return;
      }
      case 'drain':
        this.past.draining = true;
        this.instances.drain(turn);
        return;
      case 'idle':
        this.past.told(turn, message);
        return;
      case 'pong':
        this.rtt.pong(turn, message.id);
        turn.do({ do: 'pong', id: message.id });
        return;
      case 'commit':
        this.challenges.commit(turn, message, this.agent);
        return;
      case 'decline':
        this.challenges.decline(turn, message.id, message.reason, this.agent);
        return;
    }
  }

  private onHello(turn: Turn, session: Session, hello: Hello): void {
    if (this.agent === null || session.greeted) throw new ProtocolError('state', 'hello comes once');
    const inventory = storableInventory(hello.inventory);
    if (inventory === null) throw new ProtocolError('malformed', 'inventory: a name of nothing that can be stored');
    session.greeted = true;
    turn.connected = true;
    this.lostAt = null;
    this.agent = { ...this.agent, inventory };
    turn.put(this.agent);
    turn.tell(welcomeTo(session, turn.now));
    this.record(turn);
    for (const gone of this.instances.reconcile(turn, hello.instances)) this.attempts.instanceEnded(turn, gone);
    this.attempts.reconcile(turn, hello.streams);
    this.challenges.greeted(turn, this.agent);
  }

  /** Frames of one message. Throws `ProtocolError`: the socket is closed. */
  onFrames(frames: readonly Frame[], now: number): Effect[] {
    if (this.session?.greeted !== true) throw new ProtocolError('state', 'hello comes first');
    return this.turn(now, (turn) => {
      const calls = frames.filter((f) => f.stream % 2 === 0);
      for (const f of frames) if (f.stream % 2 === 1) this.onBlobFrame(turn, f);
      this.attempts.frames(turn, calls);
    });
  }

  // ── instances ──

  onClaimAnswer(ref: string, answer: ClaimAnswer, now: number): Effect[] {
    if (answer.kind === 'refusal') this.past.refusals.add(answer.code, now);
    return this.turn(now, (turn) => this.instances.claimAnswered(turn, ref, answer));
  }

  onReportAnswer(report: InstanceReport, answer: ReportAnswer, now: number): Effect[] {
    return this.turn(now, (turn) => this.instances.reportAnswered(turn, report, answer));
  }

  onGoneTold(chute: string): void {
    this.instances.goneTold(chute);
  }

  stop(instance: string, reason: StopReason, noticeMs: number, now: number): Effect[] {
    return this.turn(now, (turn) => this.instances.stop(turn, instance, reason, noticeMs));
  }

  watch(chute: string, instances: readonly string[]): { instance: string; free: number }[] {
    return this.connected ? this.instances.slots.watch(chute, instances) : [];
  }

  unwatch(chute: string): void {
    this.instances.slots.unwatch(chute);
  }

  keep(instance: string, version: string, call: CallId, now: number): { kept: boolean; effects: Effect[] } {
    let kept = false;
    const effects = this.turn(now, (turn) => {
      kept = this.instances.keep(turn, instance, version, call);
    });
    return { kept, effects };
  }

  reserve(instance: string, call: CallId, now: number): { kept: boolean; effects: Effect[] } {
    let kept = false;
    const effects = this.turn(now, (turn) => {
      kept = this.instances.reserve(turn, instance, call);
    });
    return { kept, effects };
  }

  release(instance: string, call: CallId, now: number): Effect[] {
    return this.turn(now, (turn) => this.instances.unreserve(turn, instance, call));
  }

  /** The Chute's answer to `freed`; a request that failed is made again by the alarm. */
  onFreedAnswer(instance: string, offer: number, call: CallId | null, now: number): Effect[] {
    return this.turn(now, (turn) => this.instances.freedAnswered(turn, instance, offer, call));
  }

  // ── calls ──

  relay(ask: RelayAsk, body: Uint8Array | null, now: number): Effect[] {
    return this.turn(now, (turn) => this.attempts.relay(turn, this.agent, ask, body));
  }

  onRequest(key: string, bytes: Uint8Array | null, ended: boolean, now: number): Effect[] {
    return this.turn(now, (turn) => this.attempts.request(turn, key, bytes, ended));
  }

  onDrained(key: string, now: number): Effect[] {
    return this.turn(now, (turn) => this.attempts.drained(turn, key));
  }

  onReaderGone(key: string, now: number): Effect[] {
    return this.turn(now, (turn) => this.attempts.readerGone(turn, key));
  }

  attach(call: CallId, attempt: number, offset: number, now: number): Effect[] {
    return this.turn(now, (turn) => this.attempts.attach(turn, call, attempt, offset));
  }

  inquire(call: CallId, now: number): { answer: InquiryAnswer; effects: Effect[] } {
    let answer: InquiryAnswer = { kind: 'never' };
    // An object that was never registered writes nothing.
    const effects = this.agent === null ? [] : this.turn(now, (turn) => (answer = this.attempts.inquire(turn, call)));
    return { answer, effects };
  }

  /** The Account has taken these attempts over. */
  onSettled(keys: readonly string[], now: number): Effect[] {
    return this.turn(now, (turn) => this.outbox.acknowledged(turn, keys, (key) => this.attempts.lingering(key)));
  }

  /** The Account's answer to `extend`; null: it gave none. */
  onExtended(key: string, answer: ExtendAnswer | null, now: number): Effect[] {
    return this.turn(now, (turn) => this.attempts.extended(turn, key, answer));
  }

  // ── challenges ──

  /** A judge asked for these; how each stands. */
  challenge(orders: readonly ChallengeOrder[], now: number): { told: ChallengeTold[]; effects: Effect[] } {
    const told: ChallengeTold[] = [];
    const { since, ends } = this.past.row;
    const gone = ends.at(-1)?.at ?? null;
    // The end of an older session says nothing of one that a restart cut off.
    const goneSince = this.connected || gone === null || gone < (since ?? 0) ? null : gone;
    const effects = this.turn(now, (turn) => {
      for (const order of orders) told.push(this.challenges.announce(turn, order, this.agent, this.instances.slots.all(), goneSince));
    });
    return { told, effects };
  }

  /** Whether an upload of what this challenge asks for may begin. */
  mayOpen(id: string, now: number): { may: boolean; effects: Effect[] } {
    let may = false;
    const effects = this.turn(now, (turn) => {
      may = this.challenges.mayOpen(turn, id);
    });
    return { may, effects };
  }

  /** The upload is kept; false: too late, or another came first. */
  onOpened(id: string, sha256: string, bytes: number, now: number): { taken: boolean; effects: Effect[] } {
    let taken = false;
    const effects = this.turn(now, (turn) => {
      taken = this.challenges.opened(turn, id, sha256, bytes, this.agent);
    });
    return { taken, effects };
  }

  /** The beacon's answer; null: it has none now. */
  onPulse(round: number, randomness: string | null, now: number): Effect[] {
    return this.turn(now, (turn) => this.challenges.onPulse(turn, round, randomness, this.agent));
  }

  /** The record has taken these transcripts as they were told. */
  onTranscripts(told: readonly { id: string; ended: boolean }[], now: number): Effect[] {
    return this.turn(now, (turn) => this.challenges.onTold(turn, told));
  }

  /** What the record answered: whether it has the agent, and until when (unix ms) its hotkey is kept away. */
  onRecorded({ taken, shutUntil }: { taken: boolean; shutUntil: number | null }, now: number): Effect[] {
    if (taken) this.recordAt = null;
    return shutUntil === null ? [] : this.shutGate(shutUntil, now);
  }

  private record(turn: Turn): void {
    this.recordAt = turn.now + RECORD_MS;
    turn.do({ do: 'record' });
    turn.wake(this.recordAt);
  }

  private tickRecord(turn: Turn): void {
    if (this.recordAt === null) return;
    if (turn.now < this.recordAt) turn.wake(this.recordAt);
    else this.record(turn);
  }

  /** A judge of the gate proved its hotkey false: no paid calls until then (unix ms). */
  shutGate(until: number, now: number): Effect[] {
    return this.turn(now, (turn) => this.gate.shut(turn, until, this.instances));
  }

  // ── blobs ──

  private onBlobFrame(turn: Turn, f: Frame): void {
    switch (f.type) {
      case FRAME.OPEN: {
        const { blob, instance, offset } = decodeJson(openBlobSchema, f.payload, 'OPEN');
        if (this.blobs.has(f.stream)) throw new ProtocolError('state', 'OPEN of a stream that is open');
        if (this.blobs.size >= BLOBS) throw new ProtocolError('limit', 'too many blobs at once');
        const code = this.instances.slots.get(instance)?.code;
        if (code?.sha256 !== blob) {
          turn.reset(f.stream, 'not_found');
          return;
        }
        this.blobs.add(f.stream);
        turn.do({ do: 'blob', stream: f.stream, account: code.account, sha256: blob, offset });
        return;
      }
      case FRAME.CREDIT:
        if (this.blobs.has(f.stream)) turn.do({ do: 'blobCredit', stream: f.stream, offset: decodeU64(f.payload) });
        return;
      case FRAME.RESET:
        // Counted until its reading has ended, or opening and resetting would start any number of them.
        if (this.blobs.has(f.stream)) turn.do({ do: 'blobStop', stream: f.stream });
        return;
      case FRAME.HEAD:
      case FRAME.DATA:
      case FRAME.END:
      case FRAME.ACK:
      case FRAME.RESUME:
        throw new ProtocolError('state', 'an agent does not send this frame on a blob');
    }
  }

  /** `epoch`: of the session that asked for it. */
  onBlobDone(stream: number, epoch: number): void {
    if (epoch === this.epoch) this.blobs.delete(stream);
  }

  // ── time ──

  onAlarm(now: number): Effect[] {
    this.armedAt = null;
    return this.turn(now, (turn) => {
      this.attempts.tick(turn, this.lostAt);
      this.tickLoss(turn);
      this.tickRecord(turn);
      this.tombstones.tick(turn);
      this.instances.tick(turn);
      this.past.tick(turn);
      this.outbox.tick(turn);
      this.gate.tick(turn, this.instances);
      this.challenges.tick(turn, this.agent);
    });
  }

  /** An agent that does not come back: its Chutes learn it soon, its streams have longer. */
  private tickLoss(turn: Turn): void {
    if (this.lostAt === null) return;
    const goneAt = this.lostAt + GONE_MS;
    if (!this.goneTold && turn.now >= goneAt) {
      this.goneTold = true;
      this.instances.tellGone(turn);
    }
    const until = this.lostAt + LIMITS.resumeMs;
    if (turn.now >= until) this.lostAt = null;
    else turn.wake(this.goneTold ? until : goneAt);
  }

  private turn(now: number, work: (turn: Turn) => void): Effect[] {
    const turn = new Turn(now, this.connected, this.version);
    work(turn);
    // One alarm at a time, the soonest; a later wish finds its time when that one fires.
    if (turn.wakeAt === null || (this.armedAt !== null && this.armedAt <= turn.wakeAt)) return turn.effects;
    this.armedAt = turn.wakeAt;
    return [...turn.effects, { do: 'alarm', at: turn.wakeAt }];
  }
}

function welcomeTo({ epoch, version }: Session, now: number): Welcome {
  const until = SERVED_UNTIL[version];
  return { type: 'welcome', epoch, now, newest: NEWEST_AGENT, ...(until === undefined ? {} : { servedUntil: until }) };
}

function spendControl(session: Session, now: number): void {
  const earned = ((now - session.controlAt) / 1000) * CONTROL_RATE;
  session.controlTokens = Math.min(CONTROL_BURST, session.controlTokens + earned) - 1;
  session.controlAt = now;
  if (session.controlTokens < 0) throw new ProtocolError('limit', 'too many control messages');
}
