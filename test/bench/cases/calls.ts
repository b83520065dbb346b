/** Instant JSON calls: what one call waits at concurrency 1, and how many pass at concurrency 32. */
import { assertReached, CpuWatch, type Case, type Context, type Figures } from '../context.ts';
import { calls, Client, type CallLoad } from '../load.ts';
import { median, percentile } from '../stats.ts';
import type { Target } from '../targets/target.ts';

async function run(context: Context, target: Target, load: Omit<CallLoad, 'run'>): Promise<Figures> {
  const client = new Client(target);
  const number = context.nextRun();
  try {
    const cpu = new CpuWatch(target);
    const own = process.cpuUsage();
    const result = await calls(client, { ...load, run: number });
    const spent = cpu.spent();
    const used = process.cpuUsage(own);
    if (result.failed > 0)
      throw new Error(`${target.name}: ${result.failed} of ${result.sent} calls failed, first: ${result.failure}`);
    assertReached(target.name, { calls: result.sent, digest: result.digest }, await context.engine.record(number));
    return {
      p50_ms: median(result.latencies) / 1000,
      p99_ms: percentile(result.latencies, 0.99) / 1000,
      calls_s: result.latencies.length / result.seconds,
      edge_us: spent.edge / result.sent,
      path_us: spent.path / result.sent,
      load_busy: (used.user + used.system) / 1e6 / result.seconds,
    };
  } finally {
    client.close();
  }
}

/** Short blocks in many rounds, so that a disturbance of the machine hits every target alike. */
export const single: Case = {
  name: 'single',
  rounds: [24, 10],
  concurrency: 1,
  measure: (context, target) => run(context, target, { concurrency: 1, calls: 80, seconds: 2 }),
};

export const parallel: Case = {
  name: 'parallel',
  rounds: [5, 2],
  concurrency: 32,
  measure: (context, target) => run(context, target, { concurrency: 32, seconds: context.quick ? 1.2 : 2.5 }),
};
