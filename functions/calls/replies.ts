/** What a client gets of a call that was reached or queued: whole bytes, or a stream that knows how to go on. */
import { RipcordError } from '../errors.ts';
import type { Dispatch, Reached } from './dispatch.ts';
import { moneyHeaders } from './money.ts';
import type { ByteSource } from './ports.ts';
import { pump, type Reply, type Streamed } from './pump.ts';

const EVENTS = 'text/event-stream';
/** Why a reply that began may have ended, beside the loss of its miner. */
const KNOWN_ENDS = ['timeout', 'engine_error', 'insufficient_credit'] as const;

export function replyOf(dispatch: Dispatch, reached: Reached): Reply {
  const { status, body, meter } = reached.answer;
  const whole = body instanceof Uint8Array;
  const told = moneyHeaders(dispatch.money, dispatch.facts, (whole ? meter : null) ?? null);
  const headers = [...reached.answer.headers, ...told];
  if (whole) return { status, headers, body };
  return { status, headers, pump: (sink) => pump(streamed(dispatch, { ...reached, body }), sink) };
}

/** 200 now, comments while the call waits in the queue, then the reply as it comes. */
export function earlyReply(dispatch: Dispatch): Reply {
  const headers: [string, string][] = [['content-type', `${EVENTS}; charset=utf-8`], ...moneyHeaders(dispatch.money, dispatch.facts, null)];
  return { status: 200, headers, pump: (sink) => pump(streamed(dispatch, null), sink) };
}

function streamed(dispatch: Dispatch, reached: (Reached & { body: ByteSource }) | null): Streamed {
  const { call, world } = dispatch;
  let current: Reached | null = reached;
  return {
    status: reached?.answer.status ?? 200,
    events: reached === null || reached.answer.headers.some(([name, value]) => name === 'content-type' && value.startsWith(EVENTS)),
    callId: call.id,
    source: reached?.body ?? null,
    signal: call.signal,
    sleep: (ms) => world.sleep(ms),
    standing: (anew) => dispatch.standing(anew),
    first: async () => {
      try {
        current = await dispatch.reach('wait');
        return current.answer;
      } catch (error) {
        await dispatch.close(error);
        throw error;
      }
    },
    resume: async (offset) => {
      if (current === null) throw new RipcordError('internal');
      const answer = await dispatch.reattach(current.instance, current.attempt, offset);
      if (answer.kind === 'reply') return answer.body;
      const code = answer.kind === 'failed' ? answer.code : 'miner_lost';
      if (offset > 0) return new RipcordError(KNOWN_ENDS.find((end) => end === code) ?? 'miner_lost');
      dispatch.broke(current.instance, code);
      return null;
    },
  };
}
