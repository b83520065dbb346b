/** How a canary ends that would not end by itself. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { probe } from '../../../../validator-cron/canary/probe.ts';
import { readConfig } from '../../../../validator-cron/config.ts';
import { makeEdge } from '../../../../validator-cron/edge/edge.ts';
import { makeRequests } from '../../../../validator-cron/edge/request.ts';
import { judge } from '../../../../validator-cron/canary/judge.ts';
import { plan } from '../../../../validator-cron/canary/plan.ts';
import { ALICE, anAgent, anInstance, FACTS } from '../made.ts';
import { chats, StandInEdge, type Answer } from '../stand-in-edge.ts';

let stand: StandInEdge;
beforeEach(async () => {
  stand = await StandInEdge.start();
});
afterEach(() => stand[Symbol.asyncDispose]());

/** `canaryMs`: short where it must run out, long where it must not. */
async function canaryOf(answer: Answer, canaryMs: number, signal = new AbortController().signal) {
  stand.answers.set('ins_1', answer);
  const config = readConfig({ API_ORIGIN: stand.origin, JUDGE_SEED: '11'.repeat(32), API_KEY: 'k' });
  const [task] = plan([anAgent('agt_1', ALICE, [anInstance()])], {
    ...FACTS,
    judge: config.hotkey.ss58,
  });
  if (task?.type !== 'canary') throw new Error('no canary in the plan');
  const transcript = await probe(makeEdge(config, makeRequests(config, signal), signal), task, canaryMs);
  return { transcript, seen: judge(task, transcript, { round: 1, epoch: 0 }) };
}
test.for<{ what: string; answer: Answer }>([
  { what: 'never answers', answer: () => {} },
  { what: 'only beats', answer: (reply) => void reply.write(': beat\n\n') },
  {
    what: 'stops in the middle',
    answer: (reply) => void reply.write('data: {"choices":[{"delta":{"content":"t"}}]}\n\n'),
  },
])('an instance that $what is too slow', async ({ answer }) => {
  expect((await canaryOf(answer, 200)).seen).toMatchObject({ ok: false, reason: 'too_slow' });
});

test('a heartbeat of the edge is not the first byte of the instance', async () => {
  expect((await canaryOf((reply) => void reply.write(': beat\n\n'), 200)).transcript).toMatchObject({
    firstByteMs: null,
  });
  expect((await canaryOf(chats, 10_000)).seen.first_byte_ms).not.toBeNull();
});

test('a tick that runs out of time blames nobody', async () => {
  expect((await canaryOf(() => {}, 10_000, AbortSignal.timeout(20))).seen.reason).toBe('edge_failed');
});
