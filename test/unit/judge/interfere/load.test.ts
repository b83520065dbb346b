/** How tokens of a load are counted, and what ends one that would not end by itself. */
import { expect, test } from 'vitest';
import { CLOCK, load, type Clock } from '../../../../validator-cron/interfere/load.ts';
import { ALICE, anInstance } from '../made.ts';

const probe = { kind: 'chat', method: 'POST', path: '/v1/chat/completions' } as const;
const ask = { drawn: { agent: 'agt_1', hotkey: ALICE, instance: anInstance(), probe }, rank: 'ab'.repeat(32), from: 1_000, to: 2_000 };
const never = new AbortController().signal;
/** Stands still at the begin of the load. */
const still: Clock = { now: () => 1_000, until: async (at) => (at > 1_000 ? new Promise(() => {}) : undefined) };

function bodyOf(chunks: Iterable<string>): ReadableStream<Uint8Array> {
  const left = chunks[Symbol.iterator]();
  return new ReadableStream({
    pull: (to) => {
      const { done, value } = left.next();
      if (done === true) to.close();
      else to.enqueue(new TextEncoder().encode(value));
    },
  });
}
/** One answer to each of the four, then none. */
async function counted(chunks: () => Iterable<string>): Promise<number[]> {
  let calls = 0;
  const call = async () => ((calls += 1) <= 4 ? new Response(bodyOf(chunks())) : new Response('', { status: 429 }));
  return (await load({ call }, ask, still, never)).tokens;
}

test.for([
  { what: 'whole events', chunks: ['data: a\n\n', 'data: b\n\n'], each: 2 },
  { what: 'events in one chunk', chunks: ['data: a\n\ndata: b\n\ndata: [DONE]\n\n'], each: 3 },
  { what: 'an event in pieces', chunks: ['d', 'at', 'a', ': a\n', '\n', 'dat', 'a: b'], each: 2 },
  { what: 'heartbeats', chunks: [': beat\n\n', ': beat\n\n'], each: 0 },
  { what: 'a token that says so', chunks: ['data: {"content":"data:"}\n\n'], each: 1 },
])('$what count as $each', async ({ chunks, each }) => {
  expect(await counted(() => chunks)).toEqual([4 * each, 0, 0, 0]);
});

test('an answer without end is not read to its end', async () => {
  let read = 0;
  const [first] = await counted(function* () {
    for (;;) yield ((read += 1), `data: ${'x'.repeat(64 * 1024)}\n\n`);
  });
  expect(first).toBeLessThan(40);
  expect(read).toBeLessThan(60);
});

test('a line breaks off, an instance refuses: what came until then is what is told', async () => {
  const call = async () => {
    throw new TypeError('gone');
  };
  expect((await load({ call }, ask, still, never)).tokens).toEqual([0, 0, 0, 0]);
});

test('the end of the tick ends a load', async () => {
  const over = new AbortController();
  const call = async (_: string, { signal }: { signal: AbortSignal }) =>
    new Promise<Response>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
      over.abort();
    });
  const times = { from: Date.now(), to: Date.now() + 3_600_000 };
  expect((await load({ call }, { ...ask, ...times }, CLOCK, over.signal)).tokens.every((n) => n === 0)).toBe(true);
});

test('the clock waits for a time, not for one that is over, and not beyond the signal', async () => {
  await CLOCK.until(0, never);
  await CLOCK.until(Date.now() + 3_600_000, AbortSignal.abort());
  const at = Date.now() + 5;
  await CLOCK.until(at, never);
  expect(CLOCK.now()).toBeGreaterThanOrEqual(at - 1);
});
