/** A client that leaves in the middle of a stream: when the engine sees it, while 50 other streams run. */
import type { Case } from '../context.ts';
import { Client, openStream, type OpenStream } from '../load.ts';
import { percentile } from '../stats.ts';
import { sleep } from './tokens.ts';

const BACKGROUND = 50;

export const cancel: Case = {
  name: 'cancel',
  rounds: [3, 1],
  concurrency: BACKGROUND + 10,
  measure: async (context, target) => {
    const client = new Client(target);
    const background = context.nextRun();
    const number = context.nextRun();
    const others: OpenStream[] = [];
    for (let index = 0; index < BACKGROUND; index++)
      others.push(openStream(client, { run: background, index, rate: 50, tokens: 5000 }, () => {}));
    const leftAt: number[] = [];
    const loop = async (worker: number) => {
      for (let k = 0; k < (context.quick ? 6 : 12); k++) {
        const index = worker * 100 + k;
        let seen = 0;
        const { promise: midway, resolve } = Promise.withResolvers<void>();
        const stream = openStream(client, { run: number, index, rate: 50, tokens: 2000 }, () => (seen += 1) === 3 && resolve());
        const result = await Promise.race([midway, stream.done]);
        if (result !== undefined) throw new Error(`${target.name}: stream ${result.end}: ${result.failure}`);
        leftAt[index] = stream.cancel();
      }
    };
    try {
      await Promise.all(Array.from({ length: 10 }, (_, worker) => loop(worker)));
      await sleep(1000);
    } finally {
      for (const stream of others) stream.cancel();
      client.close();
    }
    const { cancelled } = await context.engine.record(number);
    const waits = leftAt.map((at, index) => (cancelled[index] ?? Number.POSITIVE_INFINITY) - at).filter((wait) => !Number.isNaN(wait));
    return {
      p50_ms: percentile(waits, 0.5) / 1000,
      p99_ms: percentile(waits, 0.99) / 1000,
      unseen: waits.filter((w) => w === Number.POSITIVE_INFINITY).length,
    };
  },
};
