/** A call as its owner sees it: GET /calls/{id}. Pure. */
import { costOf } from './calls.ts';
import type { AttemptRow, CallRow } from './rows.ts';

export type CallStory = ReturnType<typeof callStory>;

export function callStory(row: CallRow) {
  return {
    call_id: row.call,
    kind: row.kind,
    /** `running` until every attempt is known. */
    state: row.closedAt === null ? 'running' : outcomeOf(row),
    code: codeOf(row),
    chute_id: row.chute,
    version: row.version,
    key_id: row.key,
    opened_at: iso(row.openedAt),
    deadline_at: iso(row.deadlineAt),
    closed_at: row.closedAt === null ? null : iso(row.closedAt),
    /** Nano-USD, as decimal texts: JSON numbers end at 2^53. */
    hold_nanousd: row.hold.toString(),
    cost_nanousd: costOf(row).toString(),
    promo_nanousd: row.promo.toString(),
    price_version: row.terms.version,
    /** Output tokens that the hold pays for; null: all that may come. */
    allowance: row.allowance,
    attempts: [...row.attempts].sort((a, b) => a.settlement.attempt - b.settlement.attempt).map(attemptStory),
  };
}

function attemptStory({ settlement: s, cost, refused }: AttemptRow) {
  return {
    attempt: s.attempt,
    miner_hotkey: s.hotkey,
    agent_id: s.agent,
    instance_id: s.instance,
    outcome: s.outcome,
    code: s.code,
    /** True: it came after the call was over, or from a fenced agent; not charged. */
    refused,
    status: s.status,
    bytes: s.bytes,
    tokens_in: s.tokensIn,
    cached_in: s.cachedIn,
    tokens_out: s.tokensOut,
    region: s.region,
    waited_ms: s.waitedMs,
    cold: s.cold,
    started_at: iso(s.startedAt),
    first_byte_ms: s.firstByteMs,
    last_byte_ms: s.lastByteMs,
    cost_nanousd: cost.toString(),
  };
}

/** What the best of its attempts came to, for a call that is closed. */
export function outcomeOf(row: CallRow): 'completed' | 'cancelled' | 'failed' {
  const outcomes = row.attempts.filter((a) => !a.refused).map((a) => a.settlement.outcome);
  if (outcomes.includes('completed')) return 'completed';
  return outcomes.includes('cancelled') || row.code === 'cancelled' ? 'cancelled' : 'failed';
}

/** Why a closed call came to nothing; empty if it did not. */
export function codeOf(row: CallRow): string {
  if (row.code !== '' || outcomeOf(row) === 'completed') return row.code;
  return row.attempts.findLast((a) => !a.refused)?.settlement.code ?? '';
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
