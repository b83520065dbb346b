/** One transcript judged again: what it shows, and what follows from it. */
import { join } from 'node:path';
import { CHALLENGE_LIMITS, suiteOf, VERDICTS, type BeaconChain, type Transcript, type Verdict } from '#protocol/challenge/index.ts';
import { roundsOf } from '../judge/transcript.ts';
import { Cache } from './cache.ts';
import type { Edge } from './edge.ts';
import type { VerifyAsk } from './epoch.ts';
import { Missing } from './outcome.ts';
import { Pool } from './pool.ts';
import { readPulses } from './pulses.ts';

export type TranscriptAsk = Pick<VerifyAsk, 'beacon' | 'trustBeacon' | 'cache' | 'signal'>;

/** Throws `Missing`, `Different`. */
export async function verifyTranscript(edge: Edge, id: string, ask: TranscriptAsk): Promise<{ transcript: Transcript; verdict: Verdict }> {
  const transcript = await edge.transcript(id);
  if (transcript === null)
    throw new Missing(`There is no transcript ${id}, or its challenge has not ended.`, 'GET /audit/transcripts lists them.');
  const network = await edge.network();
  const pool = new Pool(1, { suite: suiteOf(network.suite).name, chain: network.chain });
  try {
    const path = await openingOf(edge, transcript, ask.cache);
    return { transcript, verdict: await judge(pool, transcript, path, network, ask) };
  } finally {
    await pool.end();
  }
}

async function openingOf(edge: Edge, t: Transcript, cache: string): Promise<string | null> {
  if (t.end !== 'opened' || t.opening === null) return null;
  const files = new Cache(join(cache, 'files'));
  const bytes = await edge.file(`/audit/transcripts/${t.id}/opening`, t.opening.sha256, CHALLENGE_LIMITS.openingBytes, files);
  if (bytes === null)
    throw new Missing('What was opened is not published, or is not what its hash names.', 'Without it nobody can judge this challenge.');
  return files.pathOf(t.opening.sha256);
}

async function judge(
  pool: Pool,
  transcript: Transcript,
  path: string | null,
  { chain, urls }: { chain: BeaconChain; urls: readonly string[] },
  ask: TranscriptAsk,
): Promise<Verdict> {
  const rounds = roundsOf(transcript);
  const pulses = await readPulses(
    {
      chain,
      urls: ask.beacon.length > 0 ? ask.beacon : urls,
      verify: ask.trustBeacon ? null : (pulse) => pool.verify(pulse),
      folder: join(ask.cache, 'pulses'),
      signal: ask.signal,
    },
    Object.values(rounds).filter((round) => round !== null),
  );
  const pulseOf = (round: number | null) => (round === null ? null : (pulses.get(round) ?? null));
  return pool.judge({ do: 'judge', transcript, opening: path, pulses: { seed: pulseOf(rounds.seed), sample: pulseOf(rounds.sample) } });
}

export function showVerdict(t: Transcript, v: Verdict): string[] {
  const { outcome, text, next } = VERDICTS[v.reason];
  return [
    `challenge  ${t.id}, ${t.kind} of ${t.target}, slot ${t.slot}${t.scheduled ? '' : ', a repeat that a judge asked for'}`,
    `tested as  ${[t.class, t.profile, `${t.steps} steps`].filter((part) => part !== '').join(', ')}, seeded by round ${t.round}`,
    `ended      ${t.end}${t.declined === null ? '' : `: ${t.declined}`}`,
    ...(v.elapsed_ms === null ? [] : [`took       ${v.elapsed_ms} ms, a least round trip of ${t.rtt_ms ?? 0} ms taken off`]),
    ...(v.rate === null ? [] : [`rate       ${v.rate}${v.class === null ? ', no class' : `, class ${v.class}`}`]),
    ...(v.wrong === null ? [] : [`wrong at   ${v.wrong.at}`, `  due      ${v.wrong.due}`, `  given    ${v.wrong.given}`]),
    `verdict    ${outcome}: ${v.reason}. ${text}`,
    `next       ${next}`,
  ];
}
