/** Judges transcripts: reads each with its opening and its pulses, and posts what it makes of them. */
import { verify } from '@scure/sr25519';
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { VERDICTS, type Pulse, type Verdict } from '#protocol/challenge/index.ts';
import { decodeSs58 } from '../../functions/gate/ss58.ts';
import type { Bench } from '../bench.ts';
import { fanOut } from '../fan-out.ts';
import { Logins } from '../judge/logins.ts';
import { judgeTranscript, roundsOf } from '../judge/transcript.ts';

/** Of this isolate: all devices of a round share B, and an agent its login. */
const tiles = new Tiles(8);
const logins = new Logins((text, signature, hotkey) => {
  const key = decodeSs58(hotkey);
  return key !== null && verify(utf8ToBytes(text), hexToBytes(signature), key);
});

/** Returns what it came to; the same transcript again comes to the same. Throws `EdgeError` or `BeaconError`. */
export async function judgeAll(bench: Bench, ids: readonly string[]): Promise<Verdict[]> {
  const verdicts = await fanOut(ids, (id) => judgeOne(bench, id));
  await bench.feed.postVerdicts(verdicts);
  return verdicts;
}

async function judgeOne({ feed, beacon, config: { suite } }: Bench, id: string): Promise<Verdict> {
  const transcript = await feed.transcript(id);
  const rounds = roundsOf(transcript);
  const pulse = (round: number | null): Promise<Pulse> | null => (round === null ? null : beacon.pulse(round));
  const [seed, sample, opening] = await Promise.all([
    pulse(rounds.seed),
    pulse(rounds.sample),
    transcript.opening === null ? null : feed.opening(id),
  ]);
  return judgeTranscript(transcript, opening, { suite, chain: beacon.chain, pulses: { seed, sample }, tiles, logins });
}

/** By outcome, for a log line. */
export function countOutcomes(verdicts: readonly Pick<Verdict, 'reason'>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { reason } of verdicts) counts[VERDICTS[reason].outcome] = (counts[VERDICTS[reason].outcome] ?? 0) + 1;
  return counts;
}
