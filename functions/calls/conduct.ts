/**
 * The path of a call, top to bottom: find, quote, pick, open, relay (or queue), stream. What is decided is decided by the
 * files beside this one; money is the Account's, slots are the Miner's, waiting is the Chute's.
 */
import { RipcordError } from '../errors.ts';
import { cordDeclared, retrySafe } from '#protocol';
import { Attempts } from './attempts.ts';
import { MAX_CANDIDATES, pick } from './pick.ts';
import type {
  AccountPort,
  ByteSource,
  CallId,
  ChutePort,
  KeyClaim,
  MinerPort,
  RelayAnswer,
  Snapshot,
  SnapshotInstance,
  OpenAnswer,
  OpenAsk,
  QueueAnswer,
  WaitAnswer,
} from './ports.ts';
import { quote } from './quote.ts';
import { pump, type Reply, type Streamed } from './pump.ts';

/** A request that was shaped: parsed, bounded, its key checked for form. */
export interface Call {
  id: CallId;
  claim: KeyClaim;
  /** Id of the chute, or null when the name means nothing. */
  chute: string | null;
  method: string;
  /** Path and query for the engine. */
  path: string;
  headers: [string, string][];
  /** Bytes can be sent again; a stream goes once. */
  body: Uint8Array | ReadableStream<Uint8Array> | null;
  maxTokens: number | null;
  /** The client asked for server-sent events. */
  stream: boolean;
  affinity: string;
  /** `X-Ripcord-Instance`. */
  instance: string | null;
  /** The client left. */
  signal: AbortSignal;
  /** Many calls are on their way here; see `OpenAsk`. */
  crowd?: boolean;
}

/** Everything a call touches. The Worker binds it to objects, the simulator to a hostile network. */
export interface World {
  /** `fresh`: not from memory. */
  find(chute: string, fresh: boolean): Promise<Snapshot | null>;
  /** What a Miner object said of an instance; keeps the next pick from the same mistake. */
  fold(chute: string, instance: string, code: string, busy: number): void;
  account(id: string): AccountPort;
  chute(id: string): Pick<ChutePort, 'enqueue' | 'wait' | 'leave'>;
  miner(agent: string): Pick<MinerPort, 'relay' | 'attach' | 'keep'>;
  now(): number;
  random(): number;
  sleep(ms: number): Promise<void>;
}

/** Milliseconds between looks at an object that is being torn down. */
const REATTACH_PAUSE_MS = 250;
const REATTACH_TRIES = 40;
const OBJECT_TRIES = 4;
/** Milliseconds until the Chute's word about a slot has surely reached its Miner object; the call may be faster. */
const SLOT_PAUSE_MS = 100;

/** Conducts a call to its reply. Throws `RipcordError` for every refusal and failure before a reply. */
export async function conduct(call: Call, world: World): Promise<Reply> {
  const conductor = new Conductor(call, world);
  const snapshot = await conductor.open();
  return conductor.run(snapshot);
}

class Conductor {
  private readonly call: Call;
  private readonly world: World;
  private deadline = 0;
  private attempts = new Attempts([], false, false);
  private snapshot: Snapshot | null = null;
  /** Agents the Account will inquire; an attempt on another one is told to it first. */
  private readonly named = new Set<string>();
  /** The queue has this call. */
  private queued = false;
  /** Named by the queue, and kept for this call by its Miner object. */
  private slot: SnapshotInstance | null = null;

  constructor(call: Call, world: World) {
    this.call = call;
    this.world = world;
  }

  /** Find, quote, pick, open. Nothing about the chute is disclosed before the Account has agreed. */
  async open(): Promise<Snapshot> {
    const { call, world } = this;
    const snapshot = call.chute === null ? null : await this.find(call.chute);
    const now = world.now();
    const candidates =
      snapshot === null
        ? []
        : pick(snapshot.instances, {
            version: snapshot.version,
            affinity: call.affinity,
            instance: call.instance,
            now,
            random: world.random(),
          });
    const timeout = snapshot?.config.timeout ?? 1;
    this.deadline = now + timeout * 1000;
    const agents = agentsOf(
      snapshot,
      candidates.map((c) => c.instance),
    );
    for (const agent of agents) this.named.add(agent);
    const opened = await this.openAccount({
      call: call.id,
      claim: call.claim,
      chute: snapshot === null ? null : { id: snapshot.chute, owner: snapshot.owner, public: snapshot.public },
      version: snapshot?.version ?? '',
      quote:
        snapshot === null
          ? 0n
          : quote(snapshot.config.price, { requestBytes: bodyBytes(call.body), maxTokens: call.maxTokens, timeoutSeconds: timeout }),
      agents,
      deadlineMs: timeout * 1000,
      ...(call.crowd === true ? { crowd: true } : {}),
    });
    if (!opened.ok) throw new RipcordError(opened.code, opened.retryAfterMs === undefined ? {} : { retryAfterMs: opened.retryAfterMs });
    if (snapshot === null) throw new RipcordError('not_found');
    this.snapshot = snapshot;
    const replayable = !(call.body instanceof ReadableStream);
    this.attempts = new Attempts(candidates, replayable && retrySafe(snapshot.config, call.method, call.path), call.instance === null);
    return snapshot;
  }

  /** An object that goes down under the request may have written the hold: a second ask then finds the call there. */
  private async openAccount(ask: OpenAsk): Promise<OpenAnswer> {
    let asked = 0;
    return this.insist(async () => {
      asked++;
      const answer = await this.world.account(ask.claim.account).open(ask);
      return asked > 1 && !answer.ok && answer.code === 'duplicate_call' ? { ok: true } : answer;
    });
  }

  /** An instance that the caller names may be younger than what is remembered. */
  private async find(chute: string): Promise<Snapshot | null> {
    const { instance } = this.call;
    const snapshot = await this.insist(() => this.world.find(chute, false));
    if (instance === null || snapshot?.instances.some((i) => i.instance === instance) === true) return snapshot;
    return this.insist(() => this.world.find(chute, true));
  }

  /** An object that goes down under a request is back at once: asks it again, a few times. */
  private async insist<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask();
      } catch {
        if (tries === OBJECT_TRIES) throw new RipcordError('unavailable', { retryAfterMs: 1_000 });
        await this.world.sleep(REATTACH_PAUSE_MS);
      }
    }
  }

  async run(snapshot: Snapshot): Promise<Reply> {
    try {
      if (!cordDeclared(snapshot.config, this.call.method, this.call.path)) throw new RipcordError('not_found');
      const reached = await this.reach(snapshot, this.call.stream ? 'early' : 'wait');
      if (reached === 'queued') return this.early(snapshot);
      return this.answer(snapshot, reached);
    } catch (error) {
      await this.closeAfter(error);
      throw error;
    }
  }

  /** A reply of some instance. With `early`, says `queued` once the queue has admitted the call, before any slot is free. */
  private async reach(snapshot: Snapshot, patience: 'wait' | 'early'): Promise<Reached | 'queued'> {
    for (;;) {
      const next = this.attempts.next();
      switch (next.do) {
        case 'fail':
          throw this.failure(next.code);
        case 'queue':
          if (!this.queued) await this.enqueue(snapshot, next.tried);
          if (patience === 'early') return 'queued';
          this.slot = await this.waitForSlot(snapshot);
          this.attempts.offer(this.slot);
          this.queued = false;
          break;
        case 'relay': {
          const reached = await this.relay(snapshot, next.instance, next.attempt);
          if (reached !== null) return reached;
          break;
        }
      }
      if (this.world.now() >= this.deadline) throw this.failure('timeout');
      if (this.call.signal.aborted) throw this.failure('cancelled');
    }
  }

  private async relay(snapshot: Snapshot, instance: SnapshotInstance, attempt: number): Promise<Reached | null> {
    const { call, world } = this;
    if (!(await this.name(instance.agent))) {
      if (this.slot === instance)
        await world
          .chute(snapshot.chute)
          .leave(call.id)
          .catch(() => {});
      throw this.failure(this.attempts.failed ?? 'unavailable');
    }
    const miner = world.miner(instance.agent);
    const once = call.body instanceof ReadableStream;
    if (once && !(await miner.keep(instance.instance, instance.version, call.id).catch(() => false))) {
      this.attempts.note(instance, { kind: 'refused', code: 'busy', busy: instance.slots });
      return null;
    }
    let answer: RelayAnswer;
    try {
      answer = await miner.relay(
        {
          call: call.id,
          attempt,
          account: call.claim.account,
          key: call.claim.key,
          chute: snapshot.chute,
          version: instance.version,
          instance: instance.instance,
          method: call.method,
          path: call.path,
          headers: call.headers,
          deadlineMs: Math.max(1, this.deadline - world.now()),
          template: snapshot.config.template,
        },
        call.body,
        call.signal,
      );
    } catch {
      // The object went down under the request. It knows whether the agent got it.
      answer = await this.reattach(instance, attempt, 0);
    }
    if (answer.kind === 'reply') return { instance, attempt, answer };
    if (once) {
      // The body is spent: there is no other attempt.
      if (answer.kind === 'refused') throw this.failure('no_capacity');
      this.attempts.note(instance, { ...answer, handed: true });
      return null;
    }
    if (answer.kind === 'refused' && answer.code === 'busy' && this.slot === instance) {
      this.slot = null;
      await world.sleep(SLOT_PAUSE_MS);
      return this.relay(snapshot, instance, attempt);
    }
    if (answer.kind === 'refused') world.fold(snapshot.chute, instance.instance, answer.code, answer.busy);
    this.attempts.note(instance, answer);
    return null;
  }

  /** The Account knows every agent that may have the call; false: it takes no more. */
  private async name(agent: string): Promise<boolean> {
    if (this.named.has(agent)) return true;
    const taken = await this.insist(() => this.world.account(this.call.claim.account).widen(this.call.id, [agent]));
    if (taken) this.named.add(agent);
    return taken;
  }

  /** Takes a running attempt up again at the client's offset, while its object comes back. */
  private async reattach(instance: SnapshotInstance, attempt: number, offset: number): Promise<RelayAnswer> {
    for (let tries = 0; tries < REATTACH_TRIES && !this.call.signal.aborted; tries++) {
      try {
        return await this.world.miner(instance.agent).attach(this.call.id, attempt, offset, this.call.signal);
      } catch {
        await this.world.sleep(REATTACH_PAUSE_MS);
      }
    }
    return { kind: 'failed', code: 'miner_lost', handed: true };
  }

  private async enqueue(snapshot: Snapshot, tried: string[]): Promise<void> {
    const deadlineMs = this.deadline - this.world.now();
    const ticket = { call: this.call.id, account: this.call.claim.account, since: this.since(), tried, deadlineMs };
    const answer = await this.insist(() => this.world.chute(snapshot.chute).enqueue(ticket));
    if (answer.kind === 'refused') {
      // Nobody else can take it: then what happened to it counts, not that others are missing.
      if (this.attempts.failed !== null) throw this.failure(this.attempts.failed);
      throw refusal(answer);
    }
    this.queued = true;
  }

  private firstAsked: number | null = null;
  private since(): number {
    this.firstAsked ??= this.world.now();
    return this.firstAsked;
  }

  /** The queue's answer; when its object goes down the call asks again and keeps its place by the time it first asked. */
  private async waitForSlot(snapshot: Snapshot): Promise<SnapshotInstance> {
    const { call, world } = this;
    const leave = (): void =>
      void world
        .chute(snapshot.chute)
        .leave(call.id)
        .catch(() => {});
    call.signal.addEventListener('abort', leave, { once: true });
    try {
      for (;;) {
        try {
          const answer = await world.chute(snapshot.chute).wait(call.id);
          if (answer.kind === 'slot') return answer.instance;
          throw refusal(answer);
        } catch (error) {
          if (call.signal.aborted) throw this.failure('cancelled');
          if (error instanceof RipcordError || world.now() >= this.deadline)
            throw error instanceof RipcordError ? error : this.failure('queue_timeout');
          await world.sleep(REATTACH_PAUSE_MS);
          await this.enqueue(snapshot, this.attempts.instances);
        }
      }
    } finally {
      call.signal.removeEventListener('abort', leave);
    }
  }

  // ── the reply ──

  private answer(snapshot: Snapshot, reached: Reached): Reply {
    const { status, headers, body } = reached.answer;
    if (body instanceof Uint8Array) return { status, headers, body };
    return { status, headers, pump: (sink) => pump(this.streamed(snapshot, { ...reached, body }), sink) };
  }

  /** 200 now, comments while the call waits, then the reply as it comes. */
  private early(snapshot: Snapshot): Reply {
    const headers: [string, string][] = [['content-type', 'text/event-stream; charset=utf-8']];
    return {
      status: 200,
      headers,
      pump: (sink) => pump(this.streamed(snapshot, null), sink),
    };
  }

  private streamed(snapshot: Snapshot, reached: (Reached & { body: ByteSource }) | null): Streamed {
    let current = reached;
    const events = reached === null || reached.answer.headers.some(([k, v]) => k === 'content-type' && v.startsWith('text/event-stream'));
    return {
      status: reached?.answer.status ?? 200,
      events,
      callId: this.call.id,
      source: reached?.body ?? null,
      signal: this.call.signal,
      sleep: (ms) => this.world.sleep(ms),
      first: async () => {
        const next = await this.reach(snapshot, 'wait').catch((error: unknown) => this.closeAfter(error).then(() => Promise.reject(error)));
        if (next === 'queued') throw new RipcordError('internal');
        current = { ...next, body: next.answer.body as ByteSource };
        return { status: next.answer.status, headers: next.answer.headers, body: next.answer.body };
      },
      resume: async (offset) => {
        if (current === null) throw new RipcordError('internal');
        const answer = await this.reattach(current.instance, current.attempt, offset);
        if (answer.kind === 'reply') return answer.body;
        const code = answer.kind === 'failed' ? answer.code : 'miner_lost';
        if (offset > 0) return new RipcordError(code === 'timeout' || code === 'engine_error' ? code : 'miner_lost');
        this.attempts.broke(current.instance, code);
        return null;
      },
    };
  }

  private failure(code: ConstructorParameters<typeof RipcordError>[0]): RipcordError {
    return new RipcordError(code, code === 'no_capacity' ? { retryAfterMs: 2_000, hint: 'Try again in a moment.' } : {});
  }

  /** The call ends here: the Account need not wait for its deadline to release the hold. */
  private async closeAfter(error: unknown): Promise<void> {
    if (this.snapshot === null) return;
    const code = error instanceof RipcordError ? error.code : 'internal';
    await this.world
      .account(this.call.claim.account)
      .close(this.call.id, this.attempts.count, code)
      .catch(() => {});
  }
}

/** A remembered snapshot outlives its chute by some seconds: then the queue says `not_found`. */
function refusal(answer: Extract<QueueAnswer | WaitAnswer, { kind: 'refused' }>): RipcordError {
  return new RipcordError(answer.code, answer.code === 'not_found' ? {} : { retryAfterMs: answer.retryAfterMs });
}

interface Reached {
  instance: SnapshotInstance;
  attempt: number;
  answer: Extract<RelayAnswer, { kind: 'reply' }>;
}

/** Agents the Account inquires at the deadline: the candidates, and whoever else may be named by the queue. */
function agentsOf(snapshot: Snapshot | null, picked: readonly SnapshotInstance[]): string[] {
  const all = [...picked, ...(snapshot?.instances ?? [])].map((i) => i.agent);
  return [...new Set(all)].slice(0, 4 * MAX_CANDIDATES);
}

function bodyBytes(body: Call['body']): number {
  return body instanceof Uint8Array ? body.byteLength : 0;
}
