/** The shell of a Miner object: the agent's socket, the rows, the alarm, and the streams of its calls. Rules are in `core.ts`. */
import { DurableObject } from 'cloudflare:workers';
import {
  CLOSE,
  KEEPALIVE,
  LIMITS,
  PROTOCOL_VERSIONS,
  ProtocolError,
  VERSION_HEADER,
  chooseVersion,
  FRAME,
  decodeFrames,
  hasFrame,
  firstIssue,
  packMessages,
  upSchema,
  type Frame,
  type Login,
  type StopReason,
  type Up,
} from '#protocol';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { blobs } from '../blobs.ts';
import { beaconChain } from '../beacon/client.ts';
import type { AgentFacts, CallId, ChallengeOrder, ChallengeTold, InquiryAnswer, RelayAsk } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { event } from '../events.ts';
import { openingTokens } from '../gate/opening-token.ts';
import { suiteOf } from '../protocol/challenge/suite.ts';
import { Together } from '../together.ts';
import type { AgentWorld } from '../why/agent-reasons.ts';
import { BlobStreams } from './blob-streams.ts';
import { ANSWER_HEADER, ASK_HEADER, asciiJson } from './client.ts';
import { arrived, left } from './crowd.ts';
import { MinerCore } from './core.ts';
import type { Answer, Effect } from './effects.ts';
import { runErrand, type Errand } from './errands.ts';
import { Reader } from './reader.ts';
import { MinerStore } from './store.ts';
import { Upload } from './upload.ts';

/** Running attempts from which on events that come together share a commit. */
const CROWD = 6;

/** Logins of one agent within the life of two challenges. */
const CHALLENGES = 128;

interface Attachment {
  epoch: number;
  greeted: boolean;
  /** Of the protocol; sockets of a deploy that knew one only have none. */
  version?: number;
  /** Unix milliseconds of the login or hello: all that is known of an agent when its object wakes, beside its last ping. */
  at: number;
}

export class MinerObject extends DurableObject<Env> {
  private readonly core: MinerCore;
  private readonly together = new Together();
  private readonly readers = new Map<string, Reader>();
  private readonly answers = new Map<string, (answer: Answer) => void>();
  private readonly rooms = new Map<string, () => void>();
  private readonly pings = new Map<string, (at: number) => void>();
  private readonly blobStreams = new BlobStreams((frames) => this.sendFrames(frames));
  private socket: WebSocket | null = null;
  /** When the newest login got its challenge, unix ms. */
  private challengedAt = 0;
  private heardAt = Date.now();
  private readonly store: MinerStore;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(KEEPALIVE.ping, KEEPALIVE.pong));
    const key = sha256(new TextEncoder().encode(`checkpoint\n${env.EDGE_SECRET}`));
    this.store = new MinerStore(ctx.storage.sql);
    const first = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    const judging = { chain: beaconChain(env), suite: suiteOf(env.NETWORK), token: openingTokens(env.EDGE_SECRET).make };
    this.core = new MinerCore(this.store.rows(), first, (bytes) => hmac(sha256, key, bytes), Date.now(), judging);
    this.wake();
  }

  /** A hibernated socket is taken up; one that had calls must say hello again, for their streams are not known any more. */
  private wake(): void {
    for (const socket of this.ctx.getWebSockets()) {
      const attachment = socket.deserializeAttachment() as Attachment | null;
      if (attachment === null) continue;
      if (this.core.running().length > 0) {
        socket.close(CLOSE.goaway, 'say hello again');
        continue;
      }
      this.core.onWake(attachment.epoch, attachment.greeted, Date.now(), attachment.version ?? 1);
      if (this.core.epoch !== attachment.epoch) continue;
      this.socket = socket;
      this.heardAt = attachment.at;
    }
    this.run(this.core.onStart(Date.now()));
  }

  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/relay') return this.relay(request);
    if (pathname === '/attach') return this.attach(request);
    if (pathname === '/connect') return this.login(request);
    return new Response(null, { status: 404 });
  }

  // ── the agent's socket ──

  /** The Worker verified the login in `x-ask`; a challenge is good once. */
  private login(request: Request): Response {
    const { clockMs, ...login } = readAsk<Login & { clockMs?: number }>(request);
    const challengedAt = Number(login.challenge.split('.')[0]);
    // A login that was overtaken on its way must not fence the newer one.
    if (challengedAt < this.challengedAt || !this.spendChallenge(login.challenge)) return new Response(null, { status: 409 });
    this.challengedAt = challengedAt;
    const pair = new WebSocketPair();
    for (const old of this.ctx.getWebSockets()) old.close(CLOSE.superseded, 'a newer session took over');
    this.run(this.core.onClose(this.core.epoch, Date.now()));
    const version = chooseVersion(login.versions) ?? PROTOCOL_VERSIONS[0];
    // A Worker of the deploy before tells a part of it.
    const whole = (login.signature as string | undefined) === undefined ? undefined : login;
    this.run(this.core.onLogin(login.agent, login.hotkey, login.name, Date.now(), version, login.sealKey, clockMs, whole));
    this.ctx.acceptWebSocket(pair[1]);
    this.socket = pair[1];
    arrived(login.agent, Date.now());
    this.heardAt = Date.now();
    pair[1].serializeAttachment({ epoch: this.core.epoch, greeted: false, version, at: this.heardAt } satisfies Attachment);
    return new Response(null, { status: 101, webSocket: pair[0], headers: { [VERSION_HEADER]: String(version) } });
  }

  /** None is forgotten while it is good: rather is a login refused. */
  private spendChallenge(challenge: string): boolean {
    const now = Date.now();
    const stored = this.ctx.storage.kv.get<Record<string, number>>('challenges') ?? {};
    const fresh = Object.entries(stored).filter(([, until]) => until > now);
    if (fresh.length >= CHALLENGES || fresh.some(([spent]) => spent === challenge)) return false;
    this.ctx.storage.kv.put('challenges', Object.fromEntries([...fresh, [challenge, now + 2 * LIMITS.challengeMs]]));
    return true;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    // Only ends are written to disk; tokens in between wait for nobody.
    const ends = typeof message !== 'string' && hasFrame(new Uint8Array(message), FRAME.END);
    this.together.run(() => this.onMessage(socket, message), ends && this.core.load >= CROWD);
  }

  private onMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    if (socket !== this.socket) {
      const attachment = socket.deserializeAttachment() as Attachment | null;
      if (attachment?.epoch !== this.core.epoch) return;
      this.socket = socket;
    }
    const now = Date.now();
    this.heardAt = now;
    try {
      if (typeof message === 'string') this.onText(message, now);
      else this.run(this.core.onFrames(decodeFrames(new Uint8Array(message)), now));
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        event('internal_error', { where: 'miner', why: String(error).slice(0, 300) });
        this.closeSocket(CLOSE.goaway, 'say hello again');
        return;
      }
      event('agent_closed', { agent: this.core.facts()?.agent ?? '', code: error.code, why: error.message });
      this.closeSocket(error.code === 'limit' ? CLOSE.limit : CLOSE.protocol, error.message);
    }
  }

  private onText(text: string, now: number): void {
    if (!fitsControl(text)) throw new ProtocolError('limit', 'control message too large');
    const message = parseUp(text);
    this.run(this.core.onText(message, now));
    if (message.type !== 'hello') return;
    const { epoch, version } = this.core;
    this.socket?.serializeAttachment({ epoch, greeted: true, version, at: now } satisfies Attachment);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.together.run(() => this.onSocketGone(socket, code), false);
  }

  override webSocketError(socket: WebSocket): void {
    this.together.run(() => this.onSocketGone(socket), false);
  }

  private onSocketGone(socket: WebSocket, code?: number): void {
    const attachment = socket.deserializeAttachment() as Attachment | null;
    if (attachment === null || attachment.epoch !== this.core.epoch) return;
    this.leave();
    this.socket = null;
    this.blobStreams.stopAll();
    this.run(this.core.onClose(attachment.epoch, Date.now(), code));
  }

  private closeSocket(code: number, reason: string): void {
    const socket = this.socket;
    const epoch = this.core.epoch;
    this.leave();
    this.socket = null;
    this.blobStreams.stopAll();
    socket?.close(code, reason.slice(0, 100));
    this.run(this.core.onClose(epoch, Date.now(), code));
  }

  /** Lets the agent go; false: it was not here. Its next login says why it may not come. */
  dismiss(why: string): boolean {
    const here = this.socket !== null;
    if (here) this.closeSocket(CLOSE.goaway, why);
    return here;
  }

  private leave(): void {
    const agent = this.core.agentId;
    if (agent !== null) left(agent);
  }

  /** A socket that said nothing for too long, or longer than its key lives, is not trusted with a call and not counted as there. */
  private dropSilent(): void {
    if (this.socket === null) return;
    if (this.core.isExpired(Date.now())) return this.closeSocket(CLOSE.goaway, 'log in again');
    const pinged = this.ctx.getWebSocketAutoResponseTimestamp(this.socket)?.getTime() ?? 0;
    if (Date.now() - Math.max(this.heardAt, pinged) > LIMITS.silenceMs) this.closeSocket(CLOSE.goaway, 'silent for too long');
  }

  // ── calls ──

  private async relay(request: Request): Promise<Response> {
    const ask = readAsk<RelayAsk & { streamed?: boolean }>(request);
    this.dropSilent();
    const key = `${ask.call}/${ask.attempt}`;
    const streamed = ask.streamed === true && request.body !== null;
    const body = streamed ? null : new Uint8Array(await request.arrayBuffer());
    const answer = this.expect(key);
    this.watchSignal(request, key);
    this.together.run(() => this.run(this.core.relay(ask, body, Date.now())), this.core.load >= CROWD);
    if (streamed && request.body !== null) this.ctx.waitUntil(this.pumpRequest(key, new Upload(request.body)));
    return this.respond(key, await answer);
  }

  private async attach(request: Request): Promise<Response> {
    const { call, attempt, offset } = readAsk<{ call: string; attempt: number; offset: number }>(request);
    const key = `${call}/${attempt}`;
    const answer = this.expect(key);
    this.watchSignal(request, key);
    this.run(this.core.attach(call, attempt, offset, Date.now()));
    return this.respond(key, await answer);
  }

  private expect(key: string): Promise<Answer> {
    return new Promise((resolve) => this.answers.set(key, resolve));
  }

  private watchSignal(request: Request, key: string): void {
    request.signal.addEventListener('abort', () => {
      if (this.readers.has(key) || this.answers.has(key)) this.readerGone(key);
    });
  }

  private readerGone(key: string): void {
    this.readers.delete(key);
    this.answers.get(key)?.({ kind: 'failed', code: 'cancelled', handed: true });
    this.answers.delete(key);
    this.rooms.get(key)?.();
    this.run(this.core.onReaderGone(key, Date.now()));
  }

  private respond(key: string, answer: Answer): Response {
    if (answer.kind !== 'reply') return new Response(null, { headers: { [ANSWER_HEADER]: asciiJson(answer) } });
    const { body, ...told } = answer;
    const head = { [ANSWER_HEADER]: asciiJson({ ...told, whole: body !== null }) };
    return new Response(body ?? this.readers.get(key)?.stream ?? null, { headers: head });
  }

  private async pumpRequest(key: string, upload: Upload): Promise<void> {
    try {
      for (;;) {
        const bytes = await upload.read();
        const room = new Promise<void>((resolve) => this.rooms.set(key, resolve));
        this.run(this.core.onRequest(key, bytes, bytes === null, Date.now()));
        if (bytes === null) return;
        await room;
        if (!this.readers.has(key) && !this.answers.has(key)) return;
      }
    } catch {
      this.readerGone(key);
    } finally {
      this.rooms.delete(key);
    }
  }

  // ── what others ask (RPC) ──

  inquire(call: CallId): InquiryAnswer {
    const { answer, effects } = this.core.inquire(call, Date.now());
    this.run(effects);
    return answer;
  }

  watch(chute: string, instances: string[]): { instance: string; free: number }[] {
    return this.core.watch(chute, instances);
  }

  unwatch(chute: string): void {
    this.core.unwatch(chute);
  }

  keep(instance: string, version: string, call: CallId): boolean {
    const { kept, effects } = this.core.keep(instance, version, call, Date.now());
    this.run(effects);
    return kept;
  }

  reserve(instance: string, call: CallId): boolean {
    const { kept, effects } = this.core.reserve(instance, call, Date.now());
    this.run(effects);
    return kept;
  }

  release(instance: string, call: CallId): void {
    this.run(this.core.release(instance, call, Date.now()));
  }

  stop(instance: string, reason: StopReason, noticeMs: number): void {
    this.run(this.core.stop(instance, reason, noticeMs, Date.now()));
  }

  facts(): (AgentFacts & { connected: boolean; instances: ReturnType<MinerCore['listInstances']> }) | null {
    this.dropSilent();
    const facts = this.core.facts();
    return facts === null ? null : { ...facts, connected: this.core.connected, instances: this.core.listInstances() };
  }

  /** What says why the agent has no work; null: none ever logged in here. */
  why(): AgentWorld | null {
    this.dropSilent();
    return this.core.why(Date.now());
  }

  /** Judges asked for these; how each stands. */
  challenge(orders: ChallengeOrder[]): ChallengeTold[] {
    this.dropSilent();
    const { told, effects } = this.core.challenge(orders, Date.now());
    this.run(effects);
    return told;
  }

  /** Whether an upload of the opening may begin. */
  mayOpen(id: string): boolean {
    const { may, effects } = this.core.mayOpen(id, Date.now());
    this.run(effects);
    return may;
  }

  /** It is kept under this hash; false: too late, or another came first. */
  opened(id: string, sha256: string, bytes: number): boolean {
    const { taken, effects } = this.core.onOpened(id, sha256, bytes, Date.now());
    this.run(effects);
    return taken;
  }

  /** No paid calls until then (unix ms). */
  shutGate(until: number): void {
    this.run(this.core.shutGate(until, Date.now()));
  }

  /** Milliseconds of one ping to the agent and back; null without a connection or an answer within 5 s. */
  async ping(): Promise<number | null> {
    this.dropSilent();
    if (!this.core.connected || this.pings.size >= 16) return null;
    const id = crypto.randomUUID();
    const sent = Date.now();
    const answered = new Promise<number>((resolve) => this.pings.set(id, resolve));
    this.socket?.send(JSON.stringify({ type: 'ping', id }));
    const at = await Promise.race([answered, scheduler.wait(5_000).then(() => null)]);
    this.pings.delete(id);
    return at === null ? null : at - sent;
  }

  /** Fault tests only: the object is torn down as a deploy or a crash would. */
  reset(how: 'abort' | 'cut'): void {
    if (this.env.FAULTS !== '1') return;
    if (how === 'cut') this.closeSocket(CLOSE.goaway, 'cut by a fault test');
    else this.ctx.abort('reset by a fault test');
  }

  override async alarm(): Promise<void> {
    this.run(this.core.onAlarm(Date.now()));
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
    if (alarm !== null) this.ctx.waitUntil(this.ctx.storage.setAlarm(alarm));
    if (frames.length > 0) this.sendFrames(frames);
  }

  private carryOut(effect: Exclude<Effect, { do: 'send' | 'alarm' }>): void {
    switch (effect.do) {
      case 'put':
        this.store.put(effect.row);
        return;
      case 'delete':
        this.store.delete(effect.keys);
        return;
      case 'tell':
        this.socket?.send(JSON.stringify(effect.message));
        return;
      case 'close':
        this.closeSocket(effect.code, effect.reason);
        return;
      case 'answer':
        this.answer(effect.attempt, effect.answer);
        return;
      case 'push':
        this.readers.get(effect.attempt)?.push(effect.bytes);
        return;
      case 'end':
        this.readers.get(effect.attempt)?.end(this.ctx.storage.sync());
        return;
      case 'break':
        this.readers.get(effect.attempt)?.break();
        return;
      case 'room':
        this.rooms.get(effect.attempt)?.();
        return;
      case 'pong':
        this.pings.get(effect.id)?.(Date.now());
        return;
      case 'blob': {
        const { epoch } = this.core;
        const sent = this.blobStreams.start(effect.stream, blobs(this.env, effect.account), effect.sha256, effect.offset);
        this.ctx.waitUntil(sent.finally(() => this.core.onBlobDone(effect.stream, epoch)));
        return;
      }
      case 'blobCredit':
        this.blobStreams.credit(effect.stream, effect.offset);
        return;
      case 'blobStop':
        this.blobStreams.stop(effect.stream);
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
      case 'pulse':
      case 'transcripts':
        this.ctx.waitUntil(this.send(effect));
        return;
    }
  }

  private async send(errand: Errand): Promise<void> {
    try {
      this.run(await runErrand(errand, this.core, this.env));
    } catch (error) {
      event('ask_failed', { what: errand.do, why: String(error) });
    }
  }

  private answer(key: string, answer: Answer): void {
    const resolve = this.answers.get(key);
    this.answers.delete(key);
    if (answer.kind === 'reply' && answer.body === null) {
      this.readers.set(
        key,
        new Reader(
          () => this.together.run(() => this.run(this.core.onDrained(key, Date.now())), this.core.load >= CROWD && this.core.hasEnded(key)),
          () => this.readerGone(key),
          () => this.readers.delete(key),
        ),
      );
    }
    resolve?.(answer);
  }

  private sendFrames(frames: Frame[]): void {
    for (const message of packMessages(frames)) this.socket?.send(message);
  }
}

function readAsk<T>(request: Request): T {
  return JSON.parse(request.headers.get(ASK_HEADER) ?? 'null') as T;
}

/** By UTF-8 bytes; a text is at most three times as long as it has units. */
function fitsControl(text: string): boolean {
  if (text.length > LIMITS.controlBytes) return false;
  return text.length * 3 <= LIMITS.controlBytes || new TextEncoder().encode(text).byteLength <= LIMITS.controlBytes;
}

function parseUp(text: string): Up {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError('malformed', 'not JSON');
  }
  const parsed = upSchema.safeParse(value);
  if (!parsed.success) {
    const tooMuch = parsed.error.issues[0]?.code === 'too_big';
    throw new ProtocolError(tooMuch ? 'limit' : 'malformed', firstIssue(parsed.error));
  }
  return parsed.data;
}
