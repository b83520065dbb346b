/**
 * A challenge against oneself, without any network: pulses are made here, the agent's own code answers, and the judge's own code
 * judges the transcript as it would judge one of the edge. Only the beacon's signatures and the hotkey's are left out.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  challengeId,
  classFor,
  publishedAt,
  QUICKNET,
  roundAt,
  slotOf,
  type ChallengeAsk,
  type Device,
  type DeviceChallenge,
  type Manifest,
  type Pulse,
  type Suite,
  type Transcript,
  type Verdict,
} from '#protocol';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { workFor } from '#protocol/challenge/work.ts';
import { Logins } from '../../validator-cron/judge/logins.ts';
import { judgeTranscript } from '../../validator-cron/judge/transcript.ts';
import { makeSessionKeys } from '../identity/session.ts';
import type { Possession } from '../possession/possession.ts';
import { Challenges } from './challenges.ts';
import type { Provers } from './provers.ts';

/** Tiles of B that the judge keeps. */
const TILES = 8;
const AGENT = 'agt_rehearsal';
const HOTKEY = 'rehearsal'.padEnd(48, '0');
const MINUTE_MS = 60_000;

export interface Rehearsal {
  /** Device or instance, and how it is called. */
  of: string;
  name: string;
  profile: string;
  steps: number;
  openingBytes: number;
  declined: string | null;
  verdict: Verdict;
}

/** What is asked: of a device, or of the files of an instance. */
export type Subject =
  | { kind: DeviceChallenge; device: Device; profile: string; steps: number; class: string }
  | { kind: 'fs'; instance: string; manifest: Manifest };

/** Everything that a suite asks of a device. Null: the suite has no class for it. */
export function subjectsOf(suite: Suite, device: Device): Extract<Subject, { device: Device }>[] | null {
  const of = classFor(suite, device);
  if (of === null) return null;
  return (['pow.mm', 'pow.mem'] as const).map((kind) => ({ kind, device, class: of.name, ...workFor(suite, kind, of) }));
}

export class Stage {
  readonly #suite: Suite;
  readonly #provers: Provers;
  readonly #possession: Possession;
  readonly #keys = makeSessionKeys();
  readonly #judged = { tiles: new Tiles(TILES), logins: new Logins(() => true), chain: QUICKNET };
  readonly #secret = randomBytes(32);

  constructor(suite: Suite, provers: Provers, possession: Possession) {
    this.#suite = suite;
    this.#provers = provers;
    this.#possession = possession;
  }

  async play(subject: Subject, now: () => number): Promise<Rehearsal> {
    const { transcript, opening } = await this.#answered(subject, now);
    const { round, sample, declined } = transcript;
    const pulses = { seed: this.#pulse(round), sample: sample === null ? null : this.#pulse(sample.round) };
    const verdict = judgeTranscript(transcript, opening, { ...this.#judged, suite: this.#suite, pulses });
    const of = subject.kind === 'fs' ? { of: subject.instance, name: 'files' } : { of: subject.device.id, name: subject.device.name };
    const { profile, steps } = transcript;
    return { ...of, profile, steps, declined, openingBytes: opening?.length ?? 0, verdict };
  }

  /** Plays the edge: asks, takes the commit's time, samples, takes the opening. */
  async #answered(subject: Subject, now: () => number): Promise<{ transcript: Transcript; opening: Uint8Array | null }> {
    const started = this.#asked(subject, now());
    let transcript = started;
    let opening: Uint8Array | null = null;
    const challenges = new Challenges({
      hotkey: HOTKEY,
      devices: () => (subject.kind === 'fs' ? [] : [subject.device]),
      provers: this.#provers,
      possession: this.#possession,
      sign: this.#keys.sign,
      say: (message) => {
        if (message.type === 'decline') transcript = { ...transcript, declined: message.reason, end: 'declined' };
        else transcript = committed(transcript, message, now());
      },
      uploads: {
        send: ({ bytes }) => {
          opening = bytes;
          const sha256 = createHash('sha256').update(bytes).digest('hex');
          transcript = { ...transcript, opening: { sha256, bytes: bytes.length, at: now() }, end: 'opened' };
          return Promise.resolve(null);
        },
      },
      tell: () => {},
    });
    await challenges.challenge(askOf(started, this.#pulse(started.round), subject));
    const { sample, id } = transcript;
    if (sample !== null) {
      const { round, randomness } = this.#pulse(sample.round);
      await challenges.sample({ type: 'sample', id, round, randomness, token: 'none', withinMs: MINUTE_MS });
    }
    challenges.lost();
    return { transcript, opening };
  }

  #asked(subject: Subject, at: number): Transcript {
    // A slot whose seeding round is out by now.
    const slot = slotOf(this.#suite, at) - 2 * this.#suite.cadence.slotSeconds;
    const target = subject.kind === 'fs' ? subject.instance : `${AGENT}/${subject.device.id}`;
    const { kind } = subject;
    const work = subject.kind === 'fs' ? { class: '', profile: 'fs', steps: 0 } : subject;
    return {
      v: 1,
      id: challengeId(kind, target, slot),
      kind,
      target,
      slot,
      scheduled: true,
      hotkey: HOTKEY,
      agent: AGENT,
      device: subject.kind === 'fs' ? null : deviceOf(subject.device),
      instance: subject.kind === 'fs' ? instanceOf(subject) : null,
      class: work.class,
      profile: work.profile,
      steps: work.steps,
      round: roundAt(QUICKNET, at),
      sent_at: at,
      rtt_ms: 0,
      login: this.#login(),
      commit: null,
      sample: null,
      opening: null,
      declined: null,
      end: kind === 'fs' ? 'no_opening' : 'no_commit',
      ended_at: at + MINUTE_MS,
    };
  }

  #login(): Transcript['login'] {
    const { sessionKey, sealKey } = this.#keys;
    const none = { challenge: '', origin: '', expires: 1, versions: [2], signature: '' };
    return { hotkey: HOTKEY, name: 'rehearsal', agent: AGENT, sessionKey, sealKey, ...none };
  }

  #pulse(round: number): Pulse {
    const randomness = createHash('sha256').update(this.#secret).update(String(round)).digest('hex');
    return { round, randomness, signature: '00'.repeat(48) };
  }
}

function committed(t: Transcript, message: { root: string; seen: number; helper: string; signature: string }, at: number): Transcript {
  const { root, seen, helper, signature } = message;
  const round = roundAt(QUICKNET, at) + 1;
  return {
    ...t,
    commit: { root, seen, helper, signature, at },
    sample: { round, sent_at: publishedAt(QUICKNET, round) },
    end: 'no_opening',
  };
}

function askOf(t: Transcript, pulse: Pulse, subject: Subject): ChallengeAsk {
  const { id, kind, target, profile, steps } = t;
  const of =
    subject.kind === 'fs' ? { device: null, instance: subject.instance, token: 'none' } : { device: subject.device.id, instance: null };
  return {
    type: 'challenge',
    id,
    kind,
    target,
    profile,
    steps,
    ...of,
    round: pulse.round,
    randomness: pulse.randomness,
    withinMs: MINUTE_MS,
  };
}

function deviceOf({ id, kind, name, memoryMb }: Device): NonNullable<Transcript['device']> {
  return { id, kind, name, memoryMb };
}

function instanceOf({ instance, manifest }: Extract<Subject, { kind: 'fs' }>): NonNullable<Transcript['instance']> {
  return { instance, chute: 'cht_rehearsal', version: '', manifest: manifest.root, leaves: manifest.leaves };
}
