/**
 * What of a transcript can be seen to be wrong without any proof: the edge wrote it, so none of it is held against the miner
 * (pure).
 */
import { publishedAt, roundAt, type BeaconChain } from '#protocol/challenge/beacon.ts';
import { seedingRound } from '#protocol/challenge/schedule.ts';
import { CHALLENGE_LIMITS, classFor, type Suite } from '#protocol/challenge/suite.ts';
import { challengeId, type Transcript } from '#protocol/challenge/transcript.ts';
import type { Wrong } from '#protocol/challenge/verdict.ts';
import { workFor } from '#protocol/challenge/work.ts';
import type { Logins } from './logins.ts';

interface Facts {
  suite: Suite;
  chain: BeaconChain;
  logins: Logins;
}

export function wrongRecord(t: Transcript, { suite, chain, logins }: Facts): Wrong | null {
  const id = challengeId(t.kind, t.target, t.slot);
  if (t.id !== id) return bad('id', id, t.id);
  const target = targetOf(t);
  if (t.target !== target) return bad('target', target, t.target);
  const earliest = seedingRound(chain, t.slot, suite);
  if (t.round < earliest) return bad('round', `${earliest} or later`, String(t.round));
  if (t.login.hotkey !== t.hotkey || t.login.agent !== t.agent) return bad('login', t.hotkey, t.login.hotkey);
  if (!logins.signed(t.login)) return bad('login', 'a login that the hotkey signed', t.login.signature);
  const late = t.sent_at - publishedAt(chain, t.round);
  if (late > CHALLENGE_LIMITS.seedLateMs) return bad('sent_at', `${CHALLENGE_LIMITS.seedLateMs} ms after the round`, `${late} ms`);
  return wrongWork(t, suite) ?? wrongSample(t, chain);
}

/** An opening is what the transcript says it is: else it was mixed up on its way here. */
export function wrongOpening(t: Transcript, opening: Uint8Array | null, hash: (bytes: Uint8Array) => string): Wrong | null {
  if (t.opening === null || opening === null) return bad('opening', t.opening?.sha256 ?? 'an opening', 'none');
  if (opening.length !== t.opening.bytes) return bad('opening', `${t.opening.bytes} bytes`, `${opening.length} bytes`);
  const given = hash(opening);
  return given === t.opening.sha256 ? null : bad('opening', t.opening.sha256, given);
}

function targetOf(t: Transcript): string {
  if (t.kind === 'pow.mm' || t.kind === 'pow.mem') return t.device === null ? 'a device' : `${t.agent}/${t.device.id}`;
  return t.instance?.instance ?? 'an instance';
}

/** A device is asked for what the suite says, no more and no less. */
function wrongWork(t: Transcript, suite: Suite): Wrong | null {
  if ((t.kind !== 'pow.mm' && t.kind !== 'pow.mem') || t.device === null) return null;
  const of = classFor(suite, t.device);
  if (of?.name !== t.class) return bad('class', of?.name ?? 'none', t.class);
  const { profile, steps } = workFor(suite, t.kind, of);
  const same = t.profile === profile && t.steps === steps;
  return same ? null : bad('work', `${profile} ${steps}`, `${t.profile} ${t.steps}`);
}

/** Samples are named by the first round that comes out after the commit: neither side chooses among several. */
function wrongSample(t: Transcript, chain: BeaconChain): Wrong | null {
  if (t.sample === null || t.commit === null) return null;
  const first = roundAt(chain, t.commit.at) + 1;
  return t.sample.round === first ? null : bad('sample', String(first), String(t.sample.round));
}

function bad(at: string, due: string, given: string): Wrong {
  return { reason: 'bad_record', at, due, given };
}
