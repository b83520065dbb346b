/**
 * Challenges as the agent meets them. Work: prove, commit, and open what the sample names. Files: open at once. The edge says what
 * is asked and for how long; what cannot be proven is declined with the reason.
 */
import { CHALLENGE_LIMITS, challengeSeed, commitText } from '#protocol';
import type { ChallengeAsk, Device, SampleAsk, Up } from '#protocol';
import { NotHeld, type Possession } from '../possession/possession.ts';
import { NotProven, type Proof } from './prover.ts';
import type { Provers } from './provers.ts';
import type { Uploads } from './upload.ts';

/** What of a refusal the wire has room for. */
const REASON_CHARS = 128;
/** Milliseconds that something may come later than the edge says. */
const SLACK_MS = 5_000;

export interface ChallengeNews {
  event: 'challenge';
  id: string;
  kind: ChallengeAsk['kind'];
  /** A device or an instance of this agent. */
  of: string;
  state: 'asked' | 'committed' | 'opened' | 'declined' | 'failed';
  detail: string;
}

export interface ChallengesAsk {
  hotkey: string;
  devices: () => readonly Device[];
  provers: Provers;
  possession: Possession;
  uploads: Pick<Uploads, 'send'>;
  /** Ed25519 of the session, base64url. */
  sign: (text: string) => string;
  say: (message: Extract<Up, { type: 'commit' | 'decline' }>) => void;
  tell: (news: ChallengeNews) => void;
}

interface Running {
  ask: ChallengeAsk;
  proof: Proof | null;
  ending: AbortController;
  timer: NodeJS.Timeout | null;
}

export class Challenges {
  readonly #ask: ChallengesAsk;
  readonly #running = new Map<string, Running>();
  /** The newest round of the beacon that was heard of. */
  #seen = 0;

  constructor(ask: ChallengesAsk) {
    this.#ask = ask;
  }

  async challenge(ask: ChallengeAsk): Promise<void> {
    this.#seen = Math.max(this.#seen, ask.round);
    if (this.#running.has(ask.id)) return;
    if (this.#running.size >= CHALLENGE_LIMITS.runningPerAgent) return this.#decline(ask, 'too many challenges at once');
    const running = this.#begin(ask);
    this.#news(ask, 'asked');
    try {
      if (ask.kind === 'fs' || ask.kind === 'weights') await this.#files(running, ask.kind);
      else await this.#work(running, ask.kind);
    } catch (error) {
      const given = running.ending.signal.aborted;
      this.#end(ask.id);
      if (!given) this.#decline(ask, reasonOf(error));
    }
  }

  async sample({ id, round, randomness, token, withinMs }: SampleAsk): Promise<void> {
    this.#seen = Math.max(this.#seen, round);
    const running = this.#running.get(id);
    const proof = running?.proof ?? null;
    if (running === undefined || proof === null) return;
    // A second sample of it finds nothing.
    running.proof = null;
    this.#wait(running, withinMs);
    try {
      const bytes = await proof.open(randomness);
      await this.#upload(running, { token, bytes, withinMs });
    } catch (error) {
      this.#news(running.ask, 'failed', reasonOf(error));
    } finally {
      proof.drop();
      this.#end(id);
    }
  }

  /** The session is gone, and with it all that it asked. */
  lost(): void {
    for (const id of this.#running.keys()) this.#end(id);
  }

  async #work(running: Running, kind: 'pow.mm' | 'pow.mem'): Promise<void> {
    const { ask, ending } = running;
    const { id, profile, steps, randomness } = ask;
    const device = this.#ask.devices().find((one) => one.id === ask.device);
    if (device === undefined) throw new NotProven('there is no such device here');
    const prover = this.#ask.provers.of(device);
    if (prover === null) throw new NotProven(`no prover for ${device.kind}`);
    const work = { kind, profile, steps, seed: this.#seed(ask), randomness };
    running.proof = await prover.prove(work, AbortSignal.any([ending.signal, AbortSignal.timeout(ask.withinMs)]));
    if (ending.signal.aborted) return running.proof.drop();
    this.#wait(running, CHALLENGE_LIMITS.openMs);
    const bound = { id, root: running.proof.root, seen: this.#seen, helper: prover.helper };
    const signature = Buffer.from(this.#ask.sign(commitText(bound)), 'base64url').toString('hex');
    this.#ask.say({ type: 'commit', ...bound, signature });
    this.#news(ask, 'committed');
  }

  async #files(running: Running, kind: 'fs' | 'weights'): Promise<void> {
    const { instance, token, withinMs } = running.ask;
    if (instance === null || token === undefined) throw new NotHeld('it names no instance');
    const bytes = await this.#ask.possession.open(instance, kind, this.#seed(running.ask));
    await this.#upload(running, { token, bytes, withinMs });
    this.#end(running.ask.id);
  }

  async #upload({ ask, ending }: Running, opening: { token: string; bytes: Uint8Array; withinMs: number }): Promise<void> {
    const why = await this.#ask.uploads.send({ id: ask.id, ...opening }, ending.signal);
    if (ending.signal.aborted) return;
    if (why === null) this.#news(ask, 'opened');
    else this.#news(ask, 'failed', why);
  }

  #seed({ kind, randomness, target, id }: ChallengeAsk): string {
    return challengeSeed({ kind, randomness, hotkey: this.#ask.hotkey, target, id });
  }

  #begin(ask: ChallengeAsk): Running {
    const running: Running = { ask, proof: null, ending: new AbortController(), timer: null };
    this.#running.set(ask.id, running);
    this.#wait(running, ask.withinMs);
    return running;
  }

  /** Nothing is held for ever, whatever the edge forgets or asks for. */
  #wait(running: Running, ms: number): void {
    if (running.timer !== null) clearTimeout(running.timer);
    running.timer = setTimeout(() => this.#end(running.ask.id), Math.min(ms, CHALLENGE_LIMITS.commitMs) + SLACK_MS).unref();
  }

  #end(id: string): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#running.delete(id);
    if (running.timer !== null) clearTimeout(running.timer);
    running.proof?.drop();
    running.ending.abort();
  }

  #decline(ask: ChallengeAsk, reason: string): void {
    this.#ask.say({ type: 'decline', id: ask.id, reason: reason.slice(0, REASON_CHARS) });
    this.#news(ask, 'declined', reason);
  }

  #news({ id, kind, device, instance }: ChallengeAsk, state: ChallengeNews['state'], detail = ''): void {
    this.#ask.tell({ event: 'challenge', id, kind, of: device ?? instance ?? '', state, detail });
  }
}

/** What the edge may hear: reasons that are meant to be heard, and no more than the name of anything else. */
function reasonOf(error: unknown): string {
  if (error instanceof NotProven || error instanceof NotHeld) return error.message;
  const name = error instanceof Error ? error.name : 'unknown error';
  return name === 'TimeoutError' ? 'it took too long' : `failed (${name})`;
}
