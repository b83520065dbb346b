/**
 * Requests with an Idempotency-Key. The first runs, those that come meanwhile join it, those that come later read what is
 * kept. A call is conducted here, in its payer's object, so that it outlives the client that began it.
 */
import type { Call } from '../../calls/call.ts';
import type { ByteSource, KeyClaim } from '../../calls/ports.ts';
import type { Reply } from '../../calls/pump.ts';
import { RipcordError, type ErrorCode, type ErrorDetail } from '../../errors.ts';
import type { Answered, Refused, ReplayCall, ReplayRequest, ToldAnswer, Unanswered } from './ask.ts';
import type { ReplayLimits } from './limits.ts';
import { Recording } from './recording.ts';
import { Run, type Clock } from './run.ts';
import { open, seal } from './seal.ts';
import { ReplayTable, type Asked, type ReplayEffect, type ReplayRow, type Verdict } from './table.ts';

/** Everything this touches. */
export interface Host extends Clock {
  rows(): ReplayRow[];
  /** Written before anything leaves the object; null: without a (new) answer. */
  put(row: ReplayRow, sealed: Uint8Array | null): void;
  drop(name: string): void;
  sealed(name: string): Uint8Array | null;
  /** The time of the next sweep may have changed. */
  arm(): void;
  registered(): boolean;
  /** Null: the key is alive and may do this; it costs one of its rate. */
  refusal(claim: KeyClaim, scope: 'invoke' | 'any'): Promise<{ code: ErrorCode; detail: ErrorDetail } | null>;
  /** Tells when the Account agreed, before anything is dispatched, and when an instance may have seen the call. */
  conduct(call: Call, opened: () => void, attempted: () => void): Promise<Reply>;
  background(work: Promise<void>): void;
}

export class Replays {
  private readonly host: Host;
  private readonly limits: ReplayLimits;
  private readonly table: ReplayTable;
  private readonly running = new Map<string, Run>();
  /** Every recording in memory: of what runs, and of what is still read. */
  private readonly recordings = new Set<Recording>();
  /** Kept answers that are being read: one copy for all who do. */
  private readonly kept = new Map<string, Recording>();
  private armedFor: number | null;

  constructor(host: Host, limits: ReplayLimits) {
    this.host = host;
    this.limits = limits;
    this.table = new ReplayTable(limits, host.rows());
    this.armedFor = this.table.due;
  }

  /** Unix milliseconds when `sweep` should be called; null: never. */
  get due(): number | null {
    return this.armedFor;
  }

  /** A call: its answer from the start, whoever runs it. */
  async call({ name, print, key, call }: ReplayCall): Promise<Answered<ByteSource>> {
    if (this.table.knows(name, this.host.now())) {
      const refusal = await this.host.refusal(call.claim, 'invoke');
      if (refusal !== null) return { kind: 'refused', ...refusal };
    }
    const bytes = call.body?.byteLength ?? 0;
    const verdict = this.judge({ name, print, bytes });
    if (verdict.do !== 'run') return this.known(verdict, name, key);
    const run = this.start({ name, print, bytes }, call.id);
    const answer = run.recording.read();
    this.host.background(this.conduct(name, key, run, { ...call, signal: run.left.signal }));
    return { kind: 'answer', call: run.call, answer };
  }

  /** A request that the Worker answers: the first asker is told to, the others wait for what comes of it. */
  async request({ name, print, key, call, claim, bytes }: ReplayRequest): Promise<Answered<ByteSource> | Unanswered> {
    if (!this.host.registered()) return { kind: 'unkept' };
    const refusal = claim === null ? null : await this.host.refusal(claim, 'any');
    if (refusal !== null) return { kind: 'refused', ...refusal };
    const verdict = this.judge({ name, print, bytes });
    // The Worker asks again where it got no answer.
    if (verdict.do === 'join' && verdict.call === call) return { kind: 'yours' };
    if (verdict.do !== 'run') return this.known(verdict, name, key);
    const run = this.start({ name, print, bytes }, call);
    run.opened = run.attempted = true;
    this.apply(this.table.opened(name));
    this.host.background(this.awaitAnswer(name, run));
    return { kind: 'yours' };
  }

  /** What came of a request. */
  async answered({ name, call, key, answer, keep }: ToldAnswer): Promise<void> {
    const run = this.running.get(name);
    if (run?.call !== call) return;
    run.attempted = keep;
    run.left.abort(); // it is told
    await run.recording.write(answer);
    await this.finished(name, key, run);
  }

  sweep(): void {
    this.apply(this.table.sweep(this.host.now()));
  }

  // ── what is known ──

  private judge(asked: Asked): Verdict {
    const readers = [...this.recordings].reduce((sum, recording) => sum + recording.readers, 0);
    const bodies = [...this.running.values()].reduce((sum, run) => sum + run.bodyBytes, 0);
    const heldBytes = [...this.recordings].reduce((sum, recording) => sum + recording.held, bodies);
    return this.table.judge(asked, { heldBytes, readers }, this.host.now());
  }

  private async known(verdict: Exclude<Verdict, { do: 'run' }>, name: string, key: Uint8Array): Promise<Answered<ByteSource>> {
    switch (verdict.do) {
      case 'refuse':
        return refused(verdict);
      case 'join': {
        const run = this.running.get(name);
        if (run === undefined) throw new RipcordError('internal');
        return { kind: 'answer', call: run.call, answer: run.recording.read() };
      }
      case 'read': {
        const recording = this.kept.get(name) ?? (await this.reopened(verdict.row, key));
        return { kind: 'answer', call: verdict.row.call, answer: recording.read() };
      }
    }
  }

  /** A kept answer, as if it had just been recorded. */
  private async reopened({ name, call, cut }: ReplayRow, key: Uint8Array): Promise<Recording> {
    const sealed = this.host.sealed(name);
    if (sealed === null) throw new RipcordError('internal');
    const bytes = await open(key, `${name}\n${call}`, sealed);
    const other = this.kept.get(name);
    if (other !== undefined) return other;
    const recording = new Recording(this.limits, { outgrew: () => {}, readers: () => this.release(name, recording) });
    await recording.write(bytes);
    recording.finish(cut ? 'cut' : 'end');
    this.recordings.add(recording);
    this.kept.set(name, recording);
    return recording;
  }

  /** What is over and not read any more need not be in memory. */
  private release(name: string, recording: Recording): void {
    if (recording.running || recording.readers > 0) return;
    this.recordings.delete(recording);
    if (this.kept.get(name) === recording) this.kept.delete(name);
  }

  // ── what runs ──

  private start({ name, print, bytes }: Asked, call: string): Run {
    const run = new Run(call, bytes, this.limits, this.host, {
      outgrew: () => this.apply(this.table.outgrew(name)),
      unread: () => this.release(name, run.recording),
    });
    this.table.start(name, print, call, this.host.now());
    this.running.set(name, run);
    this.recordings.add(run.recording);
    return run;
  }

  private async conduct(name: string, key: Uint8Array, run: Run, call: Call): Promise<void> {
    const opened = (): void => {
      run.opened = true;
      this.apply(this.table.opened(name));
    };
    try {
      await run.record(await this.host.conduct(call, opened, () => (run.attempted = true)));
    } catch (error) {
      await run.fail(error);
    }
    await this.finished(name, key, run);
  }

  /**
   * The answer is complete, and kept if anything happened. Only then its readers are told of the end, so that whoever saw
   * all of an answer gets it again; until then others still join.
   */
  private async finished(name: string, key: Uint8Array, run: Run): Promise<void> {
    try {
      if (run.recording.tooLarge) return;
      if (run.opened && run.attempted) await this.keep(name, key, run);
      else this.apply(this.table.forget(name));
    } finally {
      this.end(name, run);
    }
  }

  private end(name: string, run: Run): void {
    this.running.delete(name);
    run.finish();
    this.release(name, run.recording);
  }

  private async keep(name: string, key: Uint8Array, { call, recording, cut }: Run): Promise<void> {
    try {
      const sealed = await seal(key, `${name}\n${call}`, recording.whole());
      this.apply(this.table.done(name, sealed.byteLength, cut, this.host.now()), sealed);
    } catch {
      this.apply(this.table.lost(name));
    }
  }

  /** The Worker that was to answer may be gone. */
  private async awaitAnswer(name: string, run: Run): Promise<void> {
    const told = await this.host.sleep(this.limits.requestMs, run.left.signal).then(
      () => false,
      () => true,
    );
    if (told) return;
    this.apply(this.table.lost(name));
    await run.fail(unknownOutcome());
    this.end(name, run);
  }

  private apply(effects: ReplayEffect[], sealed: Uint8Array | null = null): void {
    for (const effect of effects) {
      if (effect.kind === 'put') this.host.put(effect.row, sealed);
      else this.host.drop(effect.name);
    }
    if (this.table.due === this.armedFor) return;
    this.armedFor = this.table.due;
    this.host.arm();
  }
}

function refused({ code, call, retryAfterMs }: Extract<Verdict, { do: 'refuse' }>): Refused {
  const hint = call === undefined ? {} : { hint: `GET /calls/${call} tells what it came to.` };
  const detail = { ...(code === 'outcome_unknown' ? unknownOutcome().detail : {}), ...hint };
  return {
    kind: 'refused',
    code,
    detail: retryAfterMs === undefined ? detail : { ...detail, retryAfterMs },
    ...(call === undefined ? {} : { call }),
  };
}

function unknownOutcome(): RipcordError {
  return new RipcordError('outcome_unknown', {
    message: 'The edge lost this request while it ran; it is not run again under this Idempotency-Key.',
  });
}
