/** What every case works with: the engine, the targets, the size of the run, and how a run is proven fair. */
import type { Proc } from './spawn.ts';
import { start } from './spawn.ts';
import { join } from 'node:path';
import type { RunRecord } from './engine.ts';
import { cpuMicros } from './measure.ts';
import type { Target } from './targets/target.ts';

export interface Engine {
  origin: string;
  process: Proc;
  /** What reached the engine in a run; asking forgets it. */
  record(run: number): Promise<RunRecord>;
}

export async function startEngine(): Promise<Engine> {
  const process_ = await start(process.execPath, [join(import.meta.dirname, 'engine.ts')]);
  const origin = `http://127.0.0.1:${(JSON.parse(process_.line) as { port: number }).port}`;
  const record = async (run: number) => (await (await fetch(`${origin}/bench/run?run=${run}`)).json()) as RunRecord;
  return { origin, process: process_, record };
}

export interface Context {
  engine: Engine;
  quick: boolean;
  /** Unix milliseconds after which no new round begins. */
  deadline: number;
  nextRun(): number;
  /** Something a reader of the figures must know. */
  note: (text: string) => void;
}

/** One figure per name; a case gives the same names for every target. NaN: could not be measured. */
export type Figures = Record<string, number>;

export interface Case {
  name: string;
  /** Rounds of a full and of a quick run. */
  rounds: [number, number];
  /** Most calls it has open at a time; a target that takes fewer is left out. */
  concurrency: number;
  measure(context: Context, target: Target, round: number): Promise<Figures>;
}

/** CPU time of a target's processes by role since `begin`, in microseconds. */
export class CpuWatch {
  readonly #target: Target;
  #begin: number[];
  constructor(target: Target) {
    this.#target = target;
    this.#begin = this.#read();
  }
  restart(): void {
    this.#begin = this.#read();
  }
  /** `edge` is workerd; a gateway stands in for it where there is no edge. `path` is all of it. */
  spent(): { edge: number; path: number } {
    const spent = this.#read().map((now, i) => now - (this.#begin[i] ?? 0));
    const path = spent.reduce((a, b) => a + b, 0);
    const edge = this.#target.processes.reduce((sum, p, i) => (p.role === 'agent' ? sum : sum + (spent[i] ?? 0)), 0);
    return { edge, path };
  }
  #read(): number[] {
    return this.#target.processes.map((p) => cpuMicros(p.pid));
  }
}

/** Throws if a run did not reach the engine as it was sent: every figure of an unfair run is worthless. */
export function assertReached(what: string, sent: { calls: number; digest: number }, record: RunRecord): void {
  if (record.calls !== sent.calls) throw new Error(`${what}: ${sent.calls} calls sent, ${record.calls} reached the engine`);
  if (record.digest !== sent.digest) throw new Error(`${what}: other bodies reached the engine than were sent`);
}
