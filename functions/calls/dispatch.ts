/**
 * An opened call on its way to an instance: one attempt after the other as `attempts.ts` decides, the Chute's queue where
 * nobody is free, and the way back to a running attempt whose object went down.
 */
import { retrySafe } from '#protocol';
import { RipcordError, type ErrorCode } from '../errors.ts';
import { Attempts } from './attempts.ts';
import type { Call, World } from './call.ts';
import { PAUSE_MS, insist } from './insist.ts';
import type { Candidate } from './pick.ts';
import type { QuoteFacts } from '../prices/terms.ts';
import type { Opened as Money, Place, QueueAnswer, RelayAnswer, RelayAsk, Snapshot, SnapshotInstance, WaitAnswer } from './ports.ts';

export interface Opened {
  snapshot: Snapshot;
  candidates: Candidate[];
  /** Agents the Account knows of. */
  agents: string[];
  /** Unix milliseconds. */
  deadline: number;
  facts: QuoteFacts;
  /** What the Account agreed to. */
  money: Money;
}

/** An instance that replies. */
export interface Reached {
  instance: SnapshotInstance;
  attempt: number;
  answer: Extract<RelayAnswer, { kind: 'reply' }>;
}

const REATTACH_TRIES = 40;
/** Milliseconds until the Chute's word about a slot has surely reached its Miner object; the call may be faster. */
const SLOT_PAUSE_MS = 100;

export class Dispatch {
  /** As it goes to an instance. */
  call: Call;
  readonly world: World;
  readonly snapshot: Snapshot;
  readonly facts: QuoteFacts;
  readonly money: Money;
  private readonly deadline: number;
  /** When the Account agreed, unix ms. */
  private readonly openedAt: number;
  private readonly attempts: Attempts;
  /** Agents the Account will inquire; an attempt on another one is told to it first. */
  private readonly named: Set<string>;
  /** The body is a stream: it can be sent once. */
  private readonly once: boolean;
  /** The queue has this call. */
  private queued = false;
  /** Where it stood when the queue took it; null: it never waited. */
  private place: Place | null = null;
  /** When the call first asked for a place in the queue, unix ms; it keeps it by that. */
  private asked: number | null = null;
  /** Named by the queue, and kept for this call by its Miner object. */
  private slot: SnapshotInstance | null = null;

  constructor(call: Call, world: World, opened: Opened) {
    this.call = call;
    this.world = world;
    this.snapshot = opened.snapshot;
    this.deadline = opened.deadline;
    this.facts = opened.facts;
    this.money = opened.money;
    this.openedAt = world.now();
    this.named = new Set(opened.agents);
    this.once = call.body instanceof ReadableStream;
    const safe = !this.once && retrySafe(this.snapshot.config, call.method, call.path);
    this.attempts = new Attempts(opened.candidates, safe, call.instance === null);
  }

  /** A reply of some instance. With `early`, says `queued` once the queue has admitted the call, before any slot is free. */
  async reach(patience: 'early'): Promise<Reached | 'queued'>;
  async reach(patience: 'wait'): Promise<Reached>;
  async reach(patience: 'wait' | 'early'): Promise<Reached | 'queued'>;
  async reach(patience: 'wait' | 'early'): Promise<Reached | 'queued'> {
    for (;;) {
      const next = this.attempts.next();
      switch (next.do) {
        case 'fail':
          throw failure(next.code);
        case 'queue':
          if (!this.queued) await this.enqueue(next.tried);
          if (patience === 'early') return 'queued';
          this.slot = await this.waitForSlot();
          this.attempts.offer(this.slot);
          this.queued = false;
          break;
        case 'relay': {
          const reached = await this.relay(next.instance, next.attempt);
          if (reached !== null) return reached;
          break;
        }
      }
      if (this.world.now() >= this.deadline) throw failure('timeout');
      if (this.call.signal.aborted) throw failure('cancelled');
    }
  }

  /** Takes a running attempt up again at the client's offset, while its object comes back. */
  async reattach(instance: SnapshotInstance, attempt: number, offset: number): Promise<RelayAnswer> {
    for (let tries = 0; tries < REATTACH_TRIES && !this.call.signal.aborted; tries++) {
      try {
        return await this.world.miner(instance.agent).attach(this.call.id, attempt, offset, this.call.signal);
      } catch {
        await this.world.sleep(PAUSE_MS);
      }
    }
    return { kind: 'failed', code: 'miner_lost', handed: true };
  }

  /** A reply broke before its first byte reached the client: another instance may be next. */
  broke(instance: SnapshotInstance, code: string): void {
    this.attempts.broke(instance, code);
  }

  /** Where the call stands in the queue: as it was taken, or asked anew. Null: it does not wait, or the Chute gives no answer. */
  async standing(anew: boolean): Promise<Place | null> {
    if (!anew) return this.place;
    return this.world
      .chute(this.snapshot.chute)
      .place(this.call.id)
      .catch(() => null);
  }

  /** The call ends here: the Account need not wait for its deadline to release the hold. */
  async close(error: unknown): Promise<void> {
    const code = error instanceof RipcordError ? error.code : 'internal';
    await this.world
      .account(this.call.claim.account)
      .close(this.call.id, this.attempts.count, code)
      .catch(() => {});
  }

  // ── one attempt ──

  private async relay(instance: SnapshotInstance, attempt: number): Promise<Reached | null> {
    if (!(await this.name(instance.agent))) {
      if (this.slot === instance) await this.leaveQueue();
      throw failure(this.attempts.failed ?? 'unavailable');
    }
    if (this.once && !(await this.keep(instance))) {
      this.attempts.note(instance, { kind: 'refused', code: 'busy', busy: instance.slots });
      return null;
    }
    const answer = await this.send(instance, attempt);
    if (answer.kind === 'reply') return { instance, attempt, answer };
    if (this.once) {
      // The body is spent: there is no other attempt.
      if (answer.kind === 'refused') throw failure('no_capacity');
      this.attempts.note(instance, { ...answer, handed: true });
      return null;
    }
    if (answer.kind === 'refused' && answer.code === 'busy' && this.slot === instance) {
      this.slot = null;
      await this.world.sleep(SLOT_PAUSE_MS);
      return this.relay(instance, attempt);
    }
    if (answer.kind === 'refused') this.world.fold(this.snapshot.chute, instance.instance, answer.code, answer.busy);
    this.attempts.note(instance, answer);
    return null;
  }

  /** The Account knows every agent that may have the call; false: it takes no more. */
  private async name(agent: string): Promise<boolean> {
    if (this.named.has(agent)) return true;
    const taken = await insist(this.world, () => this.world.account(this.call.claim.account).widen(this.call.id, [agent]));
    if (taken) this.named.add(agent);
    return taken;
  }

  /** A body that can be sent once is not risked on a refusal: its slot is kept first. */
  private keep(instance: SnapshotInstance): Promise<boolean> {
    return this.world
      .miner(instance.agent)
      .keep(instance.instance, instance.version, this.call.id)
      .catch(() => false);
  }

  private async send(instance: SnapshotInstance, attempt: number): Promise<RelayAnswer> {
    const { call, world, snapshot } = this;
    const ask: RelayAsk = {
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
      terms: this.money.terms,
      facts: { images: this.facts.images, steps: this.facts.steps },
      requestBytes: this.facts.requestBytes,
      hold: this.money.hold.toString(),
      ...(call.tokens === null ? {} : { stream: call.tokens }),
      allowance: this.money.allowance,
      waitedMs: world.now() - this.openedAt,
      cold: instance.liveSince > this.openedAt,
    };
    try {
      return await world.miner(instance.agent).relay(ask, call.body, call.signal);
    } catch {
      // The object went down under the request. It knows whether the agent got it.
      return this.reattach(instance, attempt, 0);
    }
  }

  // ── the queue ──

  private async enqueue(tried: string[]): Promise<void> {
    const { call, world } = this;
    this.asked ??= world.now();
    const ticket = { call: call.id, account: call.claim.account, since: this.asked, tried, deadlineMs: this.deadline - world.now() };
    const answer = await insist(world, () => world.chute(this.snapshot.chute).enqueue(ticket));
    if (answer.kind === 'refused') {
      // Nobody else can take it: then what happened to it counts, not that others are missing.
      if (this.attempts.failed !== null) throw failure(this.attempts.failed);
      throw this.refusal(answer);
    }
    this.place = { position: answer.position, etaMs: answer.etaMs };
    this.queued = true;
  }

  /** The queue's answer; when its object goes down the call asks again. */
  private async waitForSlot(): Promise<SnapshotInstance> {
    const { call, world } = this;
    const leave = (): void => void this.leaveQueue();
    call.signal.addEventListener('abort', leave, { once: true });
    try {
      for (;;) {
        try {
          const answer = await world.chute(this.snapshot.chute).wait(call.id);
          if (answer.kind === 'slot') return answer.instance;
          throw this.refusal(answer);
        } catch (error) {
          if (call.signal.aborted) throw failure('cancelled');
          if (error instanceof RipcordError) throw error;
          if (world.now() >= this.deadline) throw failure('queue_timeout');
          await world.sleep(PAUSE_MS);
          await this.enqueue(this.attempts.instances);
        }
      }
    } finally {
      call.signal.removeEventListener('abort', leave);
    }
  }

  /** A remembered snapshot outlives its chute by some seconds: then the queue says `not_found`. */
  private refusal(answer: Extract<QueueAnswer | WaitAnswer, { kind: 'refused' }>): RipcordError {
    if (answer.code === 'not_found') return new RipcordError('not_found');
    const { code, retryAfterMs } = answer;
    if (answer.code !== 'start_failing') return new RipcordError(code, { retryAfterMs });
    const { owner, name } = this.snapshot;
    // What the program says is its owner's business.
    if (owner !== this.call.claim.account)
      return new RipcordError(code, { retryAfterMs, message: 'The program of this chute does not start; its owner can see why.' });
    const message = `Every start of the program fails: ${answer.error || 'no reason given'}`;
    return new RipcordError(code, { retryAfterMs, message, hint: `ripcord logs ${name} shows what it wrote.` });
  }

  private leaveQueue(): Promise<void> {
    return this.world
      .chute(this.snapshot.chute)
      .leave(this.call.id)
      .catch(() => {});
  }
}

function failure(code: ErrorCode): RipcordError {
  return new RipcordError(code, code === 'no_capacity' ? { retryAfterMs: 2_000, hint: 'Try again in a moment.' } : {});
}
