/** What a transcript proves (pure): one observation with its reason. */
import { REASONS, type Observation, type Reason } from '#protocol/audit.ts';
import type { CanaryTranscript, PingTranscript, Transcript } from './challenge.ts';
import type { Moment } from './clock.ts';
import type { Task } from './plan.ts';
import { readEmbedding, readStream } from './reply.ts';

/** Deltas above `max_tokens` that are forgiven: some engines split a token's bytes. */
const DELTA_SLACK = 8;
const MAX_MS = 3_600_000;

interface Finding {
  reason: Reason;
  tokens: number | null;
}

export function judge(task: Task, transcript: Transcript, moment: Moment): Observation {
  const { reason, tokens } = transcript.type === 'rtt' ? judgePing(transcript) : judgeCanary(task, transcript);
  const measured = transcript.type === 'rtt' ? transcript.rttMs : transcript.status === 0 ? null : transcript.totalMs;
  return {
    id: task.id,
    type: task.type,
    agent: task.agent,
    hotkey: task.hotkey,
    instance: task.type === 'canary' ? task.instance.instance : null,
    epoch: moment.epoch,
    round: moment.round,
    ok: REASONS[reason] === 'merit',
    reason,
    value_ms: wholeMs(measured),
    first_byte_ms: transcript.type === 'canary' ? wholeMs(transcript.firstByteMs) : null,
    tokens,
    call: transcript.type === 'canary' ? transcript.call : null,
    at: transcript.at,
  };
}

function judgePing(t: PingTranscript): Finding {
  if (t.status === 401 || t.status === 403 || t.status === 429) return finding('refused');
  if (t.status !== 200) return finding('edge_failed');
  return finding(t.rttMs === null ? 'silent' : 'answered');
}

function judgeCanary(task: Task, t: CanaryTranscript): Finding {
  if (t.edgeCode !== null) return finding(blame(t.edgeCode));
  if (t.failure === 'timeout') return finding('too_slow');
  if (t.failure === 'network') return finding('edge_failed');
  if (t.failure === 'too_big') return finding('too_much');
  if (t.status < 200 || t.status > 299) return finding('bad_status');
  switch (t.probe.kind) {
    case 'http':
      return finding('answered');
    case 'embedding':
      return finding(readEmbedding(t.text) ? 'answered' : 'bad_shape');
    case 'chat':
    case 'text':
      return judgeStream(t.text, task.type === 'canary' ? task.ask.maxTokens : 0);
  }
}

function judgeStream(text: string, maxTokens: number): Finding {
  const reply = readStream(text);
  const tokens = reply.tokens ?? reply.deltas;
  // An error event is the instance's: whatever code it names, an engine could have written it.
  if (reply.error) return finding('broken');
  if (!reply.wellFormed) return finding('bad_shape');
  if (!reply.done) return finding('cut_short');
  if (reply.deltas === 0) return finding('empty');
  if (tokens > maxTokens || reply.deltas > maxTokens + DELTA_SLACK) return finding('too_much');
  return { reason: 'answered', tokens };
}

/** Whose doing an error of the edge is. Unknown codes count against nobody. */
function blame(code: string): Reason {
  switch (code) {
    case 'engine_error':
    case 'engine_unreachable':
    case 'miner_lost':
    case 'outcome_unknown':
      return 'broken';
    case 'timeout':
      return 'too_slow';
    case 'no_capacity':
    case 'queue_full':
    case 'queue_timeout':
    case 'start_failing':
    case 'chute_not_found':
    case 'model_not_found':
    case 'not_found':
      return 'busy';
    case 'invalid_api_key':
    case 'key_expired':
    case 'insufficient_credit':
    case 'insufficient_scope':
    case 'rate_limited':
    case 'too_many_calls':
    case 'invalid_request':
    case 'method_not_allowed':
      return 'refused';
    default:
      return 'edge_failed';
  }
}

function finding(reason: Reason): Finding {
  return { reason, tokens: null };
}

function wholeMs(ms: number | null): number | null {
  return ms === null || !Number.isFinite(ms) ? null : Math.min(MAX_MS, Math.max(0, Math.round(ms)));
}
