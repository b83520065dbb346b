/** Time to the first byte of a stream: alone, and while 100 streams run. */
import { micros } from '../clock.ts';
import type { Case } from '../context.ts';
import { Client, openStream } from '../load.ts';
import { percentile } from '../stats.ts';
import { sleep } from './tokens.ts';

export const firstAlone: Case = {
  name: 'first-alone',
  rounds: [12, 6],
  concurrency: 1,
  measure: async (context, target) => {
    const client = new Client(target);
    const number = context.nextRun();
    const waits: number[] = [];
    for (let index = 0; index < 20; index++) {
      const result = await openStream(client, { run: number, index, rate: 1000, tokens: 3 }, () => {}).done;
      if (result.end !== 'done') throw new Error(`${target.name}: stream ${result.end}: ${result.failure}`);
      waits.push(result.firstMicros);
    }
    client.close();
    return { p50_ms: percentile(waits, 0.5) / 1000 };
  },
};

/** 100 clients, each opening one stream after the other: 100 streams of 50 tokens a second are running at any time. */
export const firstBusy: Case = {
  name: 'first-busy',
  rounds: [3, 1],
  concurrency: 100,
  measure: async (context, target) => {
    const client = new Client(target);
    const number = context.nextRun();
    const waits: number[] = [];
    let failed = 0;
    let next = 0;
    const end = micros() + (context.quick ? 2.5e6 : 4e6);
    const loop = async (stagger: number) => {
      await sleep(stagger);
      while (micros() < end) {
        const result = await openStream(client, { run: number, index: next++, rate: 50, tokens: 40 }, () => {}).done;
        if (result.end === 'done') waits.push(result.firstMicros);
        else failed += 1;
        if (failed > 100) return;
      }
    };
    await Promise.all(Array.from({ length: 100 }, (_, i) => loop(i * 8)));
    client.close();
    if (failed > 0) context.note(`${target.name}: ${failed} streams failed while 100 were running`);
    return {
      p50_ms: percentile(waits, 0.5) / 1000,
      p99_ms: percentile(waits, 0.99) / 1000,
      failed,
    };
  },
};
