/** Sockets of idle agents: memory and descriptors of each, and how fast all are back after the edge was killed. */
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { Figures } from '../context.ts';
import { cpuMicros, descriptors, residentBytes } from '../measure.ts';
import { start } from '../spawn.ts';

/** An edge that can be killed and started again on its address. */
export interface IdleEdge {
  mode: 'floor' | 'ripcord';
  origin: string;
  pid(): number;
  /** SIGKILL, then start again; resolves when it listens. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

interface Opened {
  open: number;
  refused: number;
  retryAfterMs: number;
  failure: string;
  seconds: number;
}

interface Back {
  firstMs: number;
  allMs: number | null;
  back: number;
  of: number;
}

/** Figures per count of agents, e.g. `kib_1000`; the last count is the one that survives the kill. */
export async function measureIdle(edge: IdleEdge, counts: readonly number[], note: (text: string) => void): Promise<Figures> {
  const agents = await start(process.execPath, [join(import.meta.dirname, 'agents.ts'), edge.mode, edge.origin]);
  const { stdin, stdout } = agents.child;
  if (stdin === null || stdout === null) throw new Error('agents without pipes');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const ask = (command: object) => stdin.write(`${JSON.stringify(command)}\n`);
  const answer = async <T>() => JSON.parse((await lines.next()).value ?? 'null') as T;
  const figures: Figures = {};
  try {
    const empty = { bytes: residentBytes(edge.pid()), fds: descriptors(edge.pid()) };
    for (const count of counts) {
      const cpu = cpuMicros(edge.pid());
      const had = figures['open'] ?? 0;
      ask({ open: count });
      const opened = await answer<Opened>();
      if (opened.open < count)
        note(`${edge.mode}: ${opened.open} of ${count} idle agents, ${opened.refused} not let in (${opened.failure})`);
      figures['open'] = opened.open;
      figures[`kib_${count}`] = (residentBytes(edge.pid()) - empty.bytes) / 1024 / opened.open;
      figures[`fds_${count}`] = (descriptors(edge.pid()) - empty.fds) / opened.open;
      figures[`login_us_${count}`] = (cpuMicros(edge.pid()) - cpu) / Math.max(1, opened.open - had);
      figures[`logins_s_${count}`] = (opened.open - had) / opened.seconds;
    }
    ask({ watch: 1 });
    const back = answer<Back>();
    await edge.restart();
    const { firstMs, allMs, back: count, of } = await back;
    figures['first_back_ms'] = firstMs;
    figures['all_back_ms'] = allMs ?? Number.POSITIVE_INFINITY;
    if (allMs === null) note(`${edge.mode}: ${count} of ${of} idle agents were back in time after the kill`);
    return figures;
  } finally {
    await agents.stop();
  }
}
