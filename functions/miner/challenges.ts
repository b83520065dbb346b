/**
 * Challenges that the edge relays to this agent and writes down. It measures and decides nothing of what is proven.
 *
 *   announce    a judge asked; the work of one device is one after the other
 *   send        the round that seeds it is out
 *   commit      the work is bound; the first round after it names the samples
 *   sample      that round is out
 *   opened      the upload came; or nothing came in time
 *
 * A socket may break and come back on the way, as long as the agent is the same run with the same session key. From the commit on
 * only an opening counts: who sees samples that it cannot open gains nothing by leaving.
 */
import type { CommitMessage, Login } from '#protocol';
import type { ChallengeOrder, ChallengeTold } from '../calls/ports.ts';
import { publishedAt, roundAt, type BeaconChain } from '../protocol/challenge/beacon.ts';
import { seedingRound } from '../protocol/challenge/schedule.ts';
import { CHALLENGE_LIMITS, type Suite } from '../protocol/challenge/suite.ts';
import type { Transcript } from '../protocol/challenge/transcript.ts';
import { challengeKey, draftOf, storable, subjectOf, type ChallengeRow } from './challenge-row.ts';
import { Pulses } from './pulses.ts';
import type { Repeats } from './repeats.ts';
import type { AgentRow, InstanceRow } from './rows.ts';
import type { Rtt } from './rtt.ts';
import type { Turn } from './turn.ts';

/** What a network goes by, and how an upload is allowed. */
export interface Judging {
  chain: BeaconChain;
  suite: Suite;
  token(this: void, id: string, agent: string, until: number): string;
}

/** Milliseconds after its time at which a pulse is too old to be sent as a seed: an agent may have it from elsewhere. Less than `seedLateMs`. */
export const STALE_MS = 3_000;
/** Milliseconds that an announced challenge waits for its turn and its pulse. */
const WAIT_MS = 2 * CHALLENGE_LIMITS.commitMs + CHALLENGE_LIMITS.openMs;
/** Milliseconds that it waits for an agent that is away: who leaves when a test is drawn finds it when he is back. */
export const AWAY_MS = 1_800_000;
/** Milliseconds until the record is told again. */
const RETRY_MS = 2_000;
/** Rows of what is due that are kept at once, with those that have ended and are remembered until nobody can ask for them again. */
export const ROWS = 4 * CHALLENGE_LIMITS.runningPerAgent;
/** Beside them, rows out of turn: judges must not fill those that the schedule needs. */
export const REPEATS = CHALLENGE_LIMITS.runningPerAgent / 2;
/** Uploads of one opening that may be begun. */
export const UPLOADS = 4;
/** Transcripts told to the record at once. */
const TOLD = 32;

export class Challenges {
  private readonly rows = new Map<string, ChallengeRow>();
  private readonly toldAt = new Map<string, number>();
  /** What the session has not been told, or may have missed. */
  private readonly unsaid = new Set<string>();
  private readonly pulses = new Pulses();
  private readonly judging: Judging;
  private readonly repeats: Repeats;
  private readonly rtt: Rtt;
  private readonly serves: (instance: string) => boolean;

  constructor(judging: Judging, repeats: Repeats, rtt: Rtt, serves: (instance: string) => boolean) {
    this.judging = judging;
    this.repeats = repeats;
    this.rtt = rtt;
    this.serves = serves;
  }

  restore(row: ChallengeRow): void {
    this.rows.set(row.draft.id, row);
  }

  // ── what judges ask ──

  /** `goneSince`: unix ms; null while it is connected, or where nobody knows. */
  announce(
    turn: Turn,
    order: ChallengeOrder,
    agent: AgentRow | null,
    instances: readonly InstanceRow[],
    goneSince: number | null,
  ): ChallengeTold {
    const { id } = order;
    const known = this.rows.get(id);
    if (known !== undefined) return { id, state: known.step === 'ended' ? 'ended' : 'running', why: '' };
    const refused = (why: string): ChallengeTold => ({ id, state: 'refused', why });
    if (agent?.login === undefined || agent.inventory === null) return refused('offline');
    if (!turn.connected && goneSince !== null && goneSince < order.slot * 1000) return refused('offline');
    const { chain, suite } = this.judging;
    const subject = subjectOf(order, agent.agent, agent.inventory, instances, suite);
    if (subject === null) return refused('no_target');
    if (this.isFull(order.scheduled)) return refused('busy');
    if (!order.scheduled && !this.repeats.take(turn, order.target, order.judge)) return refused('budget');
    const round = Math.max(seedingRound(chain, order.slot, suite), roundAt(chain, turn.now) + 1);
    const draft = draftOf(order, agent.hotkey, agent.agent, agent.login, subject, round);
    const row: ChallengeRow = {
      kind: 'challenge',
      key: challengeKey(id),
      step: 'announced',
      due: turn.now + WAIT_MS,
      draft,
      untold: false,
      uploads: 0,
    };
    this.put(turn, row);
    if (turn.connected && turn.version < 2) this.end(turn, row, 'declined', { declined: 'protocol 1' });
    this.rtt.ping(turn);
    this.tick(turn, agent);
    return { id, state: this.rows.get(id)?.step === 'ended' ? 'ended' : 'started', why: '' };
  }

  // ── what the agent says ──

  commit(turn: Turn, { id, root, seen, helper, signature }: CommitMessage, agent: AgentRow | null): void {
    const row = this.rows.get(id);
    if (row?.step !== 'sent' || row.draft.device === null) return;
    const commit = { root, seen, helper: storable(helper), signature, at: turn.now };
    const draft = { ...row.draft, commit, rtt_ms: this.rtt.least(turn.now) };
    this.put(turn, { ...row, step: 'committed', due: turn.now + CHALLENGE_LIMITS.openMs, draft, untold: true });
    this.tick(turn, agent);
  }

  decline(turn: Turn, id: string, reason: string, agent: AgentRow | null): void {
    const row = this.rows.get(id);
    if (row?.step !== 'sent') return;
    this.end(turn, row, 'declined', { declined: storable(reason) });
    this.tick(turn, agent);
  }

  /** Whether an upload of it may begin. */
  mayOpen(turn: Turn, id: string): boolean {
    const row = this.rows.get(id);
    if (row === undefined || !awaitsOpening(row) || turn.now >= row.due || row.uploads >= UPLOADS) return false;
    this.put(turn, { ...row, uploads: row.uploads + 1 });
    return true;
  }

  /** False: it came too late, or another came before it. */
  opened(turn: Turn, id: string, sha256: string, bytes: number, agent: AgentRow | null): boolean {
    const row = this.rows.get(id);
    if (row === undefined || !awaitsOpening(row) || turn.now >= row.due) return false;
    this.end(turn, row, 'opened', { opening: { sha256, bytes, at: turn.now } });
    this.tick(turn, agent);
    return true;
  }

  // ── the session ──

  /** It said hello: what it may have missed is said again, and what waited for it has its time from now. */
  greeted(turn: Turn, agent: AgentRow): void {
    for (const row of this.rows.values()) {
      const { step, draft } = row;
      if (step === 'sent' || step === 'sampled') this.unsaid.add(draft.id);
      if (step !== 'announced') continue;
      if (turn.version < 2) this.end(turn, row, 'declined', { declined: 'protocol 1' });
      else this.put(turn, { ...row, due: Math.min(turn.now, draft.slot * 1000 + AWAY_MS) + WAIT_MS });
    }
    this.tick(turn, agent);
  }

  /** A session key of another run: the work that the one before was sent is lost. */
  loggedIn(turn: Turn, sessionKey: string | undefined): void {
    for (const row of this.rows.values()) {
      const lost = row.step === 'sent' && row.draft.device !== null && row.draft.login.sessionKey !== sessionKey;
      if (lost) this.end(turn, row, 'disconnected');
    }
    this.tell(turn);
  }

  // ── what the beacon and the record answer ──

  /** `randomness` null: there was none to be had now. */
  onPulse(turn: Turn, round: number, randomness: string | null, agent: AgentRow | null): void {
    this.pulses.answered(turn, round, randomness);
    this.tick(turn, agent);
  }

  /** What the record has taken, as it was told. */
  onTold(turn: Turn, told: readonly { id: string; ended: boolean }[]): void {
    for (const { id, ended } of told) {
      const row = this.rows.get(id);
      this.toldAt.delete(id);
      if (row !== undefined && row.untold && (row.step === 'ended') === ended) this.put(turn, { ...row, untold: false });
    }
    this.forget(turn);
    this.tell(turn);
  }

  tick(turn: Turn, agent: AgentRow | null): void {
    for (const row of this.rows.values()) this.step(turn, row, agent);
    this.pulses.keepOnly(new Set(this.running().map((row) => this.roundOf(row))));
    this.forget(turn);
    this.tell(turn);
  }

  private step(turn: Turn, row: ChallengeRow, agent: AgentRow | null): void {
    if (row.step === 'ended') return;
    if (turn.now >= row.due) return this.giveUp(turn, row);
    turn.wake(row.due);
    if (row.step === 'announced') this.stepAnnounced(turn, row, agent);
    if (row.step === 'committed') this.stepCommitted(turn, row);
    if (row.step === 'sent') this.tellSeed(turn, row);
    if (row.step === 'sampled') this.tellSample(turn, row);
  }

  private giveUp(turn: Turn, row: ChallengeRow): void {
    if (row.step === 'announced') return this.giveUpWaiting(turn, row);
    if (row.step === 'committed') return this.end(turn, row, 'no_pulse');
    if (row.step === 'sampled') return this.end(turn, row, 'no_opening');
    const missing = row.draft.device === null ? 'no_opening' : 'no_commit';
    return this.end(turn, row, turn.connected ? missing : 'disconnected');
  }

  private giveUpWaiting(turn: Turn, row: ChallengeRow): void {
    const until = row.draft.slot * 1000 + AWAY_MS;
    if (turn.connected || turn.now >= until) return this.end(turn, row, turn.connected ? 'no_pulse' : 'disconnected');
    this.put(turn, { ...row, due: until });
    turn.wake(until);
  }

  private stepAnnounced(turn: Turn, row: ChallengeRow, agent: AgentRow | null): void {
    const { login } = agent ?? {};
    const { chain } = this.judging;
    if (login === undefined || !turn.connected || !this.isItsTurn(row)) {
      if (row.waited !== true) this.put(turn, { ...row, waited: true });
      return;
    }
    // It went while its test waited: nobody can be asked for it.
    if (row.draft.instance !== null && !this.serves(row.draft.target)) return this.end(turn, row, 'disconnected');
    // Who knows what is due could have begun with a seed that is out, while it kept us waiting.
    if (row.waited === true || turn.now - publishedAt(chain, row.draft.round) > STALE_MS) {
      const { waited: _, ...rest } = row;
      row = { ...rest, draft: { ...row.draft, round: Math.max(row.draft.round, roundAt(chain, turn.now) + 1) } };
      this.put(turn, row);
    }
    const randomness = this.pulses.get(turn, row.draft.round, publishedAt(chain, row.draft.round));
    if (randomness !== null) this.send(turn, row, login);
  }

  /**
   * Two tests of one device at once would each see half of it. What is due goes first: who asks for one out of turn at the begin of a
   * flash must not make the device miss it.
   */
  private isItsTurn(row: ChallengeRow): boolean {
    if (row.draft.device === null) return true;
    const rivals = this.running().filter((other) => other.draft.target === row.draft.target);
    if (rivals.some((other) => other.step !== 'announced')) return false;
    return (rivals.find((other) => other.draft.scheduled) ?? rivals[0]) === row;
  }

  private send(turn: Turn, row: ChallengeRow, login: Login): void {
    const due = turn.now + (row.draft.device === null ? CHALLENGE_LIMITS.openMs : CHALLENGE_LIMITS.commitMs);
    const sent: ChallengeRow = { ...row, step: 'sent', due, draft: { ...row.draft, login, sent_at: turn.now } };
    this.put(turn, sent);
    turn.wake(due);
    this.unsaid.add(row.draft.id);
    this.tellSeed(turn, sent);
  }

  private tellSeed(turn: Turn, { draft, due }: ChallengeRow): void {
    const { id, kind, device, instance, target, profile, steps, round, agent } = draft;
    const randomness = this.sayable(turn, id, round);
    if (randomness === null) return;
    turn.tell({
      type: 'challenge',
      id,
      kind,
      target,
      profile,
      steps,
      round,
      randomness,
      withinMs: due - turn.now,
      device: device?.id ?? null,
      instance: instance?.instance ?? null,
      ...(device === null ? { token: this.judging.token(id, agent, due) } : {}),
    });
  }

  private stepCommitted(turn: Turn, row: ChallengeRow): void {
    const round = this.roundOf(row);
    if (this.pulses.get(turn, round, publishedAt(this.judging.chain, round)) === null) return;
    const due = turn.now + CHALLENGE_LIMITS.openMs;
    const sampled: ChallengeRow = { ...row, step: 'sampled', due, draft: { ...row.draft, sample: { round, sent_at: turn.now } } };
    this.put(turn, sampled);
    turn.wake(due);
    this.unsaid.add(row.draft.id);
    this.tellSample(turn, sampled);
  }

  private tellSample(turn: Turn, { draft, due }: ChallengeRow): void {
    const { id, agent, sample } = draft;
    const randomness = sample === null ? null : this.sayable(turn, id, sample.round);
    if (sample === null || randomness === null) return;
    turn.tell({ type: 'sample', id, round: sample.round, randomness, token: this.judging.token(id, agent, due), withinMs: due - turn.now });
  }

  /** The pulse of a message that is to be said once in this session; null: it was said, or cannot be said now. */
  private sayable(turn: Turn, id: string, round: number): string | null {
    const randomness = this.unsaid.has(id) && turn.connected ? this.pulses.get(turn, round, 0) : null;
    if (randomness !== null) this.unsaid.delete(id);
    return randomness;
  }

  /** The round that it waits for, or goes by: its samples' from the commit on. */
  private roundOf({ draft }: ChallengeRow): number {
    return draft.commit === null ? draft.round : roundAt(this.judging.chain, draft.commit.at) + 1;
  }

  // ── rows ──

  private isFull(scheduled: boolean): boolean {
    const alike = [...this.rows.values()].filter((row) => row.draft.scheduled === scheduled);
    const running = alike.filter((row) => row.step !== 'ended').length;
    return scheduled ? running >= CHALLENGE_LIMITS.runningPerAgent || alike.length >= ROWS : alike.length >= REPEATS;
  }

  private running(): ChallengeRow[] {
    return [...this.rows.values()].filter((row) => row.step !== 'ended');
  }

  private end(turn: Turn, row: ChallengeRow, end: Transcript['end'], more: Partial<Pick<Transcript, 'declined' | 'opening'>> = {}): void {
    this.put(turn, { ...row, step: 'ended', untold: true, draft: { ...row.draft, ...more, end, ended_at: turn.now } });
    this.unsaid.delete(row.draft.id);
  }

  private put(turn: Turn, row: ChallengeRow): void {
    if (row.untold) this.toldAt.delete(row.draft.id);
    this.rows.set(row.draft.id, row);
    turn.put(row);
  }

  /** Tells the record what it has not heard, and again what it did not acknowledge. */
  private tell(turn: Turn): void {
    const untold = [...this.rows.values()].filter((row) => row.untold);
    const due = untold.filter((row) => turn.now >= (this.toldAt.get(row.draft.id) ?? -Infinity) + RETRY_MS).slice(0, TOLD);
    for (const row of due) this.toldAt.set(row.draft.id, turn.now);
    if (due.length > 0) turn.do({ do: 'transcripts', drafts: due.map((row) => row.draft) });
    if (untold.length > 0) turn.wake(turn.now + RETRY_MS);
  }

  /** What is on record and of a slot that nobody can ask for any more. */
  private forget(turn: Turn): void {
    const keptMs = 2 * this.judging.suite.cadence.slotSeconds * 1000;
    const gone: string[] = [];
    for (const [id, row] of this.rows) {
      if (row.step !== 'ended' || row.untold) continue;
      const until = row.draft.slot * 1000 + keptMs;
      if (turn.now < until) turn.wake(until);
      else if (this.rows.delete(id)) gone.push(row.key);
    }
    if (gone.length > 0) turn.do({ do: 'delete', keys: gone });
  }
}

function awaitsOpening({ step, draft }: ChallengeRow): boolean {
  return step === 'sampled' || (step === 'sent' && draft.device === null);
}
