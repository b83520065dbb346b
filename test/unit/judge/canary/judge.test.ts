import { expect, test } from 'vitest';
import type { Reason } from '#protocol/audit.ts';
import type { CanaryTranscript } from '../../../../validator-cron/canary/probe.ts';
import type { ProbeKind } from '../../../../validator-cron/canary/ask.ts';
import { judge } from '../../../../validator-cron/canary/judge.ts';
import type { CanaryTask } from '../../../../validator-cron/canary/plan.ts';
import { readStream } from '../../../../validator-cron/canary/reply.ts';
import { ALICE, anInstance } from '../made.ts';

const moment = { round: 3660, epoch: 3600 };
const ask = { prompt: 'What is 1 plus 1?', seed: 1, maxTokens: 4, temperature: null, chances: false };
const task: CanaryTask = {
  type: 'canary',
  id: 'obs_1',
  agent: 'agt_1',
  hotkey: ALICE,
  instance: anInstance(),
  probes: [],
  ask,
};

const delta = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
const DONE = 'data: [DONE]\n\n';
const usage = (tokens: unknown) => `data: ${JSON.stringify({ choices: [], usage: { completion_tokens: tokens } })}\n\n`;

function transcript(of: Partial<CanaryTranscript> & { kind?: ProbeKind }): CanaryTranscript {
  const { kind = 'chat', ...rest } = of;
  const probe = { kind, method: 'POST', path: '/v1/chat/completions' } as const;
  return {
    type: 'canary',
    at: 3_660_000,
    probe,
    failure: null,
    status: 200,
    edgeCode: null,
    call: 'c-1',
    firstByteMs: 12.4,
    totalMs: 30,
    text: '',
    ...rest,
  };
}

test.for<{ what: string; of: Parameters<typeof transcript>[0]; reason: Reason }>([
  {
    what: 'a whole stream',
    of: { text: `: beat\n\n${delta('')}${delta('tw')}${delta('o')}${DONE}` },
    reason: 'answered',
  },
  { what: 'CRLF line ends', of: { text: `${delta('two')}${DONE}`.replaceAll('\n', '\r\n') }, reason: 'answered' },
  {
    what: 'a plain completion',
    of: { kind: 'text', text: `data: {"choices":[{"text":"two"}]}\n\n${DONE}` },
    reason: 'answered',
  },
  {
    what: 'reasoning only',
    of: { text: `data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n${DONE}` },
    reason: 'answered',
  },
  { what: 'no end', of: { text: delta('two') }, reason: 'cut_short' },
  { what: 'nothing said', of: { text: `${delta('')}${DONE}` }, reason: 'empty' },
  { what: 'no events', of: { text: '{"choices":[]}' }, reason: 'bad_shape' },
  { what: 'events that are no JSON', of: { text: `data: two\n\n${DONE}` }, reason: 'bad_shape' },
  { what: 'events of another kind', of: { text: `data: {"hello":1}\n\n${DONE}` }, reason: 'bad_shape' },
  { what: 'a usage that is no number', of: { text: `${delta('two')}${usage('many')}${DONE}` }, reason: 'bad_shape' },
  { what: 'more tokens than asked', of: { text: `${delta('two')}${usage(5)}${DONE}` }, reason: 'too_much' },
  { what: 'an endless reply', of: { failure: 'too_big' }, reason: 'too_much' },
  {
    what: 'an error event',
    of: { text: `${delta('t')}data: {"error":{"code":"insufficient_credit"}}\n\n${DONE}` },
    reason: 'broken',
  },
  { what: 'an engine that says 500', of: { status: 500 }, reason: 'bad_status' },
  { what: 'an engine that says 402 itself', of: { status: 402 }, reason: 'bad_status' },
  { what: 'no reply in time', of: { status: 0, failure: 'timeout' }, reason: 'too_slow' },
  { what: 'the edge gone', of: { status: 0, failure: 'network' }, reason: 'edge_failed' },
  { what: 'the edge says the engine failed', of: { status: 502, edgeCode: 'engine_error' }, reason: 'broken' },
  { what: 'the edge says the miner was lost', of: { status: 502, edgeCode: 'miner_lost' }, reason: 'broken' },
  { what: 'the edge says it took too long', of: { status: 504, edgeCode: 'timeout' }, reason: 'too_slow' },
  { what: 'the instance is busy', of: { status: 429, edgeCode: 'no_capacity' }, reason: 'busy' },
  { what: 'no credit', of: { status: 402, edgeCode: 'insufficient_credit' }, reason: 'refused' },
  { what: 'the edge broken', of: { status: 503, edgeCode: 'unavailable' }, reason: 'edge_failed' },
  { what: 'a code of tomorrow', of: { status: 418, edgeCode: 'teapot' }, reason: 'edge_failed' },
  { what: 'a vector', of: { kind: 'embedding', text: '{"data":[{"embedding":[0.1,0.2]}]}' }, reason: 'answered' },
  { what: 'an empty vector', of: { kind: 'embedding', text: '{"data":[{"embedding":[]}]}' }, reason: 'bad_shape' },
  { what: 'any program that answers 200', of: { kind: 'http', text: 'ok' }, reason: 'answered' },
])('$what: $reason', ({ of, reason }) => {
  const seen = judge(task, transcript(of), moment);
  expect(seen.reason).toBe(reason);
  expect(seen.ok).toBe(reason === 'answered');
});

test('an observation carries what was measured', () => {
  expect(judge(task, transcript({ text: `${delta('two')}${usage(3)}${DONE}` }), moment)).toEqual({
    id: 'obs_1',
    type: 'canary',
    agent: 'agt_1',
    hotkey: ALICE,
    instance: 'ins_1',
    epoch: 3600,
    round: 3660,
    ok: true,
    reason: 'answered',
    value_ms: 30,
    first_byte_ms: 12,
    tokens: 3,
    call: 'c-1',
    compared: null,
    at: 3_660_000,
  });
});

test.for<{ status: number; rttMs: number | null; reason: Reason }>([
  { status: 200, rttMs: 12, reason: 'answered' },
  { status: 200, rttMs: null, reason: 'silent' },
  { status: 0, rttMs: null, reason: 'edge_failed' },
  { status: 503, rttMs: null, reason: 'edge_failed' },
  { status: 403, rttMs: null, reason: 'refused' },
])('a ping with status $status and $rttMs ms: $reason', ({ status, rttMs, reason }) => {
  const seen = judge({ type: 'rtt', id: 'obs_2', agent: 'agt_1', hotkey: ALICE }, { type: 'rtt', at: 1, status, rttMs }, moment);
  expect(seen).toMatchObject({ reason, value_ms: rttMs, instance: null });
});

test('after the end of a stream nothing is read', () => {
  expect(readStream(`${delta('two')}${DONE}${delta('more')}`).deltas).toBe(1);
});
