/** The stream of a warm-up: one event per change, an end, and bounds on how many there are and how long one lasts. */
import { afterEach, expect, test } from 'vitest';
import { WARM_STREAMS, warmStream } from '../../../functions/api/warm-stream.ts';
import type { Phase, WarmView } from '../../../functions/chute/warm-view.ts';

let clock: { now: () => number; wait: (ms: number) => Promise<void> } = { now: () => 0, wait: async () => {} };
/** Leaves every stream of a test. */
let left = new AbortController();

afterEach(() => {
  left.abort();
  left = new AbortController();
});

function view(phase: Phase, waiting_ms = 0): WarmView {
  const nothing = { log: '', progress: null, detail: '', instances: [], bounty_nanousd: 0, last_error: null };
  return { status: phase === 'ready' ? 'hot' : 'cold', phase, waiting_ms, ...nothing };
}

/** A clock that goes by as it is waited for. */
function runningClock(): typeof clock {
  let at = 0;
  return {
    now: () => at,
    wait: async (ms) => {
      at += ms;
    },
  };
}

/** What a stream says whose looks give these, the last one again and again. */
async function said(looks: (WarmView | Error | null)[]): Promise<string[]> {
  let k = 0;
  const look = async () => {
    const now = looks[Math.min(k++, looks.length - 1)] ?? null;
    if (now instanceof Error) throw now;
    return now;
  };
  const text = await new Response(warmStream('acc', look, left.signal, runningClock())).text();
  return text.split('\n\n').filter((part) => part !== '');
}

const phases = (parts: string[]) => parts.map((part) => /"phase":"(\w+)"/.exec(part)?.[1] ?? part);

test('one event per change, none where only time went by, and the end when it serves', async () => {
  const looks = [view('waiting'), view('waiting', 1_000), view('granted', 2_000), view('granted', 3_000), view('ready')];
  expect(phases(await said(looks))).toEqual(['waiting', 'granted', 'ready']);
});

test.each([
  ['its starts fail', [view('loading'), view('failed')], ['loading', 'failed']],
  ['the chute is deleted', [view('loading'), null], ['loading']],
  ['the chute gives no answer for a while', [new Error('down'), view('loading'), new Error('down'), view('ready')], ['loading', 'ready']],
])('when %s', async (_, looks, expected) => {
  expect(phases(await said(looks))).toEqual(expected);
});

test('a stream without news has a comment every few looks, and ends after its longest time', async () => {
  const parts = await said([view('waiting')]);
  expect(phases(parts.slice(0, 2))).toEqual(['waiting', ': waiting']);
  expect(parts).toHaveLength(1 + Math.floor((WARM_STREAMS.longestMs / WARM_STREAMS.lookMs - 1) / WARM_STREAMS.quiet));
});

test('so many of one account and no more, until one is left', () => {
  const look = () => new Promise<null>(() => undefined);
  const open = () => warmStream('acc', look, left.signal, clock);
  const first = new AbortController();
  warmStream('acc', look, first.signal, clock);
  for (let k = 1; k < WARM_STREAMS.ofAccount; k++) open();
  expect(open).toThrow('Too many streams');
  first.abort();
  open();
  expect(open).toThrow('Too many streams');
});

test('so many of all accounts and no more, until their longest time is over', () => {
  let at = 0;
  clock = { ...clock, now: () => at };
  const look = () => new Promise<null>(() => undefined);
  let accounts = 0;
  const open = () => warmStream(`acc ${accounts++}`, look, left.signal, clock);
  for (let k = 0; k < WARM_STREAMS.together; k++) open();
  expect(open).toThrow('Too many streams');
  at = WARM_STREAMS.longestMs;
  open();
});
