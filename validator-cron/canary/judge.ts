/** What a call of the judge's own proves (pure): one observation with its reason. */
import { REASONS, type Comparison, type Observation, type Reason } from '#protocol/audit.ts';
import type { Moment } from '../clock.ts';
import type { Task } from './plan.ts';
import type { CanaryTranscript, ComparisonTranscript, PingTranscript, Seen } from './probe.ts';
import { readEmbedding, readStream } from './reply.ts';

/** Deltas above `max_tokens` that are forgiven: some engines split a token's bytes. */
const DELTA_SLACK = 8;
const MAX_MS = 3_600_000;

interface Finding {
  reason: Reason;
  tokens: number | null;
}

export function judge(task: Task, seen: Seen, moment: Moment): Observation {
  const { reason, tokens } = seen.type === 'rtt' ? judgePing(seen) : judgeCall(task, seen);
  const measured = seen.type === 'rtt' ? seen.rttMs : seen.status === 0 ? null : seen.totalMs;
  return {
    id: task.id,
    type: task.type === 'rtt' ? 'rtt' : 'canary',
    agent: task.agent,
    hotkey: task.hotkey,
    instance: task.type === 'rtt' ? null : task.instance.instance,
    epoch: moment.epoch,
    round: moment.round,
    ok: REASONS[reason] === 'merit',
    reason,
    value_ms: wholeMs(measured),
    first_byte_ms: seen.type === 'rtt' ? null : wholeMs(seen.firstByteMs),
    tokens,
    call: seen.type === 'rtt' ? null : seen.call,
    compared: seen.type === 'comparison' ? comparedOf(seen) : null,
    at: seen.at,
  };
}

/** A confirmed swap stands whatever the last answer was; else it is a canary like any other. */
function judgeCall(task: Task, seen: CanaryTranscript | ComparisonTranscript): Finding {
  if (seen.type === 'canary') return judgeCanary(seen, task.type === 'canary' ? task.ask.maxTokens : 0);
  const found = judgeCanary(seen, seen.ask.maxTokens);
  return seen.session.end === 'swapped' ? { ...found, reason: 'swapped' } : found;
}

function comparedOf({ session }: ComparisonTranscript): Comparison {
  return { end: session.end, duels: session.duels.map(({ instance, compared, differ }) => ({ instance, compared, differ })) };
}

function judgePing(t: PingTranscript): Finding {
  if (t.status === 401 || t.status === 403 || t.status === 429) return finding('refused');
  if (t.status !== 200) return finding('edge_failed');
  return finding(t.rttMs === null ? 'silent' : 'answered');
}

function judgeCanary(t: Omit<CanaryTranscript, 'type'>, maxTokens: number): Finding {
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
      return judgeStream(t.text, maxTokens);
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
