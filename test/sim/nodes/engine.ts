/** The programs of one agent: each attempt gets a reply by its script, paced by virtual time and by the agent. */
import type { OpenCall } from '#protocol';
import type { CoreEvent } from '../../../miner-agent/connection/events.ts';
import type { Script } from '../script.ts';
import type { Sim } from '../sim.ts';

interface Running {
  open: OpenCall;
  script: Script;
  next: number;
  paused: boolean;
  /** A piece is due, but held. */
  due: boolean;
  body: number;
}

export class EngineNode {
  private readonly running = new Map<string, Running>();
  private readonly sim: Sim;
  private readonly emit: (event: CoreEvent) => void;

  constructor(sim: Sim, emit: (event: CoreEvent) => void) {
    this.sim = sim;
    this.emit = emit;
  }

  call(open: OpenCall): void {
    const script = this.sim.oracle.engineCalled(open);
    const run: Running = { open, script, next: 0, paused: false, due: false, body: 0 };
    this.running.set(open.attempt, run);
    if (script.end === 'refused')
      this.later(run, script.headMs, () =>
        this.over(run, { type: 'broken', attempt: open.attempt, code: 'engine_unreachable', message: 'no reply' }),
      );
  }

  write(attempt: string, bytes: Uint8Array): void {
    const run = this.running.get(attempt);
    if (run !== undefined) run.body += bytes.byteLength;
    this.sim.clock.after(this.sim.random.int(0, 3), () => this.emit({ type: 'taken', attempt, bytes: bytes.byteLength }));
  }

  finish(attempt: string): void {
    const run = this.running.get(attempt);
    if (run === undefined || run.script.end === 'refused') return;
    this.sim.oracle.engineGot(attempt, run.body);
    this.later(run, run.script.headMs, () => {
      this.emit({ type: 'head', attempt, status: run.script.status, headers: run.script.headers });
      this.plan(run);
    });
  }

  pause(attempt: string): void {
    const run = this.running.get(attempt);
    if (run !== undefined) run.paused = true;
    this.sim.trace.add(this.sim.now, 'engine.paused', attempt);
  }

  continue(attempt: string): void {
    const run = this.running.get(attempt);
    if (run === undefined) return;
    run.paused = false;
    if (run.due) this.piece(run);
  }

  cancel(attempt: string): void {
    if (this.running.delete(attempt)) this.sim.trace.add(this.sim.now, 'engine.cancelled', attempt);
  }

  /** The program ended. */
  clear(): void {
    this.running.clear();
  }

  private plan(run: Running): void {
    const { script, open } = run;
    const piece = script.pieces[run.next];
    if (piece !== undefined) return this.later(run, piece.afterMs, () => this.piece(run));
    if (script.end === 'end') this.later(run, 0, () => this.over(run, { type: 'end', attempt: open.attempt }));
    if (script.end === 'break')
      this.later(run, 1, () => this.over(run, { type: 'broken', attempt: open.attempt, code: 'engine_error', message: 'the reply broke' }));
  }

  private piece(run: Running): void {
    run.due = run.paused;
    if (run.paused) return;
    const piece = run.script.pieces[run.next++];
    if (piece !== undefined) this.emit({ type: 'data', attempt: run.open.attempt, bytes: piece.bytes });
    this.plan(run);
  }

  private over(run: Running, event: CoreEvent): void {
    this.running.delete(run.open.attempt);
    this.emit(event);
  }

  private later(run: Running, ms: number, what: () => void): void {
    this.sim.clock.after(ms, () => {
      if (this.running.get(run.open.attempt) === run) what();
    });
  }
}
