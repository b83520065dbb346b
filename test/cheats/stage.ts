/** What a judge's tests are made of: a beacon of which every pulse is known, agents with real keys, transcripts as the edge writes them. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import { verifyHotkey } from '../../functions/gate/hotkey.ts';
import { publishedAt, roundAt, type BeaconChain, type Pulse } from '#protocol/challenge/beacon.ts';
import { seedingRound } from '#protocol/challenge/schedule.ts';
import { classFor, DEVELOPMENT, type DeviceClass, type Suite } from '#protocol/challenge/suite.ts';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { challengeId, challengeSeed, commitText, type Transcript } from '#protocol/challenge/transcript.ts';
import type { Verdict } from '#protocol/challenge/verdict.ts';
import { proveWork, workFor, type Work, type WorkProof } from '#protocol/challenge/work.ts';
import { loginText, type Login } from '#protocol/hello.ts';
import { Logins } from '../../validator-cron/judge/logins.ts';
import { judgeTranscript, roundsOf } from '../../validator-cron/judge/transcript.ts';

export const CHAIN: BeaconChain = { hash: 'ab'.repeat(32), publicKey: 'cd'.repeat(96), genesis: 1_700_000_000, period: 3 };

/** `world`: another draw of the same round. */
export function pulse(round: number, world = 0): Pulse {
  return { round, randomness: sha256(`pulse ${round} ${world}`), signature: '00'.repeat(48) };
}

/** GPU windows on sizes that a CPU proves in milliseconds: 17 steps of a whole `swift`, 32 of a `long`, 4 of a `small`. */
const WINDOW = { least: 500, most: 1_250 };
const tiny = (name: string, rate: number): DeviceClass => ({
  name,
  kind: 'gpu',
  mm: 'mm-128',
  mem: 'mem-cpu',
  rate,
  memoryMb: 0,
  units: 1,
  window: WINDOW,
});
export const SUITE: Suite = { ...DEVELOPMENT, expectedMs: 4_000, classes: [tiny('long', 17), tiny('swift', 9), tiny('small', 2)] };

export interface TestAgent {
  hotkey: string;
  agent: string;
  login: Login;
  /** Ed25519 by the session key, hex. */
  sign: (text: string) => string;
}

export function makeAgent(number: number): TestAgent {
  const hotkey = hotkeyOf(sha256(`agent ${number}`));
  const keys = generateKeyPairSync('ed25519');
  const agent = `agt_${number}`;
  const said = {
    agent,
    challenge: 'challenge',
    origin: 'https://edge.test',
    sessionKey: Buffer.from(keys.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex'),
    sealKey: '00'.repeat(32),
    expires: 1_800_000_000_000,
    versions: [2],
  };
  const login = { ...said, hotkey: hotkey.ss58, name: `n${number}`, signature: hotkey.sign(loginText(said)) };
  return { hotkey: hotkey.ss58, agent, login, sign: (text) => sign(null, Buffer.from(text), keys.privateKey).toString('hex') };
}

/** A challenge on its way: what the prover is asked, and what the edge has written of it so far. */
export interface Asked {
  work: Work;
  transcript: Transcript;
}

export function ask(agent: TestAgent, device: string, nth: number, kind: 'pow.mm' | 'pow.mem' = 'pow.mm', suite = SUITE): Asked {
  const { slotSeconds } = suite.cadence;
  const slot = CHAIN.genesis + slotSeconds - (CHAIN.genesis % slotSeconds) + nth * slotSeconds;
  const facts = { id: 'gpu0', kind: 'gpu' as const, name: device, memoryMb: 0 };
  const of = classFor(suite, facts);
  if (of === null) throw new Error(`no class for ${device}`);
  const target = `${agent.agent}/gpu0`;
  const round = seedingRound(CHAIN, slot, suite);
  const { profile, steps } = workFor(suite, kind, of);
  const id = challengeId(kind, target, slot);
  const due = { v: 1 as const, id, kind, target, slot, scheduled: true, class: of.name, profile, steps, round };
  const who = { hotkey: agent.hotkey, agent: agent.agent, device: facts, instance: null, login: agent.login };
  const times = { sent_at: publishedAt(CHAIN, round) + 200, rtt_ms: 40, ended_at: publishedAt(CHAIN, round) + 60_000 };
  const transcript: Transcript = { ...due, ...who, ...times, commit: null, sample: null, opening: null, declined: null, end: 'no_commit' };
  return { work: workOf(transcript), transcript };
}

export function workOf(t: Transcript): Work {
  const { randomness } = pulse(t.round);
  if (t.kind !== 'pow.mm' && t.kind !== 'pow.mem') throw new Error(`${t.kind} is no work`);
  return { kind: t.kind, profile: t.profile, steps: t.steps, seed: challengeSeed({ ...t, randomness }), randomness };
}

export function honest(work: Work): WorkProof {
  const proof = proveWork(work);
  if (proof === null) throw new Error(`no profile ${work.profile}`);
  return proof;
}

/** The transcript once a root is committed to: `afterMs` after the seed, round trip not counted. */
export function commit(
  agent: TestAgent,
  { transcript: t }: Asked,
  root: string,
  afterMs: number,
  change: { seen?: number } = {},
): Transcript {
  const at = t.sent_at + afterMs + Math.min(t.rtt_ms ?? 0, 300);
  const seen = change.seen ?? roundAt(CHAIN, at);
  const signature = agent.sign(commitText({ id: t.id, root, seen, helper: 'test' }));
  const round = roundAt(CHAIN, at) + 1;
  const sample = { round, sent_at: publishedAt(CHAIN, round) + 100 };
  return { ...t, commit: { root, seen, helper: 'test', signature, at }, sample, end: 'no_opening', ended_at: sample.sent_at + 30_000 };
}

export function opened(t: Transcript, bytes: Uint8Array): Transcript {
  const at = (t.sample?.sent_at ?? t.sent_at) + 300;
  return { ...t, opening: { sha256: sha256(bytes), bytes: bytes.length, at }, end: 'opened', ended_at: at };
}

/** A judge with a memory of its own. */
export function makeJudge(suite: Suite = SUITE) {
  const tiles = new Tiles(8);
  const logins = new Logins(verifyHotkey);
  return (t: Transcript, opening: Uint8Array | null, world = 0): Verdict => {
    const { seed, sample } = roundsOf(t);
    const pulses = { seed: seed === null ? null : pulse(seed), sample: sample === null ? null : pulse(sample, world) };
    return judgeTranscript(t, opening, { suite, chain: CHAIN, pulses, tiles, logins });
  };
}
export type Judge = ReturnType<typeof makeJudge>;

/** A whole challenge: the root is committed to in time, and opened at the samples of that world. */
export function play(agent: TestAgent, asked: Asked, proof: WorkProof, { afterMs = 3_900, world = 0 } = {}) {
  const committed = commit(agent, asked, proof.root, afterMs);
  const bytes = proof.open(pulse(committed.sample?.round ?? 0, world).randomness);
  return { transcript: opened(committed, bytes), bytes };
}

export function sha256(of: string | Uint8Array): string {
  return createHash('sha256').update(of).digest('hex');
}
