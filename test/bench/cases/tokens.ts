/** Token streams at a fixed rate: what a relayed token costs, how many of the tokens offered arrive, and when. */
import { addDigest, chatBody, WIDE_MODEL, type Ask } from '../ask.ts';
import { micros } from '../clock.ts';
import { assertReached, CpuWatch, type Case, type Context, type Figures } from '../context.ts';
import { Client, openStream, type OpenStream } from '../load.ts';
import { percentile } from '../stats.ts';
import type { Target } from '../targets/target.ts';

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

interface Steady {
  streams: number;
  /** Tokens per second and stream. */
  rate: number;
  /** Seconds over which streams are opened, before the window. */
  ramp: number;
  /** Seconds measured. */
  window: number;
}

async function steady(context: Context, target: Target, load: Steady): Promise<Figures> {
  const client = new Client(target);
  const number = context.nextRun();
  const tokens = Math.ceil(load.rate * (load.ramp + load.window) * 3);
  const latencies: number[] = [];
  const open: OpenStream[] = [];
  const ended: string[] = [];
  let digest = 0;
  let from = Number.POSITIVE_INFINITY;
  let until = Number.POSITIVE_INFINITY;
  const onToken = (latency: number, now: number) => {
    if (now >= from && now < until) latencies.push(latency);
  };
  try {
    for (let index = 0; index < load.streams; index++) {
      const ask: Ask = { run: number, index, rate: load.rate, tokens };
      digest = addDigest(digest, JSON.parse(chatBody(ask)) as Record<string, unknown>);
      const stream = openStream(client, ask, onToken);
      void stream.done.then((r) => r.end !== 'cancelled' && ended.push(`${r.end} ${r.failure}`));
      open.push(stream);
      if (index % 10 === 9) await sleep((load.ramp * 1000 * 10) / load.streams);
    }
    await sleep(300);
    const cpu = new CpuWatch(target);
    const own = process.cpuUsage();
    from = micros();
    await sleep(load.window * 1000);
    until = micros();
    const spent = cpu.spent();
    const used = process.cpuUsage(own);
    const seconds = (until - from) / 1e6;
    for (const stream of open) stream.cancel();
    const results = await Promise.all(open.map((s) => s.done));
    const broken = results.reduce((sum, r) => sum + r.broken, 0);
    if (ended.length > 0)
      context.note(`${target.name}: ${ended.length} of ${load.streams} streams ended before their time, first: ${ended[0]}`);
    if (broken > 0) context.note(`${target.name}: ${broken} tokens out of order`);
    const record = await context.engine.record(number);
    assertReached(`${target.name}, ${load.streams} streams`, { calls: load.streams, digest }, record);
    if (record.rateAsked !== load.streams * load.rate) throw new Error(`${target.name}: rate ${record.rateAsked} reached the engine`);
    return {
      delivered: latencies.length / (load.streams * load.rate * seconds),
      p50_ms: percentile(latencies, 0.5) / 1000,
      p99_ms: percentile(latencies, 0.99) / 1000,
      edge_us: spent.edge / latencies.length,
      path_us: spent.path / latencies.length,
      gathered: results.reduce((sum, r) => sum + r.tokens, 0) / results.reduce((sum, r) => sum + r.chunks, 0),
      load_busy: (used.user + used.system) / 1e6 / seconds,
      ended: ended.length,
      broken,
    };
  } finally {
    for (const stream of open) stream.cancel();
    client.close();
  }
}

/** Few streams, so that nothing is gathered: the price of one token on its own. */
export const light: Case = {
  name: 'light',
  rounds: [4, 2],
  concurrency: 20,
  measure: (context, target) => steady(context, target, { streams: 20, rate: 50, ramp: 0.2, window: context.quick ? 1.5 : 3 }),
};

/** 20,000 tokens a second offered over 200 streams. */
export const heavy: Case = {
  name: 'heavy',
  rounds: [4, 2],
  concurrency: 200,
  measure: (context, target) => steady(context, target, { streams: 200, rate: 100, ramp: 0.8, window: context.quick ? 2 : 4 }),
};

/** 512 streams at once, each checked token by token to its end. */
export const wide: Case = {
  name: 'wide',
  rounds: [2, 1],
  concurrency: 512,
  measure: async (context, target) => {
    const [streams, rate, tokens] = [512, 20, context.quick ? 40 : 80];
    const client = new Client(target);
    const number = context.nextRun();
    let digest = 0;
    const open: OpenStream[] = [];
    for (let index = 0; index < streams; index++) {
      const ask: Ask = { run: number, index, rate, tokens, model: WIDE_MODEL };
      digest = addDigest(digest, JSON.parse(chatBody(ask)) as Record<string, unknown>);
      open.push(openStream(client, ask, () => {}));
    }
    const timer = setTimeout(() => open.forEach((s) => s.cancel()), ((tokens / rate) * 2 + 8) * 1000);
    const results = await Promise.all(open.map((s) => s.done));
    clearTimeout(timer);
    client.close();
    const clean = results.filter((r) => r.end === 'done' && r.broken === 0);
    const bad = results.find((r) => r.end !== 'done' || r.broken > 0);
    if (bad !== undefined)
      context.note(
        `${target.name}, 512 streams: first that was not clean: ${bad.end}, ${bad.tokens} of ${tokens} tokens, ${bad.broken} out of order ${bad.failure}`,
      );
    else assertReached(`${target.name}, 512 streams`, { calls: streams, digest }, await context.engine.record(number));
    const got = results.reduce((sum, r) => sum + r.tokens, 0);
    return { clean: clean.length, lost: streams * tokens - got };
  },
};
