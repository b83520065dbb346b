/** Many seeds, one after another, until one breaks an invariant. */
import { Sim } from './sim.ts';

export interface BatchResult {
  runs: number;
  calls: number;
  /** The fewest calls and faults of any run. */
  leastCalls: number;
  leastFaults: number;
  faults: Record<string, number>;
  events: Record<string, number>;
  /** Over the traces of all runs. */
  hash: string;
  wallMs: number;
  failure: { seed: number; message: string; last: string[] } | null;
}

export async function runSeeds(from: number, runs: number): Promise<BatchResult> {
  const startedAt = performance.now();
  const result: BatchResult = {
    runs: 0,
    calls: 0,
    leastCalls: Infinity,
    leastFaults: Infinity,
    faults: {},
    events: {},
    hash: '',
    wallMs: 0,
    failure: null,
  };
  let hash = 0x811c9dc5;
  for (let seed = from; seed < from + runs && result.failure === null; seed++) {
    const sim = new Sim(seed, false);
    try {
      await sim.run();
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      result.failure = { seed, message, last: sim.trace.last(60) };
    }
    result.runs++;
    result.calls += sim.oracle.calls.size;
    result.leastCalls = Math.min(result.leastCalls, sim.oracle.calls.size);
    result.leastFaults = Math.min(result.leastFaults, sim.faults.total);
    for (const [kind, count] of sim.faults.fired) result.faults[kind] = (result.faults[kind] ?? 0) + count;
    for (const [kind, count] of sim.trace.counts) if (!kind.startsWith('FAULT.')) result.events[kind] = (result.events[kind] ?? 0) + count;
    for (const unit of sim.trace.hash) hash = Math.imul(hash ^ unit.charCodeAt(0), 0x01000193);
  }
  result.hash = (hash >>> 0).toString(16).padStart(8, '0');
  result.wallMs = performance.now() - startedAt;
  return result;
}

/** One line per kind, by name. */
export function listed(counts: Record<string, number>): string {
  const entries = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([kind, count]) => `${kind.padEnd(34)} ${count}`).join('\n');
}
