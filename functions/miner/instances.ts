/** What runs on the agent: claims and grants, reports, and the slots of each instance. Its Chute has the last word on each. */
import { LIMITS, ProtocolError, type InstanceReport, type StopReason, type VersionSpec } from '#protocol';
import type { CallId, ClaimAnswer, ReportAnswer } from '../calls/ports.ts';
import { Loads } from './loads.ts';
import { Owed } from './owed.ts';
import { instanceRowKey, type InstanceRow } from './rows.ts';
import { Slots } from './slots.ts';
import type { Turn } from './turn.ts';

/** Claims an agent may have in flight. */
const CLAIMS = 64;
/** Milliseconds after which an agent that runs all it may asks again. */
const FULL_RETRY_MS = 60_000;
/** Milliseconds after which an agent whose gate is shut asks again at the latest. */
const SHUT_RETRY_MS = 3_600_000;
/** What Chutes hear of its instances then. */
const GATED = 'a judge keeps paid calls away';

export class Instances {
  readonly slots = new Slots();
  private readonly owed = new Owed();
  private readonly loads = new Loads();
  private readonly claims = new Map<string, string>();
  /** Unix ms until which nothing may run here; null: no judge keeps anything away. */
  private shutUntil: number | null = null;

  restore(row: InstanceRow): void {
    this.slots.put(row);
  }

  /** The agent's word on what runs replaces ours. Returns the instances that are gone. */
  reconcile(turn: Turn, reports: readonly InstanceReport[]): string[] {
    this.owed.back();
    const told = new Set(reports.map((r) => r.instance));
    const gone = this.slots.all().filter((known) => !told.has(known.instance));
    for (const known of gone) this.drop(turn, known, { state: 'stopped', detail: 'not running any more' });
    for (const report of reports) this.report(turn, report);
    return gone.map((known) => known.instance);
  }

  /** The socket went: nobody waits for the answers to its claims. */
  disconnected(): void {
    this.claims.clear();
  }

  claim(turn: Turn, ref: string, chute: string, version: string): void {
    if (this.claims.has(ref)) throw new ProtocolError('state', 'a claim with this ref is in flight');
    if (this.claims.size >= CLAIMS) throw new ProtocolError('limit', 'too many claims in flight');
    if (this.shutUntil !== null) {
      turn.tell({ type: 'refusal', ref, code: 'cooling_down', retryAfterMs: Math.min(SHUT_RETRY_MS, this.shutUntil - turn.now) });
      return;
    }
    if (this.slots.size + this.claims.size >= LIMITS.instances) {
      turn.tell({ type: 'refusal', ref, code: 'not_eligible', retryAfterMs: FULL_RETRY_MS });
      return;
    }
    this.claims.set(ref, chute);
    turn.do({ do: 'claim', chute, version, ref });
  }

  claimAnswered(turn: Turn, ref: string, answer: ClaimAnswer): void {
    const chute = this.claims.get(ref);
    if (chute === undefined) return;
    this.claims.delete(ref);
    if (answer.kind === 'refusal') {
      turn.tell({ type: 'refusal', ref, code: answer.code, retryAfterMs: answer.retryAfterMs });
      return;
    }
    const { instance, deadlineMs, spec, sealed, bounty = 0 } = answer;
    this.put(turn, {
      instance,
      chute,
      version: spec.version,
      slots: spec.config.concurrency,
      state: 'starting',
      code: spec.code === null ? null : { sha256: spec.code.sha256, account: spec.account },
      ...filesOf(spec),
    });
    const more = { ...(sealed === undefined ? {} : { sealed }), ...(bounty === 0 ? {} : { bounty }) };
    turn.tell({ type: 'grant', ref, instance, deadlineMs, spec, ...more });
  }

  /** Returns true when the instance ended, with whatever ran on it. */
  report(turn: Turn, report: InstanceReport): boolean {
    const known = this.slots.get(report.instance);
    if (known === undefined && this.owed.full) throw new ProtocolError('limit', 'too many reports in flight');
    if (report.state === 'failed' || report.state === 'stopped') {
      if (known === undefined) this.owed.send(turn, { do: 'report', chute: report.chute, report, busy: 0 });
      else this.drop(turn, known, report);
      return known !== undefined;
    }
    if (this.shutUntil !== null && report.state !== 'draining') return this.refuse(turn, report);
    const same = known?.chute === report.chute && known.version === report.version;
    // A draining instance never takes calls again, whatever the agent says of it.
    if (same && known.state !== report.state && known.state !== 'draining') this.put(turn, { ...known, state: report.state });
    this.owed.send(turn, { do: 'report', chute: report.chute, report, busy: this.slots.busy(report.instance) });
    return false;
  }

  reportAnswered(turn: Turn, report: InstanceReport, answer: ReportAnswer): void {
    this.owed.reportArrived(report);
    if (report.state === 'failed' || report.state === 'stopped') return;
    const known = this.slots.get(report.instance);
    if (!answer.known) {
      if (known !== undefined) this.put(turn, { ...known, state: 'draining' });
      turn.tell({ type: 'stop', instance: report.instance, reason: 'unknown_instance', noticeMs: 0 });
      return;
    }
    const { instance, chute, version, state } = report;
    if (known === undefined) this.put(turn, { instance, chute, version, slots: answer.slots, state, code: null });
    else if (known.slots !== answer.slots) this.put(turn, { ...known, slots: answer.slots });
  }

  stop(turn: Turn, instance: string, reason: StopReason, noticeMs: number): void {
    const known = this.slots.get(instance);
    if (known !== undefined) this.put(turn, { ...known, state: 'draining' });
    turn.tell({ type: 'stop', instance, reason, noticeMs });
  }

  /** Until then (unix ms) nothing serves here. What serves now may finish within `noticeMs`, and its Chutes look for others at once. */
  shut(turn: Turn, until: number, noticeMs: number): void {
    this.shutUntil = until;
    for (const { instance, chute, version, state } of this.slots.all()) {
      if (state !== 'draining') this.report(turn, { instance, chute, version, state: 'draining', detail: GATED });
      this.stop(turn, instance, 'gated', noticeMs);
    }
  }

  /** An object that starts again: it was shut before. */
  keepShut(until: number): void {
    this.shutUntil = until;
  }

  open(): void {
    this.shutUntil = null;
  }

  get isShut(): boolean {
    return this.shutUntil !== null;
  }

  /** What an agent says it runs while its gate is shut. */
  private refuse(turn: Turn, report: InstanceReport): boolean {
    const ended = this.report(turn, { ...report, state: 'draining', detail: GATED });
    this.stop(turn, report.instance, 'gated', 0);
    return ended;
  }

  /** The agent leaves: no instance takes another call, and their Chutes look for others at once. */
  drain(turn: Turn): void {
    for (const { instance, chute, version } of this.slots.all()) {
      this.report(turn, { instance, chute, version, state: 'draining', detail: 'the agent drains' });
    }
  }

  tellGone(turn: Turn): void {
    for (const chute of new Set(this.slots.all().map((i) => i.chute))) this.owed.send(turn, { do: 'gone', chute });
  }

  goneTold(chute: string): void {
    this.owed.goneArrived(chute);
  }

  /** An attempt's slot is free: a Chute with waiting calls is offered it first. */
  release(turn: Turn, instance: string, attempt: string): void {
    const offer = this.slots.release(instance, attempt, turn.now);
    if (offer !== null) turn.do({ do: 'freed', ...offer });
    this.wakeForSlots(turn);
    this.noteLoad(turn, instance);
  }

  noteLoad(turn: Turn, instance: string): void {
    const it = this.slots.get(instance);
    if (it !== undefined) this.loads.note(turn, it, this.slots.busy(instance));
  }

  /** An attempt on it was settled. */
  earned(turn: Turn, instance: string, nanousd: number): void {
    const it = this.slots.get(instance);
    if (it !== undefined) this.loads.earn(turn, it, nanousd, this.slots.busy(instance));
  }

  freedAnswered(turn: Turn, instance: string, offer: number, call: CallId | null): void {
    this.slots.answered(instance, offer, call, turn.now);
    this.wakeForSlots(turn);
  }

  keep(turn: Turn, instance: string, version: string, call: CallId): boolean {
    const kept = turn.connected && this.slots.keep(instance, version, call, turn.now);
    this.wakeForSlots(turn);
    return kept;
  }

  reserve(turn: Turn, instance: string, call: CallId): boolean {
    const kept = turn.connected && this.slots.reserve(instance, call, turn.now);
    this.wakeForSlots(turn);
    return kept;
  }

  unreserve(turn: Turn, instance: string, call: CallId): void {
    const offer = this.slots.unreserve(instance, call, turn.now);
    if (offer !== null) turn.do({ do: 'freed', ...offer });
    this.wakeForSlots(turn);
  }

  tick(turn: Turn): void {
    for (const offer of this.slots.tick(turn.now)) turn.do({ do: 'freed', ...offer });
    this.wakeForSlots(turn);
    this.loads.tick(turn, (instance) => this.slots.busy(instance));
    this.owed.tick(turn);
  }

  private drop(turn: Turn, known: InstanceRow, end: Pick<InstanceReport, 'state' | 'detail'>): void {
    this.slots.remove(known.instance);
    this.loads.forget(known.instance);
    turn.do({ do: 'delete', keys: [known.key] });
    const { instance, chute, version } = known;
    this.owed.send(turn, { do: 'report', chute, report: { instance, chute, version, ...end }, busy: 0 });
  }

  private put(turn: Turn, it: Omit<InstanceRow, 'kind' | 'key'>): void {
    const row: InstanceRow = { ...rowOf(it), kind: 'instance', key: instanceRowKey(it.instance) };
    this.slots.put(row);
    turn.put(row);
  }

  private wakeForSlots(turn: Turn): void {
    const at = this.slots.nextAt();
    if (at !== null) turn.wake(at);
  }
}

/** Without what slots keep beside it. */
function rowOf({ instance, chute, version, slots, state, code, manifest, weights }: Omit<InstanceRow, 'kind' | 'key'>) {
  return {
    instance,
    chute,
    version,
    slots,
    state,
    code,
    ...(manifest === undefined ? {} : { manifest }),
    ...(weights === undefined ? {} : { weights }),
  };
}

/** What challenges may ask an instance of this version for. Only public chutes: transcripts are for everybody to read. */
function filesOf({ code, config }: VersionSpec): Pick<InstanceRow, 'manifest' | 'weights'> {
  if (!config.public) return {};
  const { manifest } = code ?? {};
  const { weights } = config;
  return {
    ...(manifest === undefined ? {} : { manifest }),
    ...(weights === undefined ? {} : { weights: { root: weights.root, leaves: weights.leaves } }),
  };
}
