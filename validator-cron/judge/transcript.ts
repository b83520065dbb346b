/**
 * The verdict on one challenge, out of its transcript, its opening and two public pulses: every judge and every outsider comes to
 * the same one (pure).
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { roundAt, type BeaconChain, type Pulse } from '#protocol/challenge/beacon.ts';
import { checkPossession } from '#protocol/challenge/possession.ts';
import { CHALLENGE_LIMITS, classFor, type Suite } from '#protocol/challenge/suite.ts';
import type { Tiles } from '#protocol/challenge/tiles.ts';
import { challengeSeed, commitText, type Transcript } from '#protocol/challenge/transcript.ts';
import type { Verdict, VerdictReason, Wrong } from '#protocol/challenge/verdict.ts';
import { checkWork } from '#protocol/challenge/work.ts';
import type { Logins } from './logins.ts';
import { wrongOpening, wrongRecord } from './record.ts';
import { elapsedMs, inTime, isForgiven, rateOf, slowerClass } from './time.ts';

export interface JudgeContext {
  suite: Suite;
  chain: BeaconChain;
  /** Of `roundsOf` the transcript, verified. */
  pulses: { seed: Pulse | null; sample: Pulse | null };
  tiles: Tiles;
  logins: Logins;
  /** SHA-256 of an opening, hex; where there is a faster one than JavaScript's. */
  hash?: (bytes: Uint8Array) => string;
}

/** The rounds whose pulses judging needs; none for a challenge that was not answered. */
export function roundsOf(t: Transcript): { seed: number | null; sample: number | null } {
  if (t.end !== 'opened') return { seed: null, sample: null };
  return { seed: t.round, sample: t.sample?.round ?? null };
}

export function judgeTranscript(t: Transcript, opening: Uint8Array | null, context: JudgeContext): Verdict {
  const wrong = wrongRecord(t, context);
  if (wrong !== null) return verdict(t, wrong.reason, { wrong });
  const missing = missingPart(t);
  if (missing !== null) return verdict(t, missing);
  const { hash = sha256Hex } = context;
  return t.kind === 'pow.mm' || t.kind === 'pow.mem' ? judgeWork(t, opening, context, hash) : judgeFiles(t, opening, context, hash);
}

/**
 * What did not come. Whoever was sent the seed and is gone then answered as little as one who stays and is silent: else a broken
 * line would be the way out of every challenge that is lost.
 */
function missingPart(t: Transcript): VerdictReason | null {
  switch (t.end) {
    case 'opened':
      return null;
    case 'declined':
      // Files need no prover: whoever was asked for them and says no has not got them.
      return t.kind.startsWith('pow.') || t.sent_at === 0 ? 'unproven' : 'no_opening';
    case 'no_pulse':
      return 'no_pulse';
    case 'no_commit':
    case 'no_opening':
      return t.end;
    case 'disconnected':
      if (t.sent_at === 0) return 'disconnected';
      return t.commit === null && t.kind.startsWith('pow.') ? 'no_commit' : 'no_opening';
  }
}

type Hash = (bytes: Uint8Array) => string;

function judgeWork(t: Transcript, opening: Uint8Array | null, { suite, chain, pulses, tiles }: JudgeContext, hash: Hash): Verdict {
  const { commit, kind } = t;
  const tested = t.device && classFor(suite, t.device);
  if (commit === null || t.sample === null || tested === null || (kind !== 'pow.mm' && kind !== 'pow.mem'))
    return verdict(t, 'bad_record', { wrong: { at: 'end', due: 'a commit and its sample', given: t.end } });
  const elapsed = elapsedMs(t, chain, commit.at);
  const timed = { elapsed_ms: elapsed };
  const early = wrongCommit(t, commit, chain) ?? wrongOpening(t, opening, hash);
  if (early !== null) return verdict(t, early.reason, { ...timed, wrong: early });
  const { randomness } = pulseOf(pulses.seed, t.round);
  const work = { kind, profile: t.profile, steps: t.steps, seed: challengeSeed({ ...t, randomness }), randomness };
  const wrong = checkWork(work, commit.root, pulseOf(pulses.sample, t.sample.round).randomness, opening ?? new Uint8Array(), tiles);
  if (wrong !== null) return verdict(t, wrong.reason, { ...timed, wrong });
  const rate = rateOf(t, elapsed);
  const reason = inTime(t, suite, tested, elapsed);
  const proven = reason !== 'too_slow' ? tested : kind === 'pow.mm' ? slowerClass(suite, tested, rate) : null;
  const told = reason === 'too_slow' && isForgiven(t, suite, tested, elapsed) ? 'proven' : reason;
  return verdict(t, told, { ...timed, rate, class: proven?.name ?? null });
}

function judgeFiles(t: Transcript, opening: Uint8Array | null, { chain, pulses }: JudgeContext, hash: Hash): Verdict {
  const early = wrongOpening(t, opening, hash);
  if (early !== null || t.instance === null || opening === null || t.opening === null) return verdict(t, 'bad_record', { wrong: early });
  const elapsed_ms = elapsedMs(t, chain, t.opening.at);
  const seed = challengeSeed({ ...t, randomness: pulseOf(pulses.seed, t.round).randomness });
  const wrong = checkPossession({ root: t.instance.manifest, leaves: t.instance.leaves, seed }, opening);
  if (wrong !== null) return verdict(t, wrong.reason, { elapsed_ms, wrong });
  return verdict(t, elapsed_ms > CHALLENGE_LIMITS.filesMs ? 'slow_opening' : 'proven', { elapsed_ms });
}

function wrongCommit(t: Transcript, commit: NonNullable<Transcript['commit']>, chain: BeaconChain): Wrong | null {
  const text = commitText({ ...commit, id: t.id });
  if (!signedBy(t.login.sessionKey, text, commit.signature))
    return { reason: 'wrong_signature', at: 'commit', due: `signed by ${t.login.sessionKey}`, given: commit.signature };
  // One round more than is out: two clocks may differ by that.
  const newest = roundAt(chain, commit.at) + 1;
  if (commit.seen >= t.round && commit.seen <= newest) return null;
  return { reason: 'back_dated', at: 'seen', due: `${t.round} to ${newest}`, given: String(commit.seen) };
}

function signedBy(key: string, text: string, signature: string): boolean {
  try {
    return ed25519.verify(hexToBytes(signature), utf8ToBytes(text), hexToBytes(key));
  } catch {
    return false; // the library throws on bytes that are no point
  }
}

function pulseOf(pulse: Pulse | null, round: number): Pulse {
  if (pulse?.round !== round) throw new Error(`The pulse of round ${round} is needed to judge.`);
  return pulse;
}

function sha256Hex(bytes: Uint8Array): string {
  return bytesToHex(sha256(bytes));
}

type Found = Partial<Pick<Verdict, 'elapsed_ms' | 'rate' | 'class' | 'wrong'>>;

/** Long texts are cut: they were made by the miner. */
function verdict(t: Transcript, reason: VerdictReason, found: Found = {}): Verdict {
  const { id, kind, target, hotkey } = t;
  const { at, due, given } = found.wrong ?? { at: '', due: '', given: '' };
  const wrong = found.wrong ? { at: at.slice(0, 96), due: due.slice(0, 160), given: given.slice(0, 160) } : null;
  return { id, kind, target, hotkey, reason, elapsed_ms: null, rate: null, class: null, ...found, wrong };
}
