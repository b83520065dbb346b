/** A call from the record, told as its Account tells it while it remembers. Pure. */
import type { RecordedCall } from '#db';
import type { CallStory } from '../account/story.ts';
import { BOUNTY_TERMS } from '../chute/bounty.ts';

/** What else is asked for is no call that was. */
export const CALL_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Of what matters only while a call runs (its deadline, its allowance) there is no record. */
export type RecordStory = Omit<CallStory, 'deadline_at'> & { deadline_at: null };

export function recordStory(call: RecordedCall): RecordStory {
  return {
    call_id: call.callId,
    kind: call.priceVersion === BOUNTY_TERMS ? 'bounty' : (call.kind as RecordStory['kind']),
    state: call.state as RecordStory['state'],
    code: call.code,
    chute_id: call.chuteId,
    version: call.version,
    key_id: call.keyId,
    opened_at: call.openedAt.toISOString(),
    deadline_at: null,
    closed_at: call.closedAt.toISOString(),
    hold_nanousd: call.holdNanousd.toString(),
    cost_nanousd: call.costNanousd.toString(),
    promo_nanousd: call.promoNanousd.toString(),
    price_version: call.priceVersion,
    allowance: null,
    attempts: call.tries.map(attemptStory),
  };
}

/** Refused attempts are not on record. */
function attemptStory(row: RecordedCall['tries'][number]): RecordStory['attempts'][number] {
  return {
    attempt: row.attempt,
    miner_hotkey: row.hotkey,
    agent_id: row.agentId,
    instance_id: row.instanceId,
    outcome: row.outcome as RecordStory['attempts'][number]['outcome'],
    code: row.code,
    refused: false,
    status: row.status,
    bytes: row.bytes,
    tokens_in: row.tokensIn,
    cached_in: row.cachedIn,
    tokens_out: row.tokensOut,
    region: row.region,
    waited_ms: row.waitedMs,
    cold: row.cold,
    started_at: row.startedAt.toISOString(),
    first_byte_ms: row.firstByteMs,
    last_byte_ms: row.lastByteMs,
    cost_nanousd: row.costNanousd.toString(),
  };
}
