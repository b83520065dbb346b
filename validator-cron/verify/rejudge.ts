/** Every transcript of an epoch judged again, or a part of them that the beacon chooses. */
import { QUICKNET, roundAt, type BeaconChain, type Pulse, type Transcript, type Verdict } from '#protocol/challenge/index.ts';
import { sha256Of } from '#protocol/canonical.ts';
import { roundsOf } from '../judge/transcript.ts';
import type { Pool } from './pool.ts';

export interface Rejudged {
  verdicts: Verdict[];
  /** How many were judged again; of the others the judge's word is taken. */
  judged: number;
  ms: number;
}

/** Rounds whose pulses these need. */
export function roundsNeeded(transcripts: readonly Transcript[]): number[] {
  return transcripts.flatMap((t) => Object.values(roundsOf(t)).filter((round) => round !== null));
}

/** The first round that came out after the evidence was closed: nobody who closed it knew which part it names. */
export function samplingRound(chain: BeaconChain, closedAtMs: number): number {
  return roundAt(chain, closedAtMs) + 1;
}

/** `percent` of them, each by a hash that the beacon decides. */
export function sampled(transcripts: readonly Transcript[], percent: number, randomness: string): Transcript[] {
  if (percent >= 100) return [...transcripts];
  return transcripts.filter(
    ({ id }) => Number.parseInt(sha256Of(`ripcord-sample/1\n${randomness}\n${id}`).slice(0, 8), 16) % 10_000 < percent * 100,
  );
}

/** `pathOf`: where the opening of a transcript lies. `seen` hears of each one that is done. */
export async function rejudge(of: {
  pool: Pool;
  transcripts: readonly Transcript[];
  pulses: ReadonlyMap<number, Pulse>;
  pathOf: (t: Transcript) => string | null;
  seen: (done: number) => void;
}): Promise<Rejudged> {
  const began = performance.now();
  let done = 0;
  const pulseOf = (round: number | null): Pulse | null => (round === null ? null : (of.pulses.get(round) ?? null));
  const verdicts = await Promise.all(
    // Flashes first by round: threads keep the tiles of one round at a time.
    of.transcripts
      .toSorted((a, b) => a.round - b.round)
      .map(async (transcript) => {
        const rounds = roundsOf(transcript);
        const pulses = { seed: pulseOf(rounds.seed), sample: pulseOf(rounds.sample) };
        const verdict = await of.pool.judge({ do: 'judge', transcript, opening: of.pathOf(transcript), pulses });
        of.seen(++done);
        return verdict;
      }),
  );
  return { verdicts, judged: verdicts.length, ms: Math.round(performance.now() - began) };
}

export function isPublic(chain: BeaconChain): boolean {
  return chain.hash === QUICKNET.hash;
}
