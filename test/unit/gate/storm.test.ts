/** Ten thousand agents come back after a restart of everything: the real admission and the real waits, with a clock of the test's own. */
import { expect, test } from 'vitest';
import { Admission } from '../../../functions/gate/admission.ts';
import { reconnectMs } from '../../../miner-agent/connection/reconnect.ts';
import { Random } from '../../sim/random.ts';

const AGENTS = 10_000;
/** Of them, those with instances. */
const SERVING = 500;
/** As in functions/api/agents.ts: logins per second and burst of one isolate. */
const IDLE = [200, 400] as const;
const SERVE = [100, 200] as const;

/** When each agent was in, in milliseconds from the restart. */
function comeBack(seed: number): { serving: number[]; idle: number[]; asked: number } {
  const random = new Random(seed);
  const idle = new Admission(...IDLE);
  const serving = new Admission(...SERVE);
  const wait = (index: number, tries: number, retryAfterMs: number | null) =>
    reconnectMs({ tries, streamsOpen: false, serving: index < SERVING, slow: false, retryAfterMs, random: random.next() });
  // By the millisecond in which they ask next.
  const due = new Map<number, { index: number; tries: number }[]>();
  const ask = (at: number, index: number, tries: number) => {
    const list = due.get(at);
    if (list === undefined) due.set(at, [{ index, tries }]);
    else list.push({ index, tries });
  };
  for (let index = 0; index < AGENTS; index++) ask(wait(index, 0, null), index, 0);
  const back = { serving: [] as number[], idle: [] as number[], asked: 0 };
  for (let now = 0; due.size > 0; now++) {
    for (const { index, tries } of due.get(now) ?? []) {
      back.asked += 1;
      const retryAfterMs = (index < SERVING ? serving : idle).take(now, random.next());
      if (retryAfterMs === 0) (index < SERVING ? back.serving : back.idle).push(now);
      else ask(now + wait(index, tries + 1, retryAfterMs), index, tries + 1);
    }
    due.delete(now);
  }
  return back;
}

test.each([1, 2, 3])('seed %i: all are in within a minute, and those that serve come first', (seed) => {
  const { serving, idle, asked } = comeBack(seed);
  expect(serving.length + idle.length).toBe(AGENTS);
  expect(Math.max(...idle)).toBeLessThan(60_000);
  // Before their instances count as lost.
  expect(Math.max(...serving)).toBeLessThan(10_000);
  expect(asked).toBeLessThan(20 * AGENTS);
});
