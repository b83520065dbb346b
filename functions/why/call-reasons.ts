/**
 * Why a call waits, runs or ended as it did: one word per cause, the words of `GET /calls/{id}/why`. The first that holds
 * says what to do next. Pure.
 */
import type { Place } from '../calls/ports.ts';
import type { ChuteView, InstanceView } from '../chute/view.ts';
import { phaseOf, type Eyes } from '../chute/warm-view.ts';

export const CALL_WHY_CODES = [
  'no_answer',
  'owner_unpaid',
  'crash_loop',
  'starting',
  'nobody_claims',
  'claims_refused',
  'at_max',
  'slots_busy',
  'no_instance',
  'queue_position',
  'retrying',
  'serving',
  'completed',
  'failed',
  'cancelled',
  'waited',
  'cold_start',
] as const;
export type CallWhyCode = (typeof CALL_WHY_CODES)[number];

/** For people: what the code says, and what to do about it. */
export const CALL_WHY: Record<CallWhyCode, { text: string; next: string }> = {
  no_answer: { text: 'the chute does not answer now', next: 'ask again in a moment' },
  owner_unpaid: {
    text: 'the owner of the chute cannot pay for instances',
    next: 'top up the account of the owner: ripcord balance, ripcord topup',
  },
  crash_loop: { text: 'every start of the program fails', next: 'its owner sees why with ripcord logs, and can deploy or roll back' },
  starting: { text: 'an instance is starting', next: 'wait: the call is served as soon as it is ready' },
  nobody_claims: {
    text: 'an instance is wanted and no miner has taken it yet',
    next: 'wait, or let more miners fit: a smaller GPU need, a higher price, a bounty',
  },
  claims_refused: {
    text: 'miners asked for it and were refused of late',
    next: 'wait: each code of a refusal is told in docs/protocol.md',
  },
  at_max: { text: 'the chute runs as many instances as its max allows', next: 'wait, or have its owner raise max' },
  slots_busy: { text: 'every slot of its instances is taken', next: 'wait, or have its owner raise max or concurrency' },
  no_instance: { text: 'no instance serves', next: 'wait for the first one; ripcord warm NAME shows how far it is' },
  queue_position: { text: 'it waits in line', next: 'nothing to do: calls of an account are served in the order they came' },
  retrying: { text: 'attempts failed and it is tried again', next: 'nothing to do: ripcord calls ID tells each attempt' },
  serving: { text: 'an instance serves it', next: 'nothing to do' },
  completed: { text: 'it is done', next: 'nothing to do' },
  failed: { text: 'it failed', next: 'see its code in docs/api.md; ripcord calls ID tells each attempt' },
  cancelled: { text: 'its client left', next: 'nothing to do, or keep the connection open longer' },
  waited: { text: 'it waited for a slot', next: 'raise max or concurrency to have calls wait less' },
  cold_start: { text: 'its instance was started for it', next: 'keep one alive: min = 1, a longer idle_after, or ripcord warm NAME' },
};

export interface CallReason {
  code: CallWhyCode;
  count: number;
  text: string;
}

/** What is known of a call that has not ended. */
export interface OpenCall {
  /** Attempts that failed. */
  failed: number;
  /** Null: the Chute gave no answer. */
  chute: { view: ChuteView; place: Place | null; refusals: { code: string; count: number }[] } | null;
}

/** What became of a call. */
export interface DoneCall {
  state: 'completed' | 'failed' | 'cancelled';
  code: string;
  attempts: { waitedMs: number; cold: boolean }[];
}

/** `now`: unix ms. `eyes`: what the program says of itself is told to its owner alone. */
export function openReasons(call: OpenCall, eyes: Eyes, now: number): CallReason[] {
  const { chute, failed } = call;
  const tried = failed === 0 ? [] : [reason('retrying', failed, `${failed} of its attempts failed`)];
  if (chute === null) return [reason('no_answer', 1), ...tried];
  const { view, place } = chute;
  if (place === null) return [...tried, reason('serving', 1)];
  const live = view.instances.filter((it) => it.state === 'live');
  const starts = view.instances.filter((it) => it.state === 'granted' || it.state === 'starting');
  const found = [
    view.unpaidSince === null ? [] : [reason('owner_unpaid', 1, `since ${seconds(now - view.unpaidSince)}`)],
    crashes(view, eyes),
    starts.length === 0 ? [] : [reason('starting', starts.length, starts.map((it) => startText(it, eyes)).join(', '))],
    unclaimed(view, live.length + starts.length, now),
    refused(chute.refusals),
    live.length < view.config.max ? [] : [reason('at_max', live.length, `${live.length} of ${view.config.max}`)],
    live.length === 0 ? [] : [busy(live)],
    live.length > 0 ? [] : [reason('no_instance', 1)],
    [
      reason(
        'queue_position',
        place.position,
        `place ${place.position} of ${view.waiting}${place.etaMs === null ? '' : `, about ${seconds(place.etaMs)} to go`}`,
      ),
    ],
    tried,
  ];
  return found.flat();
}

export function doneReasons(call: DoneCall): CallReason[] {
  const { attempts } = call;
  const waitedMs = attempts.at(-1)?.waitedMs ?? 0;
  const after = `after ${attempts.length} ${attempts.length === 1 ? 'attempt' : 'attempts'}`;
  const told = [reason(call.state, attempts.length, call.code === '' ? after : `${call.code}, ${after}`)];
  if (attempts.length > 1) told.push(reason('retrying', attempts.length - 1, `${attempts.length - 1} attempts before the last`));
  if (waitedMs >= WAITED_MS) told.push(reason('waited', 1, seconds(waitedMs)));
  if (attempts.some((it) => it.cold)) told.push(reason('cold_start', 1));
  return told;
}

/** Milliseconds that nobody calls waiting. */
const WAITED_MS = 100;

/** The first cause, with what to do about it. */
export function nextOf(reasons: readonly CallReason[]): { code: CallWhyCode; text: string } | null {
  const [first] = reasons;
  return first === undefined ? null : { code: first.code, text: CALL_WHY[first.code].next };
}

function reason(code: CallWhyCode, count: number, more = ''): CallReason {
  const { text } = CALL_WHY[code];
  return { code, count, text: more === '' ? text : `${text}: ${more}` };
}

function crashes({ lastError, instances }: ChuteView, eyes: Eyes): CallReason[] {
  if (lastError?.loop !== true || instances.some((it) => it.state === 'live')) return [];
  return [reason('crash_loop', lastError.count, eyes === 'owner' ? firstLine(lastError.text) : '')];
}

function startText(it: InstanceView, eyes: Eyes): string {
  const phase = phaseOf(it) ?? 'starting';
  return eyes === 'owner' && it.detail !== '' ? `${phase} (${firstLine(it.detail)})` : phase;
}

function unclaimed(view: ChuteView, known: number, now: number): CallReason[] {
  if (view.need === 0 || view.unmetSince === null || (known > 0 && view.instances.length >= view.config.max)) return [];
  const bounty = view.bounty > 0 ? `, bounty ${view.bounty} nano-USD` : '';
  return [reason('nobody_claims', view.need, `for ${seconds(now - view.unmetSince)}, urgency ${view.urgency} of 1000${bounty}`)];
}

function refused(refusals: readonly { code: string; count: number }[]): CallReason[] {
  const total = refusals.reduce((sum, { count }) => sum + count, 0);
  return total === 0 ? [] : [reason('claims_refused', total, refusals.map(({ code, count }) => `${count} ${code}`).join(', '))];
}

function busy(live: readonly InstanceView[]): CallReason {
  const [taken, slots] = [live.reduce((sum, it) => sum + it.busy, 0), live.reduce((sum, it) => sum + it.slots, 0)];
  return reason('slots_busy', taken, `${taken} of ${slots}`);
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, 256);
}

function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
