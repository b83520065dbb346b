/** Puts an instance under load: several long answers at once, one after the other, and when their tokens came. */
import type { Load } from '#protocol/audit.ts';
import { readText } from '../bounded.ts';
import { loadAsk, probeBody } from '../canary/ask.ts';
import type { Edge } from '../edge/edge.ts';
import { rankOf } from '../rank.ts';
import type { Drawn } from './draw.ts';

/** Answers at once: a Worker has six connections. */
const STREAMS = 4;
/** Answers of one stream, one after the other; and bytes of one. */
const MOST_ANSWERS = 32;
const ANSWER_BYTES = 512 * 1024;
/** Milliseconds of one count. */
const STEP_MS = 250;

/** The time, and a way to wait for one (Unix milliseconds); it ends early where `signal` does. */
export interface Clock {
  now(): number;
  until(at: number, signal: AbortSignal): Promise<void>;
}

export const CLOCK: Clock = {
  now: () => Date.now(),
  until: (at, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, signal.aborted ? 0 : Math.max(0, at - Date.now()));
      const end = () => (clearTimeout(timer), resolve());
      signal.addEventListener('abort', end, { once: true });
    }),
};

export interface LoadAsk {
  drawn: Drawn;
  /** 64 hex digits that nobody can foretell. */
  rank: string;
  from: number;
  to: number;
}

/** Never throws. What an instance does not answer is not counted. */
export async function load(edge: Pick<Edge, 'call'>, ask: LoadAsk, clock: Clock, signal: AbortSignal): Promise<Omit<Load, 'proofs'>> {
  const { from, to } = ask;
  const tokens = Array.from({ length: Math.ceil((to - from) / STEP_MS) }, () => 0);
  const came = (count: number): void => {
    const at = Math.floor((clock.now() - from) / STEP_MS);
    if (tokens[at] !== undefined) tokens[at] += count;
  };
  await clock.until(from, signal);
  const over = new AbortController();
  const all = AbortSignal.any([signal, over.signal]);
  const answers = Promise.all(Array.from({ length: STREAMS }, (_, at) => stream(edge, { ...ask, at }, { clock, signal: all, came })));
  await Promise.race([answers, clock.until(to, all)]);
  over.abort();
  await answers;
  return { from, step: STEP_MS, tokens };
}

interface Doing {
  clock: Clock;
  signal: AbortSignal;
  came: (tokens: number) => void;
}

/** Ends with the first answer that is none: an instance that does not answer is not pressed. */
async function stream(edge: Pick<Edge, 'call'>, { drawn, rank, to, at }: LoadAsk & { at: number }, doing: Doing): Promise<void> {
  const { probe, instance } = drawn;
  for (let turn = 0; turn < MOST_ANSWERS && doing.clock.now() < to && !doing.signal.aborted; turn++) {
    const body = JSON.stringify(probeBody(probe, instance.name, loadAsk(rankOf(rank, String(at), String(turn)))));
    const headers = { 'x-ripcord-instance': instance.instance, 'content-type': 'application/json' };
    try {
      const reply = await edge.call(probe.path, { method: probe.method, headers, body, signal: doing.signal });
      if (reply.status !== 200) {
        await reply.body?.cancel();
        return;
      }
      const events = counter(doing.came);
      const { whole } = await readText(reply.body, ANSWER_BYTES, events);
      if (!whole) return;
    } catch {
      return;
    }
  }
}

/** Tells of each event of a growing text once. What an event holds is not looked at: it is the same before the work and during it. */
function counter(came: (events: number) => void): (text: string) => void {
  let read = 0;
  return (text) => {
    let events = 0;
    for (let at = text.indexOf('data:', read); at !== -1; at = text.indexOf('data:', read)) {
      if (at === 0 || text[at - 1] === '\n') events += 1;
      read = at + 5;
    }
    read = Math.max(read, text.length - 4);
    if (events > 0) came(events);
  };
}
