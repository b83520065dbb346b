/** Instant JSON calls: what one waits alone, how many pass at 32 in flight, and how fast a large reply comes. */
import { MODEL } from '../ask.ts';
import { micros } from '../clock.ts';
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
    if (result.failed > 0) throw new Error(`${target.name}: ${result.failed} of ${result.sent} calls failed, first: ${result.failure}`);
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

/** Replies of about half a megabyte: 64 embeddings of 384 numbers, four calls in flight. */
export const large: Case = {
  name: 'large',
  rounds: [3, 1],
  concurrency: 4,
  measure: async (context, target) => {
    const body = JSON.stringify({
      model: MODEL,
      input: Array.from({ length: 64 }, (_, i) => `text number ${i}`),
      dimensions: 384,
    });
    const client = new Client(target);
    const cpu = new CpuWatch(target);
    const begin = micros();
    const end = begin + (context.quick ? 1e6 : 2e6);
    let bytes = 0;
    const loop = async () => {
      while (micros() < end) {
        const text = await client.call(body, '/v1/embeddings');
        if (!text.startsWith('{') || !text.endsWith('}')) throw new Error(`${target.name}: a large reply came broken`);
        bytes += text.length;
      }
    };
    await Promise.all(Array.from({ length: 4 }, loop));
    client.close();
    return { mb_s: bytes / (micros() - begin), path_us: cpu.spent().path / (bytes / 1e6) };
  },
};
