/** A call as its owner sees it: GET /calls/{id}. Pure. */
import { captured } from './calls.ts';
import type { AttemptRow, CallRow } from './rows.ts';

export type CallStory = ReturnType<typeof callStory>;

export function callStory(row: CallRow) {
  return {
    call_id: row.call,
    state: stateOf(row),
    code: row.code === '' ? lastCode(row) : row.code,
    chute_id: row.chute,
    version: row.version,
    key_id: row.key,
    opened_at: iso(row.openedAt),
    deadline_at: iso(row.deadlineAt),
    closed_at: row.closedAt === null ? null : iso(row.closedAt),
    /** Nano-USD, as decimal texts: JSON numbers end at 2^53. */
    hold_nanousd: row.hold.toString(),
    cost_nanousd: captured(row).toString(),
    attempts: [...row.attempts].sort((a, b) => a.settlement.attempt - b.settlement.attempt).map(attemptStory),
  };
}

function attemptStory({ settlement: s, cost, seq }: AttemptRow) {
  return {
    attempt: s.attempt,
    miner_hotkey: s.hotkey,
    agent_id: s.agent,
    instance_id: s.instance,
    outcome: s.outcome,
    code: s.code,
    /** True: it came after the call was over, or from a fenced agent; not charged. */
    refused: seq === null,
    bytes: s.bytes,
    tokens_in: s.tokensIn,
    tokens_out: s.tokensOut,
    started_at: iso(s.startedAt),
    first_byte_ms: s.firstByteMs,
    last_byte_ms: s.lastByteMs,
    cost_nanousd: cost.toString(),
  };
}

/** `running` until every attempt is known; then what the best of them came to. */
function stateOf(row: CallRow): 'running' | 'completed' | 'cancelled' | 'failed' {
  if (row.closedAt === null) return 'running';
  const outcomes = row.attempts.filter((a) => a.seq !== null).map((a) => a.settlement.outcome);
  if (outcomes.includes('completed')) return 'completed';
  return outcomes.includes('cancelled') || row.code === 'cancelled' ? 'cancelled' : 'failed';
}

function lastCode(row: CallRow): string {
  return stateOf(row) === 'completed' ? '' : (row.attempts.findLast((a) => a.seq !== null)?.settlement.code ?? '');
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
